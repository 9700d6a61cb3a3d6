"""The engine's process: options, locks, the parts put together, recovery, serving, the end.

One engine holds a data root and a run root by a lock each. Order of the start: locks, boot id,
database, launcher and networks, recovery, sockets, readiness; what clients need not wait for
(policies, orphans) comes after that. SIGTERM ends the engine, never the containers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from runtime import systemd
from runtime.api.router import Router
from runtime.assembly import Assembly
from runtime.config import (
    RESERVED_RUNTIME,
    VERSION,
    AddressPool,
    EngineConfig,
    RuntimeProgram,
    load_config,
    remap,
)
from runtime.container.log_options import check_log_config
from runtime.doctor import examine_stopped
from runtime.errors import EngineError, InvalidArgument
from runtime.host_checks import allow_many_files, check_host
from runtime.http_server.listeners import TlsFiles, open_listener, tls_context
from runtime.http_server.server import HttpServer
from runtime.neighbours import Registration, sweep
from runtime.ownership import Ownership, forget_tasks_of_earlier_boot
from runtime.userns_remap import read_id_map

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Sequence

_log = logging.getLogger("shoal")
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LOG_BYTES = 10 * 1024 * 1024
_STOP_SECONDS = 5.0
_STOP_MARGIN = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an engine until it is told to end; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        config = _config(options)
        if options.doctor:
            found = examine_stopped(config, repair=options.doctor == "repair")
            sys.stdout.write(json.dumps({"Findings": found}) + "\n")
            return 0
        check_host()
        allow_many_files()
        with Ownership(config):
            _start_logging(config)
            forget_tasks_of_earlier_boot(config)
            with Registration(config):
                sweep(config)
                asyncio.run(Daemon(config, _tls(options)).run())
    except EngineError as error:
        sys.stderr.write(f"shoald: {error.message}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shoald", allow_abbrev=False, description="The Shoal container engine."
    )
    parser.add_argument("-H", "--host", action="append", metavar="URL", dest="hosts")
    parser.add_argument("--data-root", metavar="DIR")
    parser.add_argument("--run-root", "--exec-root", metavar="DIR")
    parser.add_argument("-G", "--group", metavar="NAME")
    parser.add_argument("--config-file", metavar="FILE")
    parser.add_argument("-l", "--log-level", choices=("debug", "info", "warn", "error", "fatal"))
    parser.add_argument("-D", "--debug", action="store_const", const="debug", dest="log_level")
    parser.add_argument("--bip", metavar="CIDR", dest="bridge_address")
    parser.add_argument("--dns", action="append", metavar="ADDRESS")
    parser.add_argument("--label", action="append", metavar="KEY=VALUE", dest="labels")
    parser.add_argument("--host-gateway-ip", metavar="ADDRESS", dest="host_gateway")
    parser.add_argument(
        "--default-address-pool",
        action="append",
        metavar="base=CIDR,size=BITS",
        dest="address_pools",
        type=_pool,
    )
    parser.add_argument(
        "--add-runtime", action="append", metavar="NAME=PATH", dest="runtimes", type=_runtime
    )
    parser.add_argument("--default-runtime", metavar="NAME", dest="default_runtime")
    parser.add_argument("--cdi-spec-dir", action="append", metavar="DIR", dest="cdi_directories")
    parser.add_argument("--userns-remap", metavar="default|USER|UID[:GROUP]")
    parser.add_argument("--journal-socket", metavar="PATH")
    parser.add_argument("--log-driver", metavar="NAME")
    parser.add_argument("--log-opt", action="append", metavar="NAME=VALUE", dest="log_options")
    parser.add_argument("--tlsverify", action="store_true")
    parser.add_argument("--tlscacert", metavar="FILE", default="")
    parser.add_argument("--tlscert", metavar="FILE", default="")
    parser.add_argument("--tlskey", metavar="FILE", default="")
    parser.add_argument(
        "--doctor",
        choices=("look", "repair"),
        help="look for leaks of an engine that does not run, or repair them, and end",
    )
    parser.add_argument("-v", "--version", action="version", version=f"shoald {VERSION}")
    return parser


def _pool(value: str) -> AddressPool:
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    if parts.keys() != {"base", "size"} or not parts["size"].isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r}: must be base=CIDR,size=BITS")
    return AddressPool(parts["base"], int(parts["size"]))


def _runtime(value: str) -> tuple[str, RuntimeProgram]:
    name, equals, path = value.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"invalid argument {value!r}: must be name=path")
    if name == RESERVED_RUNTIME:
        raise argparse.ArgumentTypeError(f"runtime name {name!r} is reserved")
    return name, RuntimeProgram(path)


_FIELDS = (
    *("data_root", "run_root", "group", "log_level", "bridge_address", "host_gateway"),
    *("default_runtime", "userns_remap"),
    *("log_driver", "journal_socket"),
)
_LISTS = ("hosts", "dns", "labels", "address_pools", "cdi_directories")


def _config(options: argparse.Namespace) -> EngineConfig:
    values: dict[str, object] = {name: getattr(options, name) for name in _FIELDS}
    for name in _LISTS:
        given = getattr(options, name)
        values[name] = tuple(given) if given else None
    values["runtimes"] = dict(options.runtimes) if options.runtimes else None
    values["default_log_options"] = _log_options(options.log_options)
    config = load_config(values, os.environ, options.config_file)
    check_log_config(config.log_driver, config.default_log_options)
    if config.userns_remap:
        config = remap(config, read_id_map(config.userns_remap))
    return config


def _log_options(given: Sequence[str] | None) -> dict[str, str] | None:
    """Return the default options of the log driver.

    Raises:
        InvalidArgument: one of them has no name or no value.
    """
    for option in given or ():
        if "=" not in option:
            raise InvalidArgument(f"--log-opt {option}: must be NAME=VALUE")
    return dict(option.split("=", 1) for option in given) if given else None


def _tls(options: argparse.Namespace) -> TlsFiles | None:
    if not options.tlsverify:
        return None
    files = TlsFiles(options.tlscacert, options.tlscert, options.tlskey)
    if not (files.authority and files.certificate and files.key):
        raise InvalidArgument("--tlsverify needs --tlscacert, --tlscert and --tlskey")
    return files


def _start_logging(config: EngineConfig) -> None:
    """Log to a file, beginning a new one when it is large, and to standard error."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(config.log_path).st_size > _LOG_BYTES:
            os.replace(config.log_path, f"{config.log_path}.1")
    logging.raiseExceptions = False  # a full disk is no reason to fill another one
    levels = {"warn": "WARNING", "fatal": "CRITICAL"}
    logging.basicConfig(
        level=levels.get(config.log_level, config.log_level.upper()),
        format=_LOG_FORMAT,
        handlers=[logging.FileHandler(config.log_path), logging.StreamHandler()],
    )


class Daemon:
    """One run of an engine."""

    def __init__(self, config: EngineConfig, tls: TlsFiles | None = None) -> None:
        self._config = config
        self._tls = tls
        self._ending = asyncio.Event()
        self._urls = config.hosts or (f"unix://{config.socket_path}",)
        self._own: list[str] = []

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        assembly = Assembly(self._config)
        try:
            await assembly.start()
            server = HttpServer(Router(assembly.engine))
            await self._listen(server)
            systemd.notify(os.environ, "READY=1")
            _log.info("ready: shoald %s, data root %s", VERSION, self._config.data_root)
            await assembly.finish_recovery()
            await self._ending.wait()
            systemd.notify(os.environ, "STOPPING=1")
            machine_too = await asyncio.to_thread(systemd.going_down)
            assembly.engine.events.close()
            await server.close(_STOP_SECONDS)
            self._remove_sockets()
            if machine_too:
                await self._stop_containers(assembly)
        finally:
            await assembly.close()

    async def _stop_containers(self, assembly: Assembly) -> None:
        """Stop all containers, which the machine would not let live on; policies still hold."""
        seconds = assembly.longest_stop()
        _log.info("the machine is going down: containers are stopped, within %d s", seconds)
        extension = (seconds + _STOP_MARGIN) * 1_000_000
        systemd.notify(os.environ, f"EXTEND_TIMEOUT_USEC={extension}")
        await assembly.stop_containers()

    async def _listen(self, server: HttpServer) -> None:
        """Take systemd's sockets and open those of the settings that are not among them."""
        context: ssl.SSLContext | None = tls_context(self._tls) if self._tls else None
        activated = systemd.take_listeners(os.environ)
        taken = {f"unix://{sock.getsockname()}" for sock in activated}
        for sock in activated:
            await server.listen(sock)
        urls = self._config.hosts if activated else self._urls
        for url in urls:
            if url.startswith("fd://"):
                if not activated:
                    raise InvalidArgument(f"host {url}: no socket was passed by systemd")
            elif url not in taken:
                sock = self._open(url, context)
                self._own.append(url)
                await server.listen(sock, None if url.startswith("unix://") else context)

    def _remove_sockets(self) -> None:
        """Take away the socket files that this engine made, while it still owns its directories."""
        for url in self._own:
            with contextlib.suppress(OSError):
                os.unlink(url.removeprefix("unix://"))

    def _open(self, url: str, context: ssl.SSLContext | None) -> socket.socket:
        if url.startswith("tcp://") and context is None:
            _log.warning("%s is open to everybody who reaches it: use --tlsverify", url)
        return open_listener(url, self._config.group, encrypted=context is not None)
