"""Errors of the engine, by kind and not by subsystem.

The API turns a kind into an HTTP status in one place (`runtime/api/status.py`); the message is what
the client sees, so where clients match on Docker's wording it is Docker's.

    EngineError               500  something failed; the message says what and what to do
    ├── NotModified           304  the wished state is already there
    ├── InvalidArgument       400  the request can never work
    ├── Unauthorized          401  credentials are missing or wrong
    ├── Forbidden             403  not allowed for this object
    ├── NotFound              404  no such object
    ├── Conflict              409  the object's state does not allow it now
    ├── NotImplementedByEngine 501 Shoal does not do this
    └── Unavailable           503  cannot be done at the moment
"""

from __future__ import annotations


class EngineError(Exception):
    """Something failed for a reason that is not the request's fault; the base of all kinds."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotModified(EngineError):
    """The object already is in the wished state."""


class InvalidArgument(EngineError):
    """The request can never work as it was sent."""


class Unauthorized(EngineError):
    """Credentials are missing or were refused."""


class Forbidden(EngineError):
    """The operation is not allowed on this object."""


class NotFound(EngineError):
    """The named object does not exist."""


class Conflict(EngineError):
    """The object's present state, or another object, does not allow the operation."""


class NotImplementedByEngine(EngineError):
    """Shoal does not do this; the message names what to use instead."""


class Unavailable(EngineError):
    """The operation cannot be done at the moment."""
