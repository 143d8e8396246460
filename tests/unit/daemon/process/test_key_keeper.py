"""Keys that outlive the daemon are made, kept and replaced."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ikepy.config.model import Daemon
from ikepy.daemon import log
from ikepy.daemon.process.key_file import MOST_TICKET_KEYS, KeyFile
from ikepy.daemon.process.key_keeper import KEPT, ROTATION, KeyKeeper


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def settings(directory: Path | None, *, tokens: bool = True) -> Daemon:
    given = {} if directory is None else {"state_dir": str(directory)}
    return Daemon.model_validate({**given, "crash_detection": tokens})


def test_a_restart_finds_the_same_keys(tmp_path: Path) -> None:
    clock = Clock()
    first = KeyKeeper.open(settings(tmp_path), clock)
    crash, tickets = first.keys.crash, first.keys.tickets
    assert len(crash) == 1
    first.close()
    second = KeyKeeper.open(settings(tmp_path), clock)
    assert second.keys.crash == crash
    assert second.keys.tickets == tickets
    second.close()


def test_without_a_directory_they_end_with_the_process() -> None:
    first, second = (KeyKeeper.open(settings(None), Clock()) for _ in range(2))
    assert not first.keys.crash, "a token that nobody can make again is of no use"
    assert first.keys.tickets != second.keys.tickets


def test_tokens_can_be_turned_off(tmp_path: Path) -> None:
    keeper = KeyKeeper.open(settings(tmp_path, tokens=False), Clock())
    assert not keeper.keys.crash
    assert keeper.keys.tickets
    keeper.close()


def test_ticket_keys_are_replaced_and_forgotten_when_no_ticket_is_valid(tmp_path: Path) -> None:
    clock = Clock()
    keeper = KeyKeeper.open(settings(tmp_path), clock)
    seen = [keeper.keys.tickets[0]]
    for _ in range(20):
        clock.now += ROTATION
        keeper.look()
        assert keeper.keys.tickets[0] not in seen
        seen.insert(0, keeper.keys.tickets[0])
        assert keeper.keys.tickets == tuple(seen[: len(keeper.keys.tickets)])
        assert len(keeper.keys.tickets) <= MOST_TICKET_KEYS
    assert len(keeper.keys.tickets) == KEPT // ROTATION
    crash = keeper.keys.crash
    keeper.close()
    clock.now += 2 * KEPT
    again = KeyKeeper.open(settings(tmp_path), clock)
    assert again.keys.crash == crash
    assert len(again.keys.tickets) == 1
    again.close()


def test_a_clock_that_is_set_back_makes_new_ones() -> None:
    clock = Clock()
    keeper = KeyKeeper.open(settings(None), clock)
    (before,) = keeper.keys.tickets
    clock.now -= 10_000_000
    keeper.look()
    assert before not in keeper.keys.tickets


def test_a_full_disk_is_told_and_the_keys_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(log, "error", lambda subject, text: told.append(text))

    def full(self: KeyFile, keys: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(KeyFile, "write", full)
    keeper = KeyKeeper.open(settings(tmp_path), Clock())
    keeper.look()
    assert keeper.keys.crash
    assert len(told) == 1
    assert "No space left" in told[0]
    monkeypatch.undo()
    keeper.look()  # there is room again
    keeper.close()
    again = KeyKeeper.open(settings(tmp_path), Clock())
    assert again.keys.crash == keeper.keys.crash
    again.close()
