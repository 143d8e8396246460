"""Changes a worker process to an unprivileged user and group, if it can (credentials(7))."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.capabilities import Capability, bound_to, effective

NEEDED = (Capability.SETUID, Capability.SETGID, Capability.KILL)  # KILL: to end processes of another user
NOBODY = 65534  # the kernel's overflowuid, and Debian's nobody and nogroup


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, as the numbers that the kernel knows."""

    uid: int
    gid: int

    @classmethod
    def of(cls, name: str) -> Account:
        """The account of that name. Raises StartError."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            if name == "nobody":
                return cls(NOBODY, NOBODY)  # a container may have no user database at all
            text = (
                f'there is no user {name!r} here: name one, or "" for the one that the daemon itself runs as'
            )
            raise StartError(text, key="daemon.worker_user") from None
        return cls(entry.pw_uid, entry.pw_gid)

    def obstacle(self) -> str | None:
        """Why workers can't change to this user, in words; None if they can."""
        have = effective()
        lacking = [one for one in NEEDED if not have >> one & 1]
        if lacking:
            return f"that needs {', '.join(f'CAP_{one.name}' for one in lacking)}"
        for kind, number in (("uid", self.uid), ("gid", self.gid)):
            if not _mapped(Path(f"/proc/self/{kind}_map"), number):
                return f"this user namespace has no {kind} {number}"
        if Path("/proc/self/setgroups").read_text().strip() != "allow":
            return "this user namespace permits no setgroups (user_namespaces(7))"
        return None

    def become(self) -> None:
        """Change this process to the user, without supplementary groups, and empty its bounding set.

        Raises OSError.
        """
        bound_to(())
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


def of_workers(name: str) -> Account | None:
    """The account that workers change to. None: they stay the daemon's own user, because `name` is empty or
    for a reason that is logged.

    Raises StartError for a user that doesn't exist.
    """
    if not name:
        return None
    account = Account.of(name)
    obstacle = account.obstacle()
    if obstacle is None:
        return account
    log.info("daemon", f"workers stay this user, without any capability, and don't become {name}: {obstacle}")
    return None


def _mapped(path: Path, number: int) -> bool:
    """Whether uid_map or gid_map, lines of first inside, first outside, count, has this number."""
    ranges = (line.split() for line in path.read_text().splitlines())
    return any(int(first) <= number < int(first) + int(count) for first, _, count in ranges)


def closed_to_root() -> Path | None:
    """A directory above the interpreter or a module that root enters only by CAP_DAC_READ_SEARCH, if any."""
    modules = [Path(each) for each in sys.path if each]
    for path in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__).resolve(), *modules):
        for directory in path.parents if not path.is_dir() else (path, *path.parents):
            if not _is_open(directory.stat()):
                return directory
    return None


def _is_open(found: os.stat_result) -> bool:
    """Whether root enters the directory without a capability: as its owner, its group, or one of the
    others."""
    shift = 6 if found.st_uid == 0 else 3 if found.st_gid == 0 else 0
    return bool(stat.S_IMODE(found.st_mode) >> shift & 1)
