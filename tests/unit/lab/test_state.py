"""One lab at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.lab.netns import LabError
from ikepy.lab.state import Options, State, locked, read_state, remove_state, write_state


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    refused = pytest.raises(LabError, match=r"another `ikepy lab` \(process \d+\)")
    with locked(directory), refused, locked(directory):
        pass
    with locked(directory):
        pass


def test_nothing_stays_without_a_lab(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    with locked(directory):
        write_state(directory, State(Options(), kept=True))
    assert directory.exists()
    with locked(directory):
        remove_state(directory)
    assert not directory.exists()


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "lab"):
        raise RuntimeError
    with locked(tmp_path / "lab"):
        pass


@pytest.mark.parametrize("kept", [False, True])
def test_state_round_trip(tmp_path: Path, kept: bool) -> None:
    state = State(Options(peer="strongswan", nat=True, ipv6=True), kept)
    assert read_state(tmp_path) is None
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"options": {"colour": "blue"}, "kept": true}', "{}"])
def test_an_unreadable_state_is_a_lab_that_is_not_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path) == State(Options(), kept=False)
