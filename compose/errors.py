"""Every failure the client half reports, as one tree of classes.

::

    ShoalError                    message, hint, location, exit code
     +- UsageError                wrong flags or arguments of a command
     +- Interrupted               the user ended the command (130)
     +- LoadError                 the project cannot be loaded
     |   +- SourceMissing         a compose, env, label or included file is not there
     |   +- DocumentError         the text is no YAML, or not the YAML of a compose file
     |   +- InterpolationError    a ``${...}`` is malformed, required but unset, or cannot be cast
     |   +- SchemaError           unknown key, wrong type, word outside its enumeration
     |   +- ValueFormatError      a port, volume, size, duration ... that cannot be read
     |   +- UndefinedReference  a name of something the project does not define
     |   +- ConsistencyError      values that contradict each other
     |   +- CycleError            services, extends or includes in a circle
     +- OperationFailed           a step of a plan did not succeed
     +- EngineError               the engine answered with a status of 400 or more
     |   +- BadRequest            400
     |   +- Unauthorized          401
     |   +- Forbidden             403
     |   +- NotFound              404
     |   +- Conflict              409
     |   +- Gone                  410
     |   +- ServerError           500
     |   +- NotImplementedByEngine  501
     |   +- Unavailable           503
     +- EngineUnavailable         nobody answers on the engine's address
     +- ProtocolError             the answer is not what the Docker Engine API promises

A message reads *subject: what is wrong*, quotes the offending value and has no full stop; the
remedy stands in ``hint``. Only the command edge (``compose/cli.py``) turns an error into text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Location:
    """A place in a source file: path as the user named it, line and column from 1 (0: unknown)."""

    __slots__ = ("column", "file", "line")

    def __init__(self, file: str, line: int = 0, column: int = 0) -> None:
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if not self.line:
            return self.file
        if not self.column:
            return f"{self.file}:{self.line}"
        return f"{self.file}:{self.line}:{self.column}"

    def __repr__(self) -> str:
        return f"Location({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, int, int]:
        return self.file, self.line, self.column


class ShoalError(Exception):
    """A failure that the user can understand: one line, perhaps a hint, never a traceback.

    Attributes:
        excerpt: the lines of the file around the place, with a caret; filled by the loader.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        location: Location | None = None,
        exit_code: int | None = None,
        others: Sequence[ShoalError] = (),
    ) -> None:
        """Describe one failure.

        Args:
            message: what is wrong, without location and without full stop.
            hint: what to do about it.
            location: where it is written.
            exit_code: the exit code of the command, if it differs from the class's.
            others: further failures found in the same run, reported below this one.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location
        self.others = tuple(others)
        self.excerpt = ""
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class UsageError(ShoalError):
    """Wrong flags or arguments of a command."""


class Interrupted(ShoalError):
    """The user ended the command."""

    exit_code = 130


class LoadError(ShoalError):
    """The project cannot be loaded."""


class SourceMissing(LoadError):
    """A compose, env, label or included file is not there or not readable."""


class DocumentError(LoadError):
    """The text is no YAML, or not the YAML of a compose file."""


class InterpolationError(LoadError):
    """A ``${...}`` is malformed, required but unset, or its value cannot be cast."""


class SchemaError(LoadError):
    """Unknown key, wrong type, or a word outside its enumeration."""


class ValueFormatError(LoadError):
    """A port, volume, size, duration or the like that cannot be read."""


class UndefinedReference(LoadError):
    """A name of something that the project does not define."""


class ConsistencyError(LoadError):
    """Values that are fine alone and contradict each other."""


class CycleError(LoadError):
    """Services, ``extends`` or ``include`` that lead back to themselves."""


class OperationFailed(ShoalError):
    """A step of a plan did not succeed."""


class EngineUnavailable(ShoalError):
    """Nobody answers on the engine's address."""


class ProtocolError(ShoalError):
    """The answer is not what the Docker Engine API promises."""


class EngineError(ShoalError):
    """The engine answered with a status of 400 or more; the message is the engine's own."""

    status = 0

    def __init__(self, message: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        if status is not None:
            self.status = status


class BadRequest(EngineError):
    """The engine refuses a parameter (400)."""

    status = 400


class Unauthorized(EngineError):
    """Credentials are missing or wrong (401)."""

    status = 401


class Forbidden(EngineError):
    """The engine does not allow it (403)."""

    status = 403


class NotFound(EngineError):
    """The container, image, network or volume does not exist (404)."""

    status = 404


class Conflict(EngineError):
    """The object's state or name is in the way (409)."""

    status = 409


class Gone(EngineError):
    """The engine no longer supports the call (410)."""

    status = 410


class ServerError(EngineError):
    """The engine itself failed (500)."""

    status = 500


class NotImplementedByEngine(EngineError):
    """The engine does not know the call (501)."""

    status = 501


class Unavailable(EngineError):
    """The engine cannot do it now (503)."""

    status = 503


STATUS_ERRORS: dict[int, type[EngineError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        Gone,
        ServerError,
        NotImplementedByEngine,
        Unavailable,
    )
}


def engine_error(status: int, message: str) -> EngineError:
    """Return the error for an answer of the engine; an unlisted status keeps its number."""
    return STATUS_ERRORS.get(status, EngineError)(message, status=status)


def join(errors: Iterable[ShoalError]) -> ShoalError:
    """Return the first of several errors, carrying the rest in its ``others``."""
    first, *rest = errors
    first.others = (*first.others, *rest)
    return first
