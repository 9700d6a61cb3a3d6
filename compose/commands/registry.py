"""The verbs: name, module, one line of help. A module is imported when its verb is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose.flags import Command

VERBS: dict[str, tuple[str, str]] = {
    "build": ("build", "Build or rebuild services"),
    "config": ("config", "Parse, resolve and render compose file in canonical format"),
    "cp": ("cp", "Copy files/folders between a service container and the local filesystem"),
    "create": ("up", "Creates containers for a service"),
    "docker": ("docker", "Run a command of the docker command line"),
    "down": ("down", "Stop and remove containers, networks"),
    "engine": ("engine", "Start, stop, describe, install or mend Shoal's own engine"),
    "events": ("logs", "Receive real time events from containers"),
    "exec": ("exec", "Execute a command in a running container"),
    "image": ("image", "Make an image of programs of this machine (image pack)"),
    "images": ("images", "List images used by the created containers"),
    "kill": ("lifecycle", "Force stop service containers"),
    "logs": ("logs", "View output from containers"),
    "ls": ("status", "List running compose projects"),
    "network": ("network", "Show who reaches whom, or follow one connection"),
    "pause": ("lifecycle", "Pause services"),
    "port": ("status", "Print the public port for a port binding"),
    "ps": ("status", "List containers"),
    "pull": ("images", "Pull service images"),
    "push": ("images", "Push service images"),
    "restart": ("lifecycle", "Restart service containers"),
    "rm": ("down", "Removes stopped service containers"),
    "run": ("run", "Run a one-off command on a service"),
    "scale": ("up", "Scale services"),
    "start": ("lifecycle", "Start services"),
    "stop": ("lifecycle", "Stop services"),
    "top": ("status", "Display the running processes"),
    "ui": ("ui", "Show the dashboard"),
    "unpause": ("lifecycle", "Unpause services"),
    "up": ("up", "Create and start containers"),
    "version": ("version", "Show the Shoal version information"),
    "volume": ("volume", "Export, import or copy the content of a volume"),
    "volumes": ("status", "List volumes"),
    "wait": ("lifecycle", "Block until containers of all (or specified) services stop."),
    "why": ("why", "Tell why a container is in its state"),
}


def find_command(verb: str) -> Command | None:
    """The description of a verb, from its module's ``COMMANDS``; None when there is no such verb.

    Raises:
        ModuleNotFoundError: the verb is listed but its module is not part of this build.
    """
    if verb not in VERBS:
        return None
    module = __import__(f"compose.commands.{VERBS[verb][0]}", fromlist=["COMMANDS"])
    commands: tuple[Command, ...] = module.COMMANDS
    return next(command for command in commands if command.name == verb)
