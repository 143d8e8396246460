"""Changes a process to an unprivileged user and group, if that can be (credentials(7))."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ikepy.daemon.process.capabilities import Capability, bound_to, effective, keep_permitted

NEEDED = (Capability.SETUID, Capability.SETGID, Capability.KILL)  # KILL: to end processes of another user


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, as the numbers that the kernel knows."""

    uid: int
    gid: int

    def obstacle(self) -> str | None:
        """Why processes of ours can't change to this user, in words; None if they can."""
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

    def become(self, kept: Collection[Capability] = ()) -> None:
        """Change this process to the user, without supplementary groups, and empty its bounding set.

        `kept`: what this thread can still give itself by `keep_only`. Raises OSError.
        """
        bound_to(kept)
        if kept:
            keep_permitted()
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


def _mapped(path: Path, number: int) -> bool:
    """Whether uid_map or gid_map, lines of first inside, first outside, count, has this number."""
    ranges = (line.split() for line in path.read_text().splitlines())
    return any(int(first) <= number < int(first) + int(count) for first, _, count in ranges)


def closed_to_root() -> Path | None:
    """A directory above the interpreter or a module that root enters only by CAP_DAC_READ_SEARCH, if any."""
    return closed_to(Account(0, 0))


def closed_to(account: Account) -> Path | None:
    """A directory above the interpreter or a module that the account can't enter, capabilities apart."""
    modules = [Path(each) for each in sys.path if each]
    for path in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__).resolve(), *modules):
        for directory in path.parents if not path.is_dir() else (path, *path.parents):
            if not _is_open(directory.stat(), account):
                return directory
    return None


def _is_open(found: os.stat_result, account: Account) -> bool:
    """Whether the account enters the directory without a capability: as its owner, its group, or one of the
    others."""
    shift = 6 if found.st_uid == account.uid else 3 if found.st_gid == account.gid else 0
    return bool(stat.S_IMODE(found.st_mode) >> shift & 1)
