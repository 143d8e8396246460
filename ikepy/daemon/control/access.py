"""Who may use the control socket: root, the user who starts the daemon, and the members of one group.

The file's mode keeps others from connecting (unix(7)). It is not all: a mode may be changed, and a directory
mounted elsewhere. So each peer is looked at, as the kernel knows it from the moment that it connected.
"""

from __future__ import annotations

import grp
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from ikepy.daemon.errors import StartError

KEY = "daemon.socket_group"
ROOT = 0
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)
_PEERGROUPS = 59  # SO_PEERGROUPS (Linux 4.13), which Python's socket has no name for
_GROUPS_OCTETS = 1024  # the most that Python's getsockopt takes: 256 groups
_GID = 4  # octets


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end. `pid` 0: it is in another PID namespace."""

    pid: int
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, sock: socket.socket) -> Peer:
        """Raises OSError."""
        pid, uid, gid = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        return cls(pid, uid, frozenset((gid, *_other_groups(sock))))


def _other_groups(sock: socket.socket) -> tuple[int, ...]:
    """The peer's supplementary groups; none if the kernel does not tell, or there are too many."""
    try:
        octets = sock.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _GROUPS_OCTETS)
    except OSError:
        return ()
    return struct.unpack(f"={len(octets) // _GID}I", octets)


@dataclass(frozen=True, slots=True)
class Access:
    """Which peers are served. `owner`: who starts the daemon; `group`: a group's number; None: none is."""

    owner: int
    group: int | None = None

    @classmethod
    def of(cls, group: str) -> Access:
        """Ours and, unless it is "", that of a group's members, by its name or number. Raises StartError."""
        if not group:
            return cls(os.geteuid())
        if group.isascii() and group.isdecimal():
            return cls(os.geteuid(), int(group))
        try:
            return cls(os.geteuid(), grp.getgrnam(group).gr_gid)
        except KeyError:
            text = f"there is no group {group!r} on this machine: make it, or leave the key out"
            raise StartError(text, key=KEY) from None

    def permits(self, peer: Peer) -> bool:
        return peer.uid in (ROOT, self.owner) or self.group in peer.groups

    def give(self, path: Path, mode: int) -> None:
        """Give a file or directory to the group, if there is one, and this mode then. StartError, OSError."""
        if self.group is not None:
            _change_group(path, self.group)
            path.chmod(mode)


def _change_group(path: Path, group: int) -> None:
    """Without CAP_CHOWN that takes one of our own groups (chown(2)). Raises StartError, OSError."""
    try:
        os.chown(path, -1, group)
    except PermissionError:
        before = os.getgroups()
        try:
            os.setgroups([*before, group])
        except PermissionError as error:
            text = (
                f"{path} can't be given to the group {group}: that needs CAP_CHOWN or CAP_SETGID, or no group"
            )
            raise StartError(text, key=KEY) from error
        try:
            os.chown(path, -1, group)
        finally:
            os.setgroups(before)
