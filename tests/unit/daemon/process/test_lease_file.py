"""The file of leases: what was written is read; what is damaged, hostile or somebody else's harms nobody."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.config.identity import Identity
from ikepy.config.model import Daemon
from ikepy.daemon.errors import StartError
from ikepy.daemon.process import lease_file
from ikepy.daemon.process.lease_file import LeaseFile, encoded
from ikepy.sa.api.leases import Lease

ALICE = Lease("users", ip_address("10.3.0.1"), Identity(2, b"alice"))
BOB = Lease("users", ip_address("fd03::1"), Identity(11, b"\xff\0bob"))
PATIENCE = 30.0  # seconds


def settings_of(directory: Path | None) -> Daemon:
    return Daemon.model_validate({} if directory is None else {"state_dir": str(directory)})


def read(directory: Path) -> list[Lease]:
    async def scenario() -> list[Lease]:
        file = LeaseFile.open(settings_of(directory))
        found = file.read()
        await file.close()
        return found

    return asyncio.run(scenario())


def is_in_a_file(directory: Path, leases: list[Lease]) -> bool:
    return any(one.read_bytes().endswith(encoded(leases)) for one in directory.glob("leases.*"))


def write(directory: Path, *several: list[Lease], waits: bool = True) -> None:
    """By one process, one set of leases after the other. `waits`: until each is in a file."""

    async def scenario() -> None:
        file = LeaseFile.open(settings_of(directory))
        file.read()
        now: list[Lease] = []
        file.start(lambda: now)
        for leases in several:
            now = leases
            file.changed()
            async with asyncio.timeout(PATIENCE):
                while waits and not is_in_a_file(directory, leases):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await file.close()

    asyncio.run(scenario())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_file, "PAUSE", 0.0)


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "new") == []
    write(tmp_path / "new", [ALICE], [ALICE, BOB], [BOB])
    assert read(tmp_path / "new") == [BOB]
    write(tmp_path / "new", [ALICE])
    assert read(tmp_path / "new") == [ALICE]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "leases.0").stat().st_mode & 0o777 == 0o600


def test_many_leases_do_not_hold_up_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noted(leases: Sequence[Lease]) -> bytes:
        threads.append(threading.current_thread())
        return encoded(leases)

    monkeypatch.setattr(lease_file, "encoded", noted)
    write(tmp_path, [ALICE])
    assert threads and threading.main_thread() not in threads and read(tmp_path) == [ALICE]


def test_a_change_just_before_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_file, "PAUSE", 1000.0)
    write(tmp_path, [ALICE], waits=False)
    assert read(tmp_path) == [ALICE]


def test_a_writing_that_was_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, [ALICE], [ALICE, BOB])
    newest = tmp_path / "leases.0"
    whole = newest.read_bytes()
    assert b"10.3.0.1" in whole
    for size in (0, 5, 30, len(whole) - 1):
        newest.write_bytes(whole[:size])
        assert read(tmp_path) == [ALICE]
    newest.write_bytes(whole[:-3] + b"xxx")
    assert read(tmp_path) == [ALICE]


def test_what_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full, and is not any more; it is told once."""
    monkeypatch.setattr(lease_file, "AGAIN", 0.01)
    told: list[str] = []
    monkeypatch.setattr("ikepy.daemon.log.error", lambda _, text: told.append(text))

    tries: list[bool] = []
    sync, written = os.fsync, threading.Event()

    def refuse_twice(fd: int) -> None:
        tries.append(len(tries) >= 2)
        if not tries[-1]:
            raise OSError(28, os.strerror(28))
        sync(fd)
        written.set()

    monkeypatch.setattr(os, "fsync", refuse_twice)

    async def scenario() -> None:
        file = LeaseFile.open(settings_of(tmp_path))
        file.start(lambda: [ALICE])
        file.changed()
        assert await asyncio.to_thread(written.wait, 20)
        await asyncio.sleep(0.1)
        await file.close()

    asyncio.run(scenario())
    assert tries == [False, False, True] and read(tmp_path) == [ALICE]
    assert len(told) == 1 and "No space left" in told[0]


def test_nothing_is_kept_without_a_directory() -> None:
    async def scenario() -> None:
        file = LeaseFile.open(settings_of(None))
        assert file.read() == []
        file.changed()
        await file.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "leases.1"
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "directory":
            path.mkdir()
        case _:
            os.mkfifo(path)
    with pytest.raises(StartError):
        LeaseFile.open(settings_of(tmp_path))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=6,
        )
    )
)
def test_any_rows(rows: list[object]) -> None:
    for lease in lease_file.decoded(repr(rows).encode()):
        assert isinstance(lease, Lease)
    for lease in lease_file.decoded(str(rows).replace("'", '"').replace("None", "null").encode()):
        assert isinstance(lease, Lease)


def test_where_no_thread_can_be_started_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease_file, "PAUSE", 0.01)
    monkeypatch.setattr(lease_file, "AGAIN", 0.02)
    real, fails = threading.Thread.start, 2

    def start(thread: threading.Thread) -> None:
        nonlocal fails
        if fails:
            fails -= 1
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    write(tmp_path, [ALICE])
    assert read(tmp_path) == [ALICE]
    assert caplog.text.count("can't be kept over a restart") == 1
