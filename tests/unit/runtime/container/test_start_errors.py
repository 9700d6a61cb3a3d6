"""Exit codes and statuses of failed starts."""

from __future__ import annotations

import pytest

from runtime.container.start_errors import container_failure, exec_failure
from runtime.errors import EngineError, InvalidArgument


@pytest.mark.parametrize(
    ("step", "cause", "code", "kind"),
    [
        ("lookup", 'exec: "x": executable file not found in $PATH', 127, InvalidArgument),
        ("lookup", 'exec: "/x": stat /x: no such file or directory', 127, InvalidArgument),
        ("lookup", 'exec: "/x": permission denied', 126, InvalidArgument),
        ("lookup", 'exec: "/etc": is a directory: permission denied', 126, InvalidArgument),
        ("mount", "error mounting: not a directory: Are you trying to", 127, InvalidArgument),
        ("cgroup", "unable to apply cgroup configuration: busy", 128, EngineError),
    ],
)
def test_the_cause_decides_code_and_status(
    step: str, cause: str, code: int, kind: type[EngineError]
) -> None:
    failure = container_failure(step, cause)
    assert failure.code == code
    assert type(failure.error()) is kind
    assert failure.message.endswith(cause)


def test_a_file_in_the_place_of_a_directory_is_explained() -> None:
    message = container_failure("lookup", 'exec: "/x/y": stat /x/y: not a directory').message
    assert ": not a directory: Are you trying to mount a directory onto a file" in message


def test_failures_say_that_they_are_inits() -> None:
    assert "error during container init: " in container_failure("mount", "error").message


def test_an_unknown_user_is_told_without_a_preamble() -> None:
    cause = "unable to find user x: no matching entries in passwd file"
    assert container_failure("user", cause).message == cause


def test_an_execs_failure_has_its_own_preamble() -> None:
    failure = exec_failure("exec", 'exec: "x": executable file not found in $PATH')
    assert failure.message.startswith("OCI runtime exec failed: exec failed: ")
    assert failure.code == 127
