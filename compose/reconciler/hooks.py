"""``post_start`` and ``pre_stop``: commands run inside a container, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from compose.engine.stream import FrameDecoder
from compose.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compose.engine.client import EngineClient
    from compose.engine.wire import ExecBody
    from compose.model.build import Hook

HookOutput: TypeAlias = "Callable[[str, bytes], None]"


async def run_hooks(
    client: EngineClient,
    container: str,
    service: str,
    hooks: Iterable[Hook],
    output: HookOutput | None = None,
) -> None:
    """Run hooks in order; the first that fails ends it.

    Args:
        client: the engine.
        container: id of a running container.
        service: its service, for messages.
        hooks: what to run.
        output: takes what they print; without it that is dropped.
    """
    for hook in hooks:
        body: ExecBody = {
            "Cmd": list(hook.command or ()),
            "User": hook.user,
            "Privileged": hook.privileged,
            "WorkingDir": hook.working_dir,
            "Env": [k if v is None else f"{k}={v}" for k, v in hook.environment.items()],
            "AttachStdout": True,
            "AttachStderr": True,
        }
        process = await client.create_exec(container, body)
        stream = await client.start_exec(process, tty=False)
        decoder = FrameDecoder()
        try:
            while data := await stream.read():
                for _, piece in decoder.feed(data):
                    if output is not None:
                        output(container, piece)
        finally:
            stream.close()
        code = (await client.inspect_exec(process)).get("ExitCode") or 0
        if code:
            raise OperationFailed(f"{service} hook exited with status {code}")
