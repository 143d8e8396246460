"""A daemon that watches its files: it reloads what changed, once, and lets all else be."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ikepy.config.files_read import FilesRead
from ikepy.config.sources.config_file import ConfigFile
from ikepy.daemon import config_watch, supervision
from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded
from tests.unit.config.test_files_read import mount, write
from tests.unit.daemon.bed import Bed, run

Scenario = Callable[[Bed], Awaitable[None]]


class Reloads:
    """The ends of all reloads of a bed's daemon."""

    def __init__(self, bed: Bed) -> None:
        self.ended: list[object] = []
        self._one = asyncio.Event()
        bed.daemon.events.listen((ConfigReloaded, ConfigRefused), self._note)

    def _note(self, event: object) -> None:
        self.ended.append(event)
        self._one.set()

    async def next(self) -> object:
        await self._one.wait()
        self._one.clear()
        return self.ended[-1]


def bed_of(control: Path, path: Path, *, watch: bool = True) -> tuple[Bed, str]:
    """A daemon with the file `path`, and what stands there: the bed's settings, and no connection."""
    bed = Bed(control)
    text = f"[daemon]\nport = {bed.ports[0]}\nport_nat_t = {bed.ports[1]}\nworkers = 2\n"
    path.write_text(text)
    bed.file, bed.watch = ConfigFile(path), watch
    bed.file.read()
    bed.make_daemon()
    return bed, text


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_watch, "QUIET", 0.02)


def test_a_changed_file_is_reloaded_and_another_is_not(control: Path, tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    bed, text = bed_of(control, path)

    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        write(path, f"{text}keep_alive = 7\n")
        assert await reloads.next() == ConfigReloaded("a file has changed")
        assert bed.machine.config.daemon.keep_alive == 7
        write(path, f"{text}keep_alive = soon\n")
        refused = await reloads.next()
        assert isinstance(refused, ConfigRefused)
        assert "Invalid value" in refused.problems[0]
        assert bed.machine.config.daemon.keep_alive == 7
        (tmp_path / "other").write_text("is no part of it")
        path.write_text(f"{text}keep_alive = 9\n")
        await reloads.next()
        assert bed.machine.config.daemon.keep_alive == 9
        assert len(reloads.ended) == 3

    run(bed, scenario)


def test_a_file_that_changed_while_the_daemon_started(control: Path, tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    bed, text = bed_of(control, path)
    write(path, f"{text}keep_alive = 7\n")

    async def scenario(bed: Bed) -> None:
        await Reloads(bed).next()
        assert bed.machine.config.daemon.keep_alive == 7

    run(bed, scenario)


def test_a_config_map_is_reloaded(control: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    bed, text = bed_of(control, tmp_path / "first")
    mount(place, "..1", ikepy_toml=text)
    (place / "ikepy.toml").symlink_to("..data/ikepy.toml")
    bed.file = ConfigFile(place / "ikepy.toml")
    bed.file.read()
    bed.make_daemon()

    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        for number in (2, 3, 4):
            mount(place, f"..{number}", ikepy_toml=f"{text}keep_alive = {number}\n")
            await reloads.next()
            assert bed.machine.config.daemon.keep_alive == number
            (place / f"..{number - 1}" / "ikepy.toml").unlink()
            (place / f"..{number - 1}").rmdir()  # as the kubelet does

    run(bed, scenario)


def test_without_inotify_the_files_are_looked_at(
    control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise OSError(24, "too many inotify instances")

    monkeypatch.setattr(config_watch, "Inotify", none_left)
    monkeypatch.setattr(config_watch, "POLL", 0.02)
    path = tmp_path / "ikepy.toml"
    bed, text = bed_of(control, path)

    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        for number in (2, 3):
            write(path, f"{text}keep_alive = {number}\n")
            await reloads.next()
            assert bed.machine.config.daemon.keep_alive == number

    run(bed, scenario)


def test_a_fault_does_not_end_the_watch(
    control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "FIRST", 0.02)
    path = tmp_path / "ikepy.toml"
    bed, text = bed_of(control, path)
    faults, real = [RuntimeError("dictionary changed size during iteration"), None], FilesRead.directories

    def directories(read: FilesRead) -> set[Path]:
        if faults and (fault := faults.pop(0)) is not None:
            raise fault
        return real(read)

    monkeypatch.setattr(FilesRead, "directories", directories)

    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        while faults:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        write(path, f"{text}keep_alive = 7\n")
        await reloads.next()
        assert bed.machine.config.daemon.keep_alive == 7

    run(bed, scenario)
    assert "begins again in 0.02 s: RuntimeError: dictionary changed size" in caplog.text


def test_sighup_reloads_and_a_storm_of_it_a_few_times(control: Path, tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    bed, text = bed_of(control, path, watch=False)

    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        for number in range(200):
            write(path, f"{text}keep_alive = {number}\n")
            os.kill(os.getpid(), signal.SIGHUP)
            if not number % 50:
                await asyncio.sleep(0)
        while bed.machine.config.daemon.keep_alive != 199:
            await reloads.next()
        assert set(reloads.ended) == {ConfigReloaded("SIGHUP")}
        assert len(reloads.ended) < 20

    run(bed, scenario)


def test_sighup_without_a_file(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        reloads = Reloads(bed)
        os.kill(os.getpid(), signal.SIGHUP)
        refused = await reloads.next()
        assert isinstance(refused, ConfigRefused)
        assert refused.problems[0].startswith("the configuration is in no file (ikepy run --env)")

    run(Bed(control), scenario)
