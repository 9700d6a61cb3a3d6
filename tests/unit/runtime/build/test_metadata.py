"""Instructions that change the configuration alone, and what history shows of them."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import parse_line
from runtime.build.metadata import Settings, apply_changes, apply_metadata, set_workdir
from runtime.container.timestamps import go_duration
from runtime.errors import InvalidArgument


def settings(*lines: str, **config: object) -> Settings:
    made = Settings(dict(config))
    for line in lines:
        apply_metadata(made, parse_line(line))
    return made


@pytest.mark.parametrize(
    ("line", "key", "value", "shown"),
    [
        ("ENV A=1 B='x y' C=\"$Z\"", "Env", ["A=1", "B=x y", "C=zed"], "ENV A=1 B=x y C=zed"),
        ("ENV A b  c", "Env", ["A=b  c"], "ENV A=b  c"),
        ("ENV A=1 B=$A", "Env", ["A=1", "B="], "ENV A=1 B="),
        ("LABEL a=1 \"b c\"=d", "Labels", {"a": "1", "b c": "d"}, "LABEL a=1 b c=d"),
        ("EXPOSE 80 9-10/UDP $P", "ExposedPorts", {"10/udp": {}, "7/tcp": {}, "80/tcp": {},
         "9/udp": {}}, "EXPOSE [10/udp 7/tcp 80/tcp 9/udp]"),
        ("EXPOSE 127.0.0.1:8080:80", "ExposedPorts", {"80/tcp": {}}, "EXPOSE [80/tcp]"),
        ("VOLUME /a /b", "Volumes", {"/a": {}, "/b": {}}, "VOLUME [/a /b]"),
        ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}, "VOLUME [/a b]"),
        ("CMD x $Z", "Cmd", ["/bin/sh", "-c", "x $Z"], 'CMD ["/bin/sh" "-c" "x $Z"]'),
        ('CMD ["a"]', "Cmd", ["a"], 'CMD ["a"]'),
        ("CMD []", "Cmd", None, "CMD []"),
        ('ENTRYPOINT ["a", "b"]', "Entrypoint", ["a", "b"], 'ENTRYPOINT ["a" "b"]'),
        ('SHELL ["ash"]', "Shell", ["ash"], "SHELL [ash]"),
        ("USER $Z:1", "User", "zed:1", "USER zed:1"),
        ("STOPSIGNAL term", "StopSignal", "term", "STOPSIGNAL term"),
        ("STOPSIGNAL 9", "StopSignal", "9", "STOPSIGNAL 9"),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]},
         'HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" \'\\x00\'}'),
        ("HEALTHCHECK --interval=5s --timeout=1m30s --retries=4 CMD x", "Healthcheck",
         {"Test": ["CMD-SHELL", "x"], "Interval": 5 * 10**9, "Timeout": 90 * 10**9, "Retries": 4},
         'HEALTHCHECK &{["CMD-SHELL" "x"] "5s" "1m30s" "0s" "0s" \'\\x04\'}'),
        ('HEALTHCHECK CMD ["a"]', "Healthcheck", {"Test": ["CMD", "a"]},
         'HEALTHCHECK &{["CMD" "a"] "0s" "0s" "0s" "0s" \'\\x00\'}'),
        ("ONBUILD RUN  a", "OnBuild", ["RUN  a"], None),
        ("MAINTAINER me", "none", None, "MAINTAINER me"),
    ],
    ids=range(21),
)  # fmt: skip
def test_an_instruction_changes_the_configuration(
    line: str, key: str, value: object, shown: str | None
) -> None:
    made = settings()
    made.variables.update(Z="zed", P="7")
    assert apply_metadata(made, parse_line(line)) == shown
    assert made.config.get(key) == value


def test_a_variable_is_replaced_in_its_place() -> None:
    assert settings("ENV A=1", "ENV B=2", "ENV A=3").config["Env"] == ["A=3", "B=2"]


def test_an_entrypoint_clears_a_command_of_the_base_only() -> None:
    assert settings('ENTRYPOINT ["e"]', Cmd=["base"]).config["Cmd"] is None
    assert settings("CMD x", 'ENTRYPOINT ["e"]').config["Cmd"] == ["/bin/sh", "-c", "x"]


def test_the_shell_counts_for_later_instructions() -> None:
    assert settings('SHELL ["ash", "-e"]', "CMD x").config["Cmd"] == ["ash", "-e", "x"]


def test_arguments_take_given_values_over_defaults_over_global_ones() -> None:
    made = Settings({}, given={"A": "given"}, globals={"A": "global", "B": "global"})
    for line in ("ARG A=default", "ARG B", "ARG C=$A D", "ARG B2=default"):
        apply_metadata(made, parse_line(line))
    assert made.arguments == {"A": "given", "B": "global", "C": "given", "D": None, "B2": "default"}
    assert made.used == {"A"}
    assert "Env" not in made.config


@pytest.mark.parametrize(
    ("before", "wanted", "path"),
    [("", "a", "/a"), ("/a", "b", "/a/b"), ("/a", "/b", "/b"), ("/a", "..", "/"),
     ("", "a b", "/a b"), ("/a", "$V/x", "/a/v/x"), ("", "//x", "/x")],
)  # fmt: skip
def test_a_working_directory_is_resolved(before: str, wanted: str, path: str) -> None:
    made = Settings({"WorkingDir": before}, variables={"V": "v"})
    assert set_workdir(made, parse_line(f"WORKDIR {wanted}")) == path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ENV A", "ENV must have two arguments"),
        ("ENV a=1 be", 'Syntax error - can\'t find = in "be". Must be of the form: name=value'),
        ("ENV =x", "ENV names can not be blank"),
        ("EXPOSE 99999", "Invalid containerPort: 99999"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("EXPOSE 1/icmp", "invalid proto: icmp"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --interval=x CMD x", 'time: invalid duration "x"'),
        ("HEALTHCHECK --retries=0 CMD x", "--retries must be at least 1 (not 0)"),
    ],
)
def test_a_bad_value_is_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        settings(line)
    assert message in caught.value.message


def test_changes_are_lines_of_a_dockerfile() -> None:
    before: dict[str, object] = {"Env": ["A=1"], "Cmd": ["x"]}
    after = apply_changes(before, ["ENV B=$A", 'CMD ["y"]', "WORKDIR /w", "EXPOSE 80", " "])
    assert after == {
        "Env": ["A=1", "B=1"], "Cmd": ["y"], "WorkingDir": "/w",
        "ExposedPorts": {"80/tcp": {}},
    }  # fmt: skip
    assert before == {"Env": ["A=1"], "Cmd": ["x"]}
    with pytest.raises(InvalidArgument, match="RUN is not a valid change command"):
        apply_changes({}, ["RUN x"])


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0s"), (1_500_000_000, "1.5s"), (60 * 10**9, "1m0s"), (3_661 * 10**9, "1h1m1s"),
     (300_000_000, "300ms"), (1_500, "1.5µs"), (7, "7ns")],
)  # fmt: skip
def test_durations_are_shown_as_go_does(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text
