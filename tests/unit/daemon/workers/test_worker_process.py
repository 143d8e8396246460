"""Control's end of a worker process that reads late, or not at all; the test has the other end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from esp.ipc import channel
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddDevice, Message, Ping, Pong, Ready, RemoveSaPair, SequenceLow
from ikepy.daemon.workers.heartbeat import START, STARVED
from ikepy.daemon.workers.worker_main import receive_greeting
from ikepy.daemon.workers.worker_process import WorkerProcess

MANY = 6000  # devices: several times what the pair's socket takes
NO_PROCESS = 2**22 + 1  # a number that no process has (PID_MAX_LIMIT, proc(5))


class Loop(asyncio.SelectorEventLoop):
    """One whose clock a test can put forward."""

    passed = 0.0  # seconds

    def time(self) -> float:
        return super().time() + self.passed


class Launcher:
    """Starts nothing, and keeps the worker's end of the pair."""

    def __init__(self) -> None:
        self.killed = 0
        self._pidfd, self.exit = os.pipe()

    def start(self, fd: int) -> tuple[int, int]:
        self.end = socket.socket(fileno=os.dup(fd))
        return NO_PROCESS, self._pidfd

    def kill(self, pid: int) -> None:
        self.killed += 1

    def reap(self, pid: int) -> int:
        return -9

    def set_priority(self, pid: int, *, busy: bool) -> str | None:
        return None


class Bed:
    """A process that was started, and whose end this is."""

    def __init__(self, counters: CounterBlock) -> None:
        self.launcher = Launcher()
        self.said: list[Message] = []
        self.answer: Message | None = None  # what control says to each message
        self.process = WorkerProcess(0, 1, counters, self._take, lambda: None, self.launcher)
        self.end = self.launcher.end
        self.end.setblocking(False)
        greeting = receive_greeting(self.end)
        assert greeting is not None
        greeting[2].close()

    def _take(self, _: int, message: Message) -> None:
        self.said.append(message)
        if self.answer is not None:
            self.process.send(self.answer)

    def read(self, most: int = MANY) -> Iterator[tuple[Message, int | None]]:
        """What is there now; descriptors are the caller's to close."""
        for _ in range(most):
            try:
                received = channel.receive(self.end)
            except BlockingIOError:
                return
            assert received is not None
            yield received

    async def read_all(self) -> list[tuple[Message, str | None]]:
        """All messages, each with the name of its file, until nothing comes any more."""
        found: list[tuple[Message, str | None]] = []
        while part := list(self.read()):
            for message, fd in part:
                found.append((message, None if fd is None else name_of(fd)))
            await turns()
        return found


def name_of(fd: int) -> str:
    """What an open file is called; it is closed."""
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    finally:
        os.close(fd)


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def run(scenario: Callable[[Bed, Loop], Awaitable[None]]) -> list[dict[str, object]]:
    """What the loop was told of exceptions that nobody caught."""
    faults: list[dict[str, object]] = []

    async def inside() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        loop.set_exception_handler(lambda _, context: faults.append(context))
        with CounterBlock.create(16) as counters:
            bed = Bed(counters)
            try:
                await scenario(bed, loop)
            finally:
                bed.end.close()
                ended = asyncio.Event()
                bed.process.watch(lambda _: ended.set())
                os.close(bed.launcher.exit)
                await ended.wait()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(inside())
    return faults


def device(number: int) -> AddDevice:
    return AddDevice(number, f"vti{number}", False, 0, 0)


def test_as_many_devices_as_there_are_wait_for_a_process_that_loads(tmp_path: Path) -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        with (tmp_path / "device").open("w") as file:
            for number in range(MANY):
                bed.process.send(device(number), file.fileno)
            assert not bed.launcher.killed
            read = await bed.read_all()
        assert read == [(device(number), str(tmp_path / "device")) for number in range(MANY)]

    assert not run(scenario)


def test_a_device_that_is_closed_while_it_waits_is_left_out_and_so_is_what_gets_its_number(
    tmp_path: Path,
) -> None:
    count = 500
    gone = count - 10

    async def scenario(bed: Bed, loop: Loop) -> None:
        with contextlib.ExitStack() as stack:
            devices = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
            for number, one in enumerate(devices):
                bed.process.send(device(number), one.fileno)
            names = [f"socket:[{os.fstat(one.fileno()).st_ino}]" for one in devices]
            number = devices[gone].fileno()
            devices[gone].close()
            with (tmp_path / "secret").open("w") as secret:
                assert secret.fileno() == number
                read = await bed.read_all()
        assert read == [(device(one), names[one]) for one in range(count) if one != gone]
        assert not bed.launcher.killed

    assert not run(scenario)


def test_a_process_that_ends_while_messages_wait_is_ended_once() -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        for number in range(MANY):
            bed.process.send(RemoveSaPair(number))
        bed.end.close()
        await turns()
        assert bed.launcher.killed == 1

    assert not run(scenario)


def test_one_that_reads_lives_though_no_ping_is_its_turn() -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        channel.send(bed.end, Ready())
        await turns()
        assert bed.said == [Ready()]
        for number in range(MANY):
            bed.process.send(RemoveSaPair(number))
        read = 0
        for _ in range(5):
            loop.passed += STARVED - 1
            read += len(list(bed.read(MANY // 10)))
            await turns()
            assert bed.process.ping() is None
        assert 0 < read < MANY
        loop.passed += STARVED
        assert str(bed.process.ping()).startswith("has not answered for ")

    assert not run(scenario)


def test_one_that_never_begins_to_work_hangs() -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        for number in range(MANY):
            bed.process.send(RemoveSaPair(number))
        loop.passed += START - 1
        assert bed.process.ping() is None
        loop.passed += 1
        assert str(bed.process.ping()).startswith("is not at work ")

    assert not run(scenario)


def test_pings_are_answered() -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        channel.send(bed.end, Ready())
        await turns()
        assert bed.process.ping() is None
        assert list(bed.read()) == [(Ping(), None)]
        channel.send(bed.end, Pong())
        await turns()
        assert bed.said == [Ready()]

    assert not run(scenario)


def test_one_that_crashes_with_messages_unread_talks_no_nonsense(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bed: Bed, loop: Loop) -> None:
        bed.answer = RemoveSaPair(1)
        for number in (1, 2):
            channel.send(bed.end, SequenceLow(number))
        bed.end.close()
        await turns()
        assert bed.said == [SequenceLow(1)]
        assert bed.launcher.killed == 1

    with caplog.at_level("ERROR", "ikepy"):
        assert not run(scenario)
    assert not [one for one in caplog.messages if "nonsense" in one]
