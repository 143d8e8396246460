"""Keeps the lab's lock and state in files under the run directory; there is one lab at a time.

`lock` is held (flock) by the command that works on the lab. `state.json` is there from the first namespace
made until the last one is gone: a state without a holder is a lab left running, or one whose command died.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ikepy.lab.netns import LabError

RUN_DIRECTORY = Path("/run/ikepy-lab")
PREFIX = "ikepy-"


@dataclass(frozen=True, slots=True)
class Options:
    """Which variant of the picture.

    `peer` is what runs on c4, `cgw` what runs on the CGW; `bgp`: BIRD on both brings the routes; `pod`: the
    CGW is as in its pod, with `bgp` and `ipv6`. `auth`: of the tunnel; "eap": the CGW is a user with a
    password, the other end has a certificate. `pq`: key exchange with ML-KEM beside X25519. `keylog`:
    ikepy writes its keys (`keylog_dir`). `web`: what is changed on a page shows at once.
    """

    peer: str = "ikepy"
    nat: bool = False
    ipv6: bool = False
    cgw: str = "ikepy"
    bgp: bool = False
    pod: bool = False
    auth: str = "psk"
    pq: bool = False
    keylog: bool = False
    web: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """`kept`: the command that built the lab has left it running, on purpose."""

    options: Options
    kept: bool


def read_state(directory: Path) -> State | None:
    """The state, or None without a lab. A file that can't be read stands for a lab that is not whole."""
    path = directory / "state.json"
    try:
        values = json.loads(path.read_text())
        return State(Options(**values["options"]), bool(values["kept"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return State(Options(), kept=False)


def write_state(directory: Path, state: State) -> None:
    """Replace the state."""
    text = json.dumps({"options": asdict(state.options), "kept": state.kept})
    fresh = directory / "state.json.new"
    fresh.write_text(text)
    fresh.replace(directory / "state.json")


def remove_state(directory: Path) -> None:
    """Remove the state: the lab is gone."""
    (directory / "state.json").unlink(missing_ok=True)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lab's lock; LabError if another command does. Removes the directory if no lab is left."""
    descriptor = _lock(directory)
    try:
        yield
    finally:
        if read_state(directory) is None:
            (directory / "lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody's files are in it
                directory.rmdir()
        os.close(descriptor)


def _lock(directory: Path) -> int:
    """The lock file's descriptor, held."""
    path = directory / "lock"
    while True:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last holder took the directory away just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise LabError(
                f"another `ikepy lab` (process {owner or 'unknown'}) is at work: wait for it, or stop it"
            ) from None
        if _is(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
        os.close(descriptor)  # its holder removed it: the next one makes a new file


def _is(path: Path, descriptor: int) -> bool:
    """Does the path still lead to the open file?"""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
