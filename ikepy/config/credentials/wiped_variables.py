"""Secrets in environment variables: what was read is wiped from the memory of the daemon's environment.

/proc/PID/environ shows the memory where the kernel put the variables when the process began
(proc_pid_environ(5)); `unsetenv` leaves it as it was. A configuration that is read again
gets the value from here.
"""

from __future__ import annotations

import ctypes
import os

from ikepy.crypto.secret import Secret

_read: set[str] = set()
_wiped: dict[str, Secret] = {}


def read(name: str) -> str | None:
    """The value of a variable that holds a secret, also of a wiped one; None if there is none."""
    value = os.environ.get(name)
    if value is not None:
        _read.add(name)
        return value
    return os.fsdecode(_wiped[name].expose()) if name in _wiped else None


def wipe() -> None:
    """Take all variables that `read` has given out of this process's environment."""
    for name in _read & os.environ.keys():
        _wiped[name] = Secret(os.fsencode(os.environ[name]))
        take(name)
    _read.clear()


def take(name: str) -> None:
    """Take one variable out of this process's environment, and overwrite its value in memory."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    address = getenv(os.fsencode(name))
    if address is not None:
        ctypes.memset(address, 0, len(ctypes.string_at(address)))
    os.environ.pop(name, None)
