"""What is always true of an engine, after any crash, as soon as it is at rest.

Each invariant is a function from a `View` to findings, one sentence each; none means that it holds.
Numbers are those of the list in `INVARIANTS`. What the engine is doing at the moment may look like
a finding: `assert_invariants` looks again until there is none, for a generous while.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.network.firewall import Forwarding, forwarding_element, interface
from tests.support.engine_view import View, links, look, mapping
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.support.engine_process import EngineProcess, JsonObject

Findings = list[str]

_TASK = re.compile(r"([0-9a-f]{64})\.(\d+)\Z")


def one_shim_for_each_run(view: View) -> Findings:
    """A running row has exactly one living shim of its run; each shim has such a row."""
    wanted = {f"{identifier}.{row['run']}" for identifier, row in view.active.items()}
    found = [
        f"{name} runs and has {len(view.shims.get(name, []))} shims"
        for name in sorted(wanted)
        if len(view.shims.get(name, [])) != 1
    ]
    execs = view.objects.get("exec", {})
    for name in sorted(view.shims.keys() - wanted):
        if _TASK.match(name) or name not in execs:
            found.append(f"shim of {name} has no row")
        elif execs[name]["container"] not in view.active:
            found.append(f"shim of exec {name} lives without its container")
    return found


def one_overlay_for_each_upper(view: View) -> Findings:
    """An upper directory belongs to at most one mounted overlay, and to its own container."""
    devices: dict[str, set[str]] = {}
    for process in view.processes.values():
        for device, upper in _overlays(process.pid, f"{view.engine.storage}/containers/"):
            devices.setdefault(upper, set()).add(device)
    found = [
        f"{upper} is the upper directory of {len(mounted)} overlays"
        for upper, mounted in devices.items()
        if len(mounted) > 1
    ]
    uppers = {f"{view.engine.storage}/containers/{name}/diff" for name in view.active}
    found += [f"{upper} is mounted and nothing runs" for upper in devices.keys() - uppers]
    found += [f"{upper} is not mounted, its container runs" for upper in uppers - devices.keys()]
    return found


def _overlays(pid: int, place: str) -> Iterable[tuple[str, str]]:
    try:
        text = Path(f"/proc/{pid}/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        upper = re.search(r"upperdir=([^,]*)", after)
        if after.startswith("overlay") and upper and upper[1].startswith(place):
            yield before.split()[2], upper[1]


def mounts_follow_rows(view: View) -> Findings:
    """Nothing of the engine is in the host's table of mounts."""
    own = {str(view.engine.data_root), str(view.engine.run_root)}  # a file system of a test's own
    return [f"mounted on the host: {name}" for name in view.named("mount") - own]


def links_follow_rows(view: View) -> Findings:
    """Bridges are those of networks, their ports those of endpoints of running containers."""
    networks = view.objects.get("network", {})
    bridges = {str(row["link"]): identifier for identifier, row in networks.items() if row["link"]}
    present = links()
    found = [f"link {name} has no network" for name in _strays(view, present, set(bridges))]
    joined = [row for row in view.endpoints if row["interface"]]
    for bridge, identifier in bridges.items():
        wanted = {str(row["host_interface"]) for row in joined if row["network_id"] == identifier}
        if bridge not in present:
            found += [f"network {bridge} has endpoints and no link"] if wanted else []
            continue
        ports = set(os.listdir(f"/sys/class/net/{bridge}/brif"))
        found += [f"port {name} of {bridge} has no endpoint" for name in ports - wanted]
        found += [f"endpoint {name} is no port of {bridge}" for name in wanted - ports]
    return found


def _strays(view: View, present: set[str], bridges: set[str]) -> set[str]:
    """Return links that were an engine's: by tag, or by the name of a network that it had."""
    events = [event for event in view.events if event["Type"] == "network"]
    known = {f"sh-{str(mapping(event['Actor'])['ID'])[:12]}" for event in events}
    return {name for name in present if name.endswith(view.tag) or name in known} - bridges


def cgroups_follow_rows(view: View) -> Findings:
    """Each running container has a cgroup in each hierarchy that is used, nothing else has."""
    top = f"/shoal{view.tag}/"
    names = Counter(
        path.split(top, 1)[1].split("/")[0] for path in view.named("cgroup") if top in path
    )
    names.pop("", None)
    names.pop("shims", None)
    found = [f"cgroup {name} has no running container" for name in names.keys() - view.active]
    return found + [f"no cgroup of {name}" for name in view.active if not names[name]]


def packet_filter_follows_rows(view: View) -> Findings:
    """The elements of the packet filter are those of networks and of published ports."""
    elements = view.elements()
    expected: dict[str, set[tuple[bytes, bytes]]] = {}
    for name, element in map(forwarding_element, _forwardings(view)):
        expected.setdefault(name, set()).add((element.key, element.data or b""))
    if not elements:
        return ["ports are published and there is no packet filter"] if expected else []
    found = []
    for name in ("pub4", "pub6", "any4", "any6"):
        surplus = elements[name] - expected.get(name, set())
        missing = expected.get(name, set()) - elements[name]
        found += [f"{name}: element {key.hex()} has no row" for key, _ in surplus]
        found += [f"{name}: element {key.hex()} is missing" for key, _ in missing]
    networks = [row for row in view.objects.get("network", {}).values() if row["link"]]
    bridges = {interface(str(row["link"])) for row in networks}
    known = {key for key, _ in elements["bridges"]}
    return found + [
        f"bridges of rows and filter differ: {known ^ bridges}" for _ in [0] if known ^ bridges
    ]


def _forwardings(view: View) -> Iterable[Forwarding]:
    for identifier, row in view.sandboxes.items():
        ports = row["ports"]
        addresses = [
            str(endpoint["address4"])
            for endpoint in view.endpoints
            if endpoint["container_id"] == identifier
            and endpoint["address4"]
            and not endpoint["internal"]
        ]
        if not addresses or not isinstance(ports, list):
            continue
        answer = view.engine.call("GET", f"/containers/{identifier}/json")
        shown = _gateway_address(answer.json()) if answer.status == 200 else ""
        gateway = shown or addresses[0]
        for port in ports:
            if ":" not in str(port["host_ip"]):
                yield Forwarding(
                    str(port["protocol"]),
                    str(port["host_ip"]),
                    int(port["host_port"]),
                    gateway,
                    int(port["container_port"]),
                )


def _gateway_address(document: JsonObject) -> str:
    networks = mapping(mapping(document["NetworkSettings"])["Networks"])
    for name in sorted(networks):
        settings = mapping(networks[name])
        if settings["Gateway"]:
            return str(settings["IPAddress"])
    return ""


def each_run_starts_and_ends_once(view: View) -> Findings:
    """The events of a container are start, die, start, die...; the last one fits its row."""
    found: Findings = []
    for identifier, events in _by_container(view).items():
        actions = [str(event["Action"]) for event in events]
        steps = [action for action in actions if action in {"start", "die"}]
        if steps != ["start", "die"] * (len(steps) // 2) + ["start"] * (len(steps) % 2):
            found.append(f"{identifier}: events {steps}")
        if actions.count("destroy") > 1:
            found.append(f"{identifier}: destroyed {actions.count('destroy')} times")
        row = view.containers.get(identifier)
        if row is None:
            gone = actions[-1:] == ["destroy"] and len(steps) % 2 == 0
            found += (
                [] if gone else [f"{identifier}: no row, and the events end with {actions[-2:]}"]
            )
        elif "destroy" in actions:
            found.append(f"{identifier}: destroyed, and has a row")
        else:
            found += _differences(row, events, steps)
    return found


def _by_container(view: View) -> dict[str, list[JsonObject]]:
    grouped: dict[str, list[JsonObject]] = {}
    for event in view.events:
        if event["Type"] == "container" and event["Action"] != "prune":
            grouped.setdefault(str(mapping(event["Actor"])["ID"]), []).append(event)
    return grouped


def _differences(row: JsonObject, events: list[JsonObject], steps: list[str]) -> Findings:
    state, identifier = mapping(row["state"]), row["id"]
    active = bool(state["running"]) and not state["restarting"]
    if active != (steps[-1:] == ["start"]):
        return [f"{identifier}: {'runs' if active else 'does not run'} after events {steps[-2:]}"]
    if active or not steps or state["error"]:
        return []
    ends = [event for event in events if event["Action"] == "die"]
    code = mapping(mapping(ends[-1]["Actor"])["Attributes"])["exitCode"]
    if str(state["exit_code"]) != code:
        return [f"{identifier}: its row has code {state['exit_code']}, its last die has {code}"]
    return []


def leases_have_owners(view: View) -> Findings:
    """Every lease belongs to a running container, and is one that its rows name."""
    wanted = Counter(
        (f"ip:{row['network_id']}", str(row[key]), str(row["container_id"]))
        for row in view.endpoints
        for key in ("address4", "address6")
        if row[key]
    )
    for identifier, row in view.sandboxes.items():
        for port in row["ports"] if isinstance(row["ports"], list) else []:
            key = f"port:{port['protocol']}:{port['host_port']}", str(port["host_ip"])
            wanted[(*key, identifier)] += 1
    held = Counter(view.leases)
    found = [f"lease {lease} has no row" for lease in held - wanted]
    found += [f"{lease} is not leased" for lease in wanted - held]
    owners = {owner for _, _, owner in view.leases} | view.sandboxes.keys()
    owners |= {str(row["container_id"]) for row in view.endpoints}
    return found + [
        f"{name} holds addresses and does not run" for name in owners - view.active.keys()
    ]


def names_are_unique(view: View) -> Findings:
    """A name belongs to one container; the API lists the same containers as the rows."""
    listed = view.engine.call("GET", "/containers/json?all=1").list()
    names = Counter(name for entry in listed for name in _texts(entry["Names"]))
    found = [f"{count} containers are called {name}" for name, count in names.items() if count > 1]
    identifiers = {str(entry["Id"]) for entry in listed}
    return found + [
        f"{identifier} is only {'listed' if identifier in identifiers else 'a row'}"
        for identifier in identifiers ^ view.containers.keys()
    ]


def _texts(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []


_SHIM_MAY_HOLD = re.compile(
    r"/dev/null|/dev/pts/ptmx|/dev/ptmx|/ptmx|pipe:.*|socket:.*|anon_inode:\[(pidfd|signalfd|eventpoll)\]"
    r"|net:.*"
)
_INIT_MAY_NOT_HOLD = re.compile(r"/memfd:plan.*|(net|mnt|pid|ipc|uts|user|cgroup):.*|.*\[pidfd\]")


def descriptors_stay_where_they_belong(view: View) -> Findings:
    """A shim holds its store and streams only; a program inherits nothing of ours."""
    found = []
    for name, processes in view.shims.items():
        container = name.split(".")[0]
        own = (
            f"{view.engine.run_root}/tasks/{name}",
            f"{view.engine.storage}/containers/{container}",
        )
        for process in processes:
            held = process.descriptors().values()
            foreign = [t for t in held if not _SHIM_MAY_HOLD.fullmatch(t) and not t.startswith(own)]
            found += [f"shim of {name} ({process.pid}) holds {target}" for target in foreign]
            spaces = sum(target.startswith("net:") for target in held)
            found += [f"shim of {name} holds {spaces} network namespaces"] if spaces > 1 else []
    roots = str(view.engine.data_root), str(view.engine.run_root)
    for identifier, row in view.active.items():
        pid = int(str(mapping(row["state"])["pid"]))
        init = view.processes.get(pid)
        for number, target in init.descriptors().items() if init else ():
            if number > 2 and (_INIT_MAY_NOT_HOLD.match(target) or target.startswith(roots)):
                found.append(f"the program of {identifier} holds {number}: {target}")
    return found


def processes_stay_in_their_cgroups(view: View) -> Findings:
    """All processes in a container's pid namespace are in its cgroup; other cgroups are empty."""
    found = []
    spaces = {}
    for identifier, row in view.active.items():
        init = view.processes.get(int(str(mapping(row["state"])["pid"])))
        if init is None:
            found.append(f"{identifier} runs, and its process is not there")
        else:
            spaces[init.pid_namespace] = identifier
    for process in view.processes.values():
        owner = spaces.get(process.pid_namespace) if process.state not in "ZX" else None
        path = f"/shoal{view.tag}/{owner}"
        if owner and not any(_inside(entry, path) for entry in process.cgroups):
            found.append(f"process {process.pid} of {owner} is in {sorted(process.cgroups)}")
        for entry in process.cgroups:
            if entry.startswith(f"/shoal{view.tag}/"):
                top = entry.split("/")[2]
                if top != "shims" and top not in view.active and process.state not in "ZX":
                    found.append(f"process {process.pid} is in the cgroup of {top}, which is over")
    return found


def _inside(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def no_zombies(view: View) -> Findings:
    """No process of ours, the engine included, leaves a child unreaped."""
    ours = {process.pid: process.name for process in view.own}
    ours[view.engine.pid] = "engine"
    return [
        f"zombie {process.pid} ({process.name}) of {ours[process.parent]} {process.parent}"
        for process in view.processes.values()
        if process.state == "Z" and process.parent in ours
    ]


def nothing_is_half_done(view: View) -> Findings:
    """At rest no operation is recorded as begun, and no row of one is left."""
    found = [f"intent {kind} of {name}" for kind, name in view.intents]
    for identifier, row in view.containers.items():
        state = mapping(row["state"])
        found += [f"{identifier} is {word}" for word in ("starting", "removing") if state[word]]
    known = view.containers.keys()
    for place in ("containers", "trash"):
        for name in os.listdir(view.engine.storage / place):
            if place == "trash" or name not in known:
                found.append(f"{place}/{name} belongs to nobody")
    tasks = view.engine.run_root / "tasks"
    wanted = {f"{name}.{row['run']}" for name, row in view.active.items()}
    wanted |= view.objects.get("exec", {}).keys()
    for name in os.listdir(tasks) if tasks.exists() else []:
        found += [] if name in wanted else [f"tasks/{name} belongs to nobody"]
    return found


def launcher_is_one(view: View) -> Findings:
    """There is at most one launcher; one that was killed is replaced when it is needed."""
    count = sum(
        process.name == "shoal-launcher" and process.state not in "ZX" for process in view.own
    )
    return [] if count <= 1 else [f"{count} launchers"]


INVARIANTS: Mapping[str, Callable[[View], Findings]] = {
    "1 shims": one_shim_for_each_run,
    "1 launcher": launcher_is_one,
    "2 overlays": one_overlay_for_each_upper,
    "3 mounts": mounts_follow_rows,
    "3 links": links_follow_rows,
    "3 cgroups": cgroups_follow_rows,
    "3 packet filter": packet_filter_follows_rows,
    "4 events": each_run_starts_and_ends_once,
    "7 leases": leases_have_owners,
    "8 names": names_are_unique,
    "9 descriptors": descriptors_stay_where_they_belong,
    "10 processes": processes_stay_in_their_cgroups,
    "11 zombies": no_zombies,
    "16 rest": nothing_is_half_done,
}
"""By number in the specification. The others need more than one look: logs (5) `log_findings`,
ends of streams (6) and 12 to 17 stand in the tests that make them happen."""


def findings(engine: EngineProcess) -> Findings:
    """Return what is not as it has to be at this moment."""
    try:
        view = look(engine)
        return [
            f"{name}: {finding}" for name, check in INVARIANTS.items() for finding in check(view)
        ]
    except FileNotFoundError as error:
        return [f"something went away while it was looked at: {error}"]


def assert_invariants(engine: EngineProcess) -> None:
    """Fail when an invariant does not come true although the engine has time to come to rest."""
    last: Findings = []

    def hold() -> bool:
        last[:] = findings(engine)
        return not last

    eventually(hold, lambda: "\n".join(["invariants are broken:", *last]))


def log_findings(lines: Iterable[bytes]) -> Findings:
    """Check the numbered lines of one stream: from 0 without a gap, again from 0 with each run."""
    found = []
    expected = 0
    for line in lines:
        number = int(line) if line.isdigit() else -1
        if number not in {expected, 0}:
            found.append(f"5 logs: {line[:40]!r} comes where {expected} is due")
        expected = number + 1
    return found


def settled_rows(engine: EngineProcess) -> dict[str, object]:
    """Return everything durable that a recovery must not change the second time."""
    view = look(engine)
    return {
        "objects": view.objects,
        "leases": sorted(view.leases),
        "intents": sorted(view.intents),
        "events": view.events,
        "links": sorted(view.named("link")),
        "elements": view.elements(),
        "cgroups": sorted(view.named("cgroup")),
    }
