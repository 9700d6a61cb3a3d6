"""Hooks of CDI devices whose outcome is recorded from a Docker Engine and compared."""

from __future__ import annotations

JsonObject = dict[str, object]

KIND = "hooks.test/case"
MOMENTS = (
    *("prestart", "createRuntime", "createContainer", "startContainer", "poststart"),
    "poststop",
)


def hook(moment: str, script: str, **fields: object) -> JsonObject:
    """Return a hook that runs a shell script."""
    entry = {"hookName": moment, "path": "/bin/sh", "args": ["sh", "-c", script]}
    return {**entry, **fields}


_FAILING = "echo to output; echo to errors >&2; exit 3"

CASES: dict[str, list[JsonObject]] = {
    **{f"fails-{moment}": [hook(moment, _FAILING)] for moment in MOMENTS},
    **{f"missing-{moment}": [{"hookName": moment, "path": "/no/such/hook"}] for moment in MOMENTS},
    **{f"hangs-{moment}": [hook(moment, "exec sleep 1000", timeout=1)] for moment in MOMENTS},
    "killed": [hook("createRuntime", "kill -9 $$")],
    "terminated": [hook("createContainer", "kill $$")],
    "not-executable": [{"hookName": "createRuntime", "path": "/etc/passwd"}],
    "a-directory": [{"hookName": "createRuntime", "path": "/etc"}],
    "relative": [{"hookName": "createRuntime", "path": "bin/sh"}],
    "silent": [hook("createRuntime", "exit 1")],
    "second": [hook("createRuntime", "exit 0"), hook("createRuntime", "echo no >&2; exit 4")],
    "fine": [
        hook(moment, 'test "$A" = b && cat >/dev/null', env=["A=b"], timeout=30)
        for moment in MOMENTS
    ],
    "no-arguments": [{"hookName": "createRuntime", "path": "/bin/true"}],
}


def devices() -> list[JsonObject]:
    """Return a device for each case."""
    return [{"name": name, "containerEdits": {"hooks": hooks}} for name, hooks in CASES.items()]


def document() -> JsonObject:
    """Return the CDI file."""
    return {"cdiVersion": "0.6.0", "kind": KIND, "devices": devices()}


def wanted(name: str, kind: str = KIND) -> JsonObject:
    """Return the HostConfig of a container that asks for a device."""
    request = {"Driver": "cdi", "DeviceIDs": [f"{kind}={name}"]}
    return {"NetworkMode": "none", "DeviceRequests": [request]}
