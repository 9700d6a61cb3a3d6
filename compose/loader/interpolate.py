"""``${VAR:-default}`` substitution in all string values, and the casts that go with it.

Grammar: Compose specification, "Interpolation"; behaviour where it is silent (nesting, which
dollar signs are text) that of Docker Compose. Keys are never interpolated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from compose.errors import InterpolationError
from compose.loader.tree import List, Map, Rules, located, subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.tree import Mark, Node, Path

    Lookup: TypeAlias = Callable[[str], str | None]
    Warn: TypeAlias = Callable[[str], None]
    Cast: TypeAlias = Callable[[str], Node]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?")
_TRUE = frozenset(("true", "y", "yes", "on"))
_FALSE = frozenset(("false", "n", "no", "off"))


class MalformedTemplate(ValueError):
    """A ``${`` without end, or with something else than a variable inside."""


class MissingVariable(ValueError):
    """A required variable without a value."""


def substitute(text: str, lookup: Lookup, warn: Warn) -> str:
    """Replace the variables of a text.

    Args:
        text: text that may hold ``$X``, ``${X...}`` and ``$$``.
        lookup: returns a variable's value or ``None``.
        warn: told the name of each unset variable that became empty.

    Raises:
        MalformedTemplate: a ``${...}`` cannot be read.
        MissingVariable: a ``${X?...}`` has no value.
    """
    start = text.find("$")
    if start < 0:
        return text
    parts: list[str] = []
    done = 0
    while 0 <= start < len(text) - 1:
        parts.append(text[done:start])
        value, done = _variable(text, start, lookup, warn)
        parts.append(value)
        start = text.find("$", done)
    parts.append(text[done:])
    return "".join(parts)


def _variable(text: str, start: int, lookup: Lookup, warn: Warn) -> tuple[str, int]:
    """Read what begins with the ``$`` at ``start``; return its value and where it ends."""
    following = text[start + 1]
    if following == "$":
        return "$", start + 2
    if following == "{":
        parts = braced_parts(text, start + 1)
        if parts is None:
            raise MalformedTemplate(text)
        name, operator, word = parts
        stop = braced_end(text, start + 1) + 1
        if operator:
            return _operate(name, operator, substitute(word, lookup, warn), lookup), stop
    else:
        stop = named_end(text, start + 1)
        if stop == start + 1:
            return "$", stop
        name = text[start + 1 : stop]
    value = lookup(name)
    if value is None:
        warn(name)
    return value or "", stop


def named_end(text: str, start: int) -> int:
    """Return where the name at ``start`` ends; ``start`` itself if there is none."""
    match = _NAME.match(text, start)
    return match.end() if match else start


def braced_parts(text: str, start: int) -> tuple[str, str, str] | None:
    """Return name, operator and word of the braces at ``start``; ``None`` if malformed."""
    end = braced_end(text, start)
    match = _BRACED.fullmatch(text, start + 1, end) if end > 0 else None
    return (match[1], match[2] or "", match[3] or "") if match else None


def _operate(name: str, operator: str, word: str, lookup: Lookup) -> str:
    """Apply ``-``, ``+`` or ``?``; with a colon an empty value counts as unset."""
    value = lookup(name)
    present = value is not None and (bool(value) or not operator.startswith(":"))
    if operator[-1] == "+":
        return word if present else ""
    if present:
        return value or ""
    if operator[-1] == "?":
        reason = f": {word}" if word else ""
        raise MissingVariable(f"required variable {name} is missing a value{reason}")
    return word


def braced_end(text: str, start: int) -> int:
    """Find the brace that closes the one at ``start``; -1 if there is none."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return -1


def to_integer(text: str) -> int:
    """Cast to a whole number, decimal only."""
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def to_number(text: str) -> float:
    """Cast to a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def to_boolean(text: str) -> bool:
    """Cast to a boolean; the words of YAML 1.1 are understood too."""
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"{text!r} is neither true nor false")


def _casts() -> Rules[Cast]:
    """File the casts under the paths whose strings they apply to."""
    integers = (
        "cpu_count cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares oom_score_adj"
        " pids_limit scale healthcheck.retries ports.*.target ulimits.* ulimits.*.soft"
        " ulimits.*.hard deploy.replicas deploy.update_config.parallelism"
        " deploy.rollback_config.parallelism deploy.restart_policy.max_attempts"
        " deploy.placement.max_replicas_per_node"
    )
    numbers = (
        "cpu_percent cpus deploy.update_config.max_failure_ratio"
        " deploy.rollback_config.max_failure_ratio"
    )
    booleans = (
        "init oom_kill_disable privileged read_only stdin_open tty healthcheck.disable"
        " volumes.*.read_only volumes.*.volume.nocopy"
    )
    resources = (
        "networks.*.external networks.*.internal networks.*.attachable networks.*.enable_ipv4"
        " networks.*.enable_ipv6 volumes.*.external secrets.*.external configs.*.external"
    )
    table: dict[str, Cast] = dict.fromkeys(resources.split(), to_boolean)
    for keys, cast in ((integers, to_integer), (numbers, to_number), (booleans, to_boolean)):
        table.update((f"services.*.{key}", cast) for key in keys.split())
    return Rules(table)


_CASTS = _casts()
_NO_CASTS: Rules[Cast] = Rules()


def interpolate(tree: Map, lookup: Lookup, warn: Warn) -> Map:
    """Fill the variables of a document in place.

    Args:
        tree: one document of a compose file.
        lookup: returns a variable's value or ``None``.
        warn: takes a warning's text.

    Raises:
        InterpolationError: at the place of the first value that cannot be filled or cast.
    """
    return _Interpolation(lookup, warn).map(tree, _CASTS, ())


class _Interpolation:
    """One walk over a document."""

    def __init__(self, lookup: Lookup, warn: Warn) -> None:
        self._lookup = lookup
        self._warn = warn

    def map(self, tree: Map, casts: Rules[Cast], path: Path) -> Map:
        for key, value in tree.items():
            tree[key] = self._node(
                value, casts.step(key) or _NO_CASTS, (*path, key), tree.marks.get(key)
            )
        return tree

    def _node(self, node: Node, casts: Rules[Cast], path: Path, mark: Mark | None) -> Node:
        if isinstance(node, str):
            if casts.value is None and "$" not in node:
                return node
            return self._text(node, casts.value, path, mark)
        if isinstance(node, Map):
            return self.map(node, casts, path)
        if isinstance(node, List):
            below = casts.step("*") or _NO_CASTS
            for index, (item, item_mark) in enumerate(node.entries()):
                node[index] = self._node(item, below, (*path, str(index)), item_mark)
        return node

    def _text(self, text: str, cast: Cast | None, path: Path, mark: Mark | None) -> Node:
        problem, hint = "", ""
        try:
            filled = substitute(text, self._lookup, self._unset)
            return cast(filled) if cast else type(text)(filled)
        except MalformedTemplate as error:
            problem = f"invalid interpolation {error.args[0]!r}"
            hint = "write $$ for a dollar sign that is no variable"
        except ValueError as error:
            problem = str(error)
        raise InterpolationError(f"{subject(path)}: {problem}", hint=hint, location=located(mark))

    def _unset(self, name: str) -> None:
        self._warn(f'The "{name}" variable is not set. Defaulting to a blank string.')
