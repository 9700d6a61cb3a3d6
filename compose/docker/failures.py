"""Errors of docker commands as the docker command line words them, with its exit codes."""

from __future__ import annotations

from compose.errors import EngineError, ShoalError

REFUSED, CANNOT_EXECUTE, NOT_FOUND = 125, 126, 127
_MISSING = ("executable file not found", "no such file or directory", "system cannot find the file")
_FORBIDDEN = ("permission denied", "is a directory")


class CommandFailed(ShoalError):
    """A command failed; the message is everything that is printed."""


def usage_failed(command: str, usage: str, message: str) -> CommandFailed:
    """Return the error for a flag that cannot be read."""
    text = (
        f"{message}\n\nUsage:  docker {command} {usage}\n\nRun 'docker {command} --help' for more "
    )
    return CommandFailed(f"{text}information", exit_code=REFUSED)


def arguments_failed(command: str, usage: str, needs: str) -> CommandFailed:
    """Return the error for too few or too many arguments."""
    see = "Run" if "at least" not in needs else "See"
    return CommandFailed(
        f"docker: 'docker {command}' {needs}\n\nUsage:  docker {command} {usage}\n\n"
        f"{see} 'docker {command} --help' for more information"
    )


def run_failed(command: str, error: ShoalError, code: int = REFUSED) -> CommandFailed:
    """Return the error for a container that cannot be made or started."""
    message = str(error)
    if isinstance(error, EngineError):
        message = f"Error response from daemon: {error.message}"
    text = f"docker: {message}\n\nRun 'docker {command} --help' for more information"
    return CommandFailed(text, exit_code=code)


def start_code(message: str) -> int:
    """Return the exit code for a start that the engine refused."""
    lowered = message.lower()
    if any(text in lowered for text in _MISSING):
        return NOT_FOUND
    if any(text in lowered for text in _FORBIDDEN):
        return CANNOT_EXECUTE
    return REFUSED
