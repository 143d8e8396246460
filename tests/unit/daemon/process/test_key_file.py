"""The file of the keys that outlive the daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ikepy.crypto.secret import Secret
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.key_file import MOST_TICKET_KEYS, NAME, SLOT, DatedKey, KeyFile, StoredKeys


def keys(number: int = 1, tickets: int = 2) -> StoredKeys:
    dated = [DatedKey(bytes([one] * 4), 1000 + one, Secret(bytes([one] * 32))) for one in range(tickets)]
    return StoredKeys(Secret(bytes([number]) * 32), tuple(dated))


def reopened(directory: Path) -> StoredKeys | None:
    file = KeyFile.open(directory)
    try:
        return file.read()
    finally:
        file.close()


def written(directory: Path, *values: StoredKeys) -> None:
    file = KeyFile.open(directory)
    file.read()
    for value in values:
        file.write(value)
    file.close()


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    assert reopened(directory) is None
    for number in range(1, 6):
        written(directory, keys(number, number))
        assert reopened(directory) == keys(number, number)
    written(directory, keys(7), keys(8), keys(9, MOST_TICKET_KEYS))
    assert reopened(directory) == keys(9, MOST_TICKET_KEYS)


def test_writings_that_are_cut_off_leave_the_last_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, keys(1), keys(2))
    file, whole = KeyFile.open(tmp_path), os.pwrite
    file.read()
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:20], at))
    for number in (3, 4):
        with pytest.raises(OSError, match="No space left"):
            file.write(keys(number))
    file.close()
    assert reopened(tmp_path) == keys(2)


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    written(directory, keys())
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kept", [0, 1, 20, 60, 100])
def test_a_crash_while_it_is_written_leaves_the_keys_before(tmp_path: Path, kept: int) -> None:
    written(tmp_path, keys(1), keys(2))
    path = tmp_path / NAME
    before = path.read_bytes()
    written(tmp_path, keys(3))
    after = path.read_bytes()
    assert before[:SLOT] == after[:SLOT]
    path.write_bytes(after[:SLOT] + after[SLOT : SLOT + kept] + before[SLOT + kept :])
    assert reopened(tmp_path) == keys(2)


def test_one_daemon_alone_has_it(tmp_path: Path) -> None:
    first = KeyFile.open(tmp_path)
    with pytest.raises(StartError, match=r"daemon\.state_dir: another daemon uses"):
        KeyFile.open(tmp_path)
    first.close()
    KeyFile.open(tmp_path).close()


def test_what_others_may_touch_is_refused(tmp_path: Path) -> None:
    written(tmp_path, keys())
    path = tmp_path / NAME
    path.chmod(0o640)
    with pytest.raises(StartError, match="others may read"):
        KeyFile.open(tmp_path)
    path.chmod(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(StartError, match="others may write"):
        KeyFile.open(tmp_path)


def test_neither_links_nor_other_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError):
        KeyFile.open(tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    with pytest.raises(StartError):
        KeyFile.open(tmp_path)


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        KeyFile.open(tmp_path / "a" / "b")


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"ikepy1rk" * 300, b"\xff" * 2048])
def test_what_is_not_whole_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    written(tmp_path)
    (tmp_path / NAME).write_bytes(content)
    assert reopened(tmp_path) is None
