"""Documents to the text of ``config``: YAML or JSON in the style of Docker Compose.

Style: indentation by two blanks, lists indented below their key, several lines as ``|``; double
quotes around text that YAML would read as another type (also by the rules of YAML 1.1), single
quotes where only syntax needs them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

_OTHER_TYPE = re.compile(
    r"""(?ix)
    y | n | yes | no | on | off | true | false | null | ~ | [-+]?\.inf | \.nan
    | [-+]?[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)? | [-+]?\.[0-9_]+(e[-+]?[0-9]+)?
    | [-+]?0b[01_]+ | [-+]?0o?[0-7_]+ | [-+]?0x[0-9a-f_]+
    | [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?
    | \d{4}-\d{1,2}-\d{1,2}([t ].*)?
    """
)

_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")
"""Characters that end a line for YAML and would come back as another one."""


def to_yaml(document: object) -> str:
    """Write a document as YAML, keys in their order."""
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=1_000_000,
        indent=2,
    )


def to_json(document: object) -> str:
    """Write a document as JSON, indented by two blanks, without a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def escaped(document: object) -> object:
    """Double the dollar signs of values, so that the output can be loaded again.

    Keys are left alone, as they are never interpolated.
    """
    if isinstance(document, str):
        return document.replace("$", "$$")
    if isinstance(document, dict):
        return {key: escaped(value) for key, value in document.items()}
    if isinstance(document, list):
        return [escaped(item) for item in document]
    return document


class _Dumper(yaml.SafeDumper):
    """The emitter with list items indented below their key."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool]) -> str:
        """Take ``=`` for the text that it is."""
        if kind is yaml.ScalarNode and value == "=":
            return "tag:yaml.org,2002:str"
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists like maps."""
        super().increase_indent(flow, False)

    def analyze_scalar(self, scalar: str) -> yaml.emitter.ScalarAnalysis:
        """Let a text of several lines hold tabs."""
        if "\n" in scalar and "\t" in scalar:
            analysis = super().analyze_scalar(scalar.replace("\t", "-"))
            analysis.scalar = scalar
            return analysis
        return super().analyze_scalar(scalar)

    def check_simple_key(self) -> bool:
        """Write an empty key like any other."""
        if isinstance(self.event, yaml.ScalarEvent) and not self.event.value:
            return True
        return bool(super().check_simple_key())

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Write equal parts twice instead of using anchors."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None = None
    if _LINE_ENDS.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif not text or _OTHER_TYPE.fullmatch(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _none(dumper: yaml.SafeDumper, _value: None) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "null")


_represent: list[tuple[type, Callable[..., yaml.Node]]] = [(str, _text), (type(None), _none)]
for _kind, _representer in _represent:
    _Dumper.add_representer(_kind, _representer)
