"""Why a program could not be started: Docker's exit code, status and text for each cause.

The texts carry the prefixes of Docker's runtime because clients look for parts of them; the CLI
turns "executable file not found" and "no such file" into 127, "permission denied" into 126.
"""

from __future__ import annotations

from runtime.container.external_runtime import CREATE, EXEC, START
from runtime.container.hooks import FAILED, FAILED_LATE
from runtime.container.runtimes import message_of
from runtime.errors import EngineError, InvalidArgument
from runtime.record import record

_CREATED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
)
RUNTIME_REFUSED = f"{_CREATED}runc create failed: "
_CREATE = f"{RUNTIME_REFUSED}unable to start container process: "
_LOGGING = "failed to create task for container: failed to initialize logging driver: "
_INIT = "error during container init: "
REFUSED_IN_INIT = f"{_CREATE}{_INIT}"
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
_EXTERNAL = {
    CREATE: _CREATED,
    START: "failed to start task for container: OCI runtime start failed: ",
    EXEC: "OCI runtime exec failed: ",
}
_NOT_A_DIRECTORY = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified "
    "host path exists and is the expected type"
)
_MISSING = ("executable file not found", "no such file or directory", "not found")


@record
class StartFailure:
    """What a client is told: exit code of the state, text, and whether its request is at fault."""

    code: int
    message: str
    request_fault: bool

    def error(self) -> EngineError:
        """Return the error to raise."""
        return InvalidArgument(self.message) if self.request_fault else EngineError(self.message)


def _classify(cause: str) -> tuple[int, bool]:
    lowered = cause.lower()
    if "permission denied" in lowered or "is a directory" in lowered:
        return 126, True
    if "not a directory" in lowered or any(text in lowered for text in _MISSING):
        return 127, True
    return 128, False


def container_failure(step: str, cause: str) -> StartFailure:
    """Return what a client is told when a container's start failed in init.

    Args:
        step: the step of init.
        cause: its text, in Docker's words where there are such.
    """
    code, fault = _classify(cause)
    if step in _EXTERNAL:
        return StartFailure(code, _EXTERNAL[step] + message_of(cause), fault)
    if step == "logging":
        return StartFailure(code, _LOGGING + cause, fault)
    if step == FAILED_LATE:
        return StartFailure(code, RUNTIME_REFUSED + cause, fault)
    if step == FAILED:
        return StartFailure(code, REFUSED_IN_INIT + cause, fault)
    if step == "user" or cause.startswith("Cannot mkdir"):
        return StartFailure(code=128, message=cause, request_fault=False)
    return StartFailure(code, _CREATE + _INIT + _explained(cause), fault)


def exec_failure(step: str, cause: str) -> StartFailure:
    """Return what a client is told when an exec's start failed; see `container_failure`."""
    code, _fault = _classify(cause)
    if step in _EXTERNAL:
        return StartFailure(code, _EXTERNAL[step] + message_of(cause), request_fault=True)
    return StartFailure(code, _EXEC + _explained(cause), request_fault=True)


def _explained(cause: str) -> str:
    """Add what is often the reason when a file stands where a directory is wanted."""
    if "not a directory" in cause and "Are you trying" not in cause:
        return cause + _NOT_A_DIRECTORY
    return cause
