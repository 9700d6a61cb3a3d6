"""The option ``userns-remap``: whose subordinate ids the containers get (man page subuid(5)).

The value is ``default``, a user, a number, or either with a group after a colon. The ranges are
those of the user in ``/etc/subuid`` and ``/etc/subgid``, in the order in which they stand there,
put together so that the ids inside begin at 0 and leave no gap.
"""

from __future__ import annotations

import grp
import logging
import pwd
import shutil
import subprocess
from typing import TYPE_CHECKING

from runtime.errors import EngineError, InvalidArgument
from runtime.id_map import IdMap, Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUBUID, SUBGID = "/etc/subuid", "/etc/subgid"
DEFAULT, DEFAULT_USER = "default", "dockremap"
_SEPARATED = "Can't create ID mappings: "

_log = logging.getLogger("shoal")


def read_id_map(option: str, subuid: str = SUBUID, subgid: str = SUBGID) -> IdMap | None:
    """Return the map that the option asks for; None when it names root, which changes nothing.

    Args:
        option: the option's value.
        subuid: file with the ranges of users.
        subgid: file with the ranges of groups.

    Raises:
        InvalidArgument: user, group or ranges are absent; the text is Docker's.
        EngineError: the user ``dockremap`` is absent and cannot be made.
    """
    user = _user(option)
    if user == "root":
        _log.warning(
            "User namespaces: root cannot be remapped with itself; user namespaces are OFF"
        )
        return None
    number = str(pwd.getpwnam(user).pw_uid)
    uids = _ranges(subuid, {user, number})
    gids = _ranges(subgid, {user, number})
    for kind, found in (("subuid", uids), ("subgid", gids)):
        if not found:
            raise InvalidArgument(f'{_SEPARATED}no {kind} ranges found for user "{user}"')
    return IdMap(uids, gids)


def parse_ranges(lines: Iterable[str], owners: set[str]) -> Sequence[Range]:
    """Return the ranges of some owners, one behind the other; comments are passed over.

    Raises:
        ValueError: a line is not ``owner:first:count``.
    """
    found: list[Range] = []
    following = 0
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        owner, first, count = text.split(":")
        if owner in owners:
            found.append(Range(following, int(first), int(count)))
            following += int(count)
    return tuple(found)


def _ranges(path: str, owners: set[str]) -> Sequence[Range]:
    try:
        with open(path, encoding="utf-8") as file:
            return parse_ranges(file, owners)
    except FileNotFoundError as error:
        raise InvalidArgument(f"{_SEPARATED}open {path}: no such file or directory") from error
    except ValueError as error:
        raise InvalidArgument(f"{_SEPARATED}{path}: a line is not owner:first:count") from error


def _user(option: str) -> str:
    """Return the name of the user whose ranges are meant; the group is looked up as well."""
    words = option.split(":")
    if len(words) > 2:
        raise InvalidArgument(f'Invalid user/group specification in --userns-remap: "{option}"')
    name, *group = words
    user = _user_of_number(int(name)) if name.isdecimal() else _user_of_name(name)
    if group:
        _check_group(group[0])
    elif name.isdecimal():
        _look_up_group(int(name), f"Gid {int(name)} has no entry in /etc/group: ")
    else:
        _look_up_group(user, f'Error during gid lookup for "{user}": ')
    return user


def _user_of_number(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError) as error:
        raise InvalidArgument(
            f"Uid {number} has no entry in /etc/passwd: {_no_entry(number, 'passwd')}"
        ) from error


def _user_of_name(name: str) -> str:
    if name == DEFAULT:
        return _default_user()
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError as error:
        raise InvalidArgument(
            f'Error during uid lookup for "{name}": {_no_entry(name, "passwd")}'
        ) from error


def _check_group(name: str) -> None:
    if name.isdecimal():
        _look_up_group(int(name), f"Gid {int(name)} has no entry in /etc/passwd: ")
    else:
        _look_up_group(name, f'Error during groupname lookup for "{name}": ')


def _look_up_group(group: str | int, complaint: str) -> None:
    try:
        if isinstance(group, int):
            grp.getgrgid(group)
        else:
            grp.getgrnam(group)
    except (KeyError, OverflowError) as error:
        raise InvalidArgument(f"{complaint}{_no_entry(group, 'group')}") from error


def _no_entry(key: str | int, database: str) -> str:
    return f'getent unable to find entry "{key}" in {database} database'


def _default_user() -> str:
    """Return ``dockremap``, made as Docker makes it where it is absent.

    Programs of the system add the user with its group, and ranges behind those of all others.
    """
    try:
        return pwd.getpwnam(DEFAULT_USER).pw_name
    except KeyError:
        pass
    complaint = f'Error during "{DEFAULT_USER}" user creation: '
    program = shutil.which("useradd")
    if program is None:
        raise EngineError(
            f"{complaint}cannot add user; no useradd binary found: add the user and the group "
            f"{DEFAULT_USER}, and a line {DEFAULT_USER}:FIRST:65536 to {SUBUID} and {SUBGID}"
        )
    command = [program, "--system", "--user-group", "--no-create-home"]
    command += ["--shell", "/bin/false", DEFAULT_USER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{complaint}{done.stderr.strip()}")
    _add_ranges(DEFAULT_USER)
    return DEFAULT_USER


_FIRST, _COUNT = 100000, 65536


def _add_ranges(user: str) -> None:
    """Give a new user ranges behind all others, unless ``useradd`` has given some."""
    for path in (SUBUID, SUBGID):
        lines: list[str] = []
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line for line in file if line.strip() and not line.startswith("#")]
        except FileNotFoundError:
            pass
        if any(line.startswith(f"{user}:") for line in lines):
            continue
        ends = [int(first) + int(count) for _, first, count in (x.split(":") for x in lines)]
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{user}:{max([_FIRST, *ends])}:{_COUNT}\n")
