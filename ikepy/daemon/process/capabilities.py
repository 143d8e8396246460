"""Drops capabilities (capabilities(7)), keeps memory private, and ends a process with its parent (prctl(2)).

It calls libc through ctypes, because no maintained library does this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE, _AMBIENT_LOWER = 2, 3
_CAPABILITY_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")  # version, pid (0: this thread)
_SETS = struct.Struct("=6I")  # effective, permitted, inheritable: low words, then high words
_LAST = 63


class Capability(IntEnum):
    """Those that the daemon needs after its start (linux/capability.h)."""

    DAC_READ_SEARCH = 2
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    SYS_NICE = 23


# For devices and routes (NET_ADMIN) and sockets (NET_*); to start workers as another user (SETUID, SETGID),
# without capabilities (SETPCAP), to end them (KILL), and to give them real-time priority (SYS_NICE).
KEPT: tuple[Capability, ...] = (
    Capability.NET_ADMIN,
    Capability.NET_RAW,
    Capability.NET_BIND_SERVICE,
    Capability.KILL,
    Capability.SETGID,
    Capability.SETUID,
    Capability.SETPCAP,
    Capability.SYS_NICE,
)

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (PR_SET_PDEATHSIG). Raises OSError."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def keep_only(capabilities: Collection[Capability]) -> None:
    """Drop all other capabilities, for this thread and whatever it starts from now on. Raises OSError.

    A capability that this process does not have is not gained.
    """
    have = permitted()
    bound_to(capabilities)
    mask = have & sum(1 << c for c in capabilities)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    _set_own((low, low, 0, high, high, 0))
    gain_nothing()


def gain_nothing() -> None:
    """No program that is executed from now on gains rights (PR_SET_NO_NEW_PRIVS). Raises OSError."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def bound_to(capabilities: Collection[Capability]) -> None:
    """Drop all others from the bounding set: no program that is executed from now on can gain them."""
    for number in range(_LAST + 1):
        # A number that this kernel doesn't know ends the list; without CAP_SETPCAP the set stays as it is.
        if number not in capabilities and _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break


def bounding() -> int:
    """The bounding set of this thread as a bit mask."""
    # A number that this kernel doesn't know is an error (-1), which is not 1 either.
    return sum(1 << c for c in range(_LAST + 1) if _libc.prctl(_PR_CAPBSET_READ, c, 0, 0, 0) == 1)


@contextlib.contextmanager
def handing_on(capability: Capability) -> Iterator[None]:
    """Programs that this thread executes meanwhile have a capability that it has itself. Raises OSError.

    Nothing happens if it has not.
    """
    if not permitted() >> capability & 1:
        yield
        return
    before = _own_sets()
    inheritable = list(before)
    inheritable[2] |= 1 << capability  # the low word: there is no capability beyond 31 here
    _set_own(inheritable)
    try:
        _ambient(_AMBIENT_RAISE, capability)
        try:
            yield
        finally:
            _ambient(_AMBIENT_LOWER, capability)
    finally:
        _set_own(before)


def keep_memory_private() -> None:
    """Forbid core dumps, and debuggers of the same user: both show the keys in memory. Raises OSError.

    A change of user takes back PR_SET_DUMPABLE: call this again after one. Children inherit RLIMIT_CORE.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def keep_permitted() -> None:
    """Let the next change of user leave this thread's permitted set as it is. Raises OSError."""
    _prctl(_PR_SET_KEEPCAPS, 1)


def effective() -> int:
    """The effective set of this thread as a bit mask. Raises OSError."""
    words = _own_sets()
    return words[0] | words[3] << 32


def permitted() -> int:
    """The permitted set of this thread as a bit mask. Raises OSError."""
    words = _own_sets()
    return words[1] | words[4] << 32


def _own_sets() -> tuple[int, ...]:
    header = ctypes.create_string_buffer(_HEADER.pack(_CAPABILITY_VERSION_3, 0), _HEADER.size)
    sets = ctypes.create_string_buffer(_SETS.size)
    if _libc.capget(header, sets) != 0:
        raise _os_error()
    return _SETS.unpack(sets.raw)


def _set_own(sets: Sequence[int]) -> None:
    if _libc.capset(_HEADER.pack(_CAPABILITY_VERSION_3, 0), _SETS.pack(*sets)) != 0:
        raise _os_error()


def _ambient(what: int, capability: Capability) -> None:
    if _libc.prctl(_PR_CAP_AMBIENT, what, int(capability), 0, 0) != 0:
        raise _os_error()


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        raise _os_error()


def _os_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
