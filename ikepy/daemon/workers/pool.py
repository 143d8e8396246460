"""The worker processes: started with their first device, fed with messages, replaced when they die.

What a worker knew of SAs dies with it (a restarted counter under the same key would repeat a nonce, RFC 4106
3.1): only sockets and devices go to its successor. One that hangs is ended
(`ikepy.daemon.workers.heartbeat`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddDevice, AddSocket, Message, RemoveDevice, RemoveSocket, SetMss
from esp.net.sockets import SocketKind, size_queue
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import WorkerDied, WorkerStarted
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.net.listeners import WorkerSocket
from ikepy.daemon.process.account import Account
from ikepy.daemon.process.priority import ORDINARY, set_priority
from ikepy.daemon.workers.heartbeat import BEAT
from ikepy.daemon.workers.worker_process import QUEUE, OnMessage, WorkerProcess
from ikepy.errors import IkeError

SA_SLOTS = 65536  # counters of this many children a worker: memory that is not touched is not there
LIFETIME = 1.0  # seconds: who dies sooner is replaced not at once, but after that time, then twice that, ...
LONGEST_PAUSE = 30.0  # seconds
GOODBYE = 0.5  # seconds for a worker to end by itself


OnDeath = Callable[[int], None]
OnService = Callable[[int, bool], None]


class WorkerDown(IkeError):  # noqa: N818  a state, told to whoever wants to send
    """The slot has no process, and too much waits for its next one already (or there will be none)."""


@dataclass(slots=True)
class _Slot:
    counters: CounterBlock | None = None
    process: WorkerProcess | None = None
    starts: int = 0  # of processes so far
    devices: list[VtiDevice] = field(default_factory=list)
    waiting: deque[Message] = field(default_factory=deque)  # for the next process
    restart: asyncio.TimerHandle | None = None
    pause: float = 0.0  # seconds before the latest restart
    refused: bool = False  # the system had nothing for its next process, which was told
    absent: bool = False  # there is no process, and none at once, which was told
    may_hurry: bool = False  # the process may run before ordinary ones
    prompt: bool = False  # and does so


class WorkerPool:
    """All slots. `sockets` gives those of a slot; `priority` is for processes under load
    (`ikepy.daemon.process.priority`), `account` whom they become."""

    def __init__(
        self,
        workers: int,
        sockets: Callable[[int], Sequence[WorkerSocket]],
        priority: int = ORDINARY,
        account: Account | None = None,
        bus: EventBus | None = None,
    ) -> None:
        self.workers = workers
        self._sockets = sockets
        self._priority = priority
        self._account = account
        self._bus = EventBus() if bus is None else bus
        self._on_message: OnMessage = lambda slot, message: None
        self._on_death: OnDeath = lambda slot: None
        self._on_service: OnService = lambda slot, running: None
        self._slots = [_Slot() for _ in range(workers)]
        self._closing = False
        self._beat: asyncio.TimerHandle | None = None
        self._beat_at = 0.0

    def report_to(
        self, on_message: OnMessage, on_death: OnDeath, on_service: OnService | None = None
    ) -> None:
        """Call these from the event loop with what workers say, and with the slots whose process died.

        `on_service`: with those that have none for a while (False, before their death is told), again (True).
        """
        self._on_message = on_message
        self._on_death = on_death
        if on_service is not None:
            self._on_service = on_service

    def add_device(self, device: VtiDevice) -> None:
        """Give a device to its slot, and start the slot's process if it is the first. Raises OSError."""
        state = self._slots[device.slot]
        state.devices.append(device)
        if state.process is None:
            self._start(device.slot)
        else:
            self._hand_over(state.process, device)

    def add_device_later(self, device: VtiDevice) -> None:
        """As `add_device` while the daemon runs: a process that can't be started is tried again."""
        state = self._slots[device.slot]
        state.devices.append(device)
        if state.process is not None:
            self._hand_over(state.process, device)
        elif state.restart is None:
            self._restart(device.slot)

    def replace_device(self, device: VtiDevice) -> None:
        """Give a device that was made again, or is configured anew, to its slot's process, which keeps the
        SAs."""
        process = self._slots[device.slot].process
        if process is not None:
            self._hand_over(process, device)

    def remove_device(self, device: VtiDevice) -> None:
        """Let a device's slot forget it, and all SAs that it still has."""
        state = self._slots[device.slot]
        state.devices.remove(device)
        if state.process is not None:
            state.process.send(RemoveDevice(device.device_id))

    def set_mss(self, device: VtiDevice) -> None:
        """The device's MTU has changed; a process that is started later hears of it with the device."""
        process = self._slots[device.slot].process
        if process is not None and device.connection.vti.mss_clamp:
            process.send(SetMss(device.device_id, *device.mss))

    def send(self, slot: int, message: Message) -> None:
        """Send a message to a slot's process, or to its next one. Raises WorkerDown and MessageError."""
        state = self._slots[slot]
        if state.process is not None:
            state.process.send(message)
        elif state.restart is not None and len(state.waiting) < QUEUE:
            state.waiting.append(message)
        else:
            raise WorkerDown(f"worker {slot} is not running")

    async def ready(self, seconds: float) -> None:
        """Wait until the processes that were started are at work, but no longer than that.

        A tunnel that is up before its worker would keep the first packets waiting.
        """
        starting = [state.process.ready.wait() for state in self._slots if state.process is not None]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*starting), seconds)

    def counters(self, slot: int) -> CounterBlock | None:
        """The slot's counters; None where no process was ever started."""
        return self._slots[slot].counters

    def pid(self, slot: int) -> int | None:
        process = self._slots[slot].process
        return None if process is None else process.pid

    def starts(self, slot: int) -> int:
        """How many processes the slot has had."""
        return self._slots[slot].starts

    def _start(self, slot: int) -> None:
        state = self._slots[slot]
        state.restart = None
        if state.counters is None:
            state.counters = CounterBlock.create(SA_SLOTS)
        process = WorkerProcess(
            slot,
            self.workers,
            state.counters,
            self._on_message,
            lambda: self._ready(slot, process),
            self._account,
        )
        process.watch(lambda status: self._exited(slot, process, status))
        for one in self._sockets(slot):
            self._give_socket(process, one)
        for device in state.devices:
            self._hand_over(process, device)
        while state.waiting:
            process.send(state.waiting.popleft())
        state.process = process
        state.starts += 1
        if self._beat is None:
            self._schedule_beat()
        self._bus.publish(WorkerStarted(slot, process.pid))

    def _schedule_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat_at = loop.time() + BEAT
        self._beat = loop.call_at(self._beat_at, self._ask_for_life)

    def _ask_for_life(self) -> None:
        late = asyncio.get_running_loop().time() - self._beat_at
        for slot, state in enumerate(self._slots):
            if state.process is not None:
                state.process.pulse.excuse(late)
                verdict = state.process.ping()
                if verdict is not None:
                    log.error(f"worker {slot}", f"{verdict}: it is ended")
                    state.process.kill()
        self._schedule_beat()

    def _ready(self, slot: int, process: WorkerProcess) -> None:
        """Find out whether it can have its priority: it gets that when it asks (`hurry`)."""
        state = self._slots[slot]
        problem = set_priority(process.pid, self._priority)
        if problem is not None:
            log.info(f"worker {slot}", f"is an ordinary process under load too: {problem}")
        state.may_hurry = self._priority != ORDINARY and problem is None
        self.hurry(slot, busy=False)

    def hurry(self, slot: int, busy: bool) -> None:
        """Let a slot's process run before ordinary ones while it is busy, if it may do so. The queues of its
        sockets are short then."""
        state = self._slots[slot]
        if state.may_hurry and state.process is not None:
            state.prompt = busy
            set_priority(state.process.pid, self._priority if busy else ORDINARY)
            for one in self._sockets(slot):
                size_queue(one.sock, prompt=busy)

    def add_socket(self, slot: int, one: WorkerSocket) -> None:
        """Give a slot's process one more socket; one that is started later gets it anyway."""
        state = self._slots[slot]
        size_queue(one.sock, prompt=state.prompt)
        if state.process is not None:
            self._give_socket(state.process, one)

    def remove_socket(self, slot: int, index: int) -> None:
        """Let a slot's process close a socket."""
        process = self._slots[slot].process
        if process is not None:
            process.send(RemoveSocket(index))

    @staticmethod
    def _give_socket(process: WorkerProcess, one: WorkerSocket) -> None:
        kind = SocketKind.UDP if one.kind == "udp" else SocketKind.RAW
        message = AddSocket(one.index, one.address.version, kind, one.address, one.port)
        process.send(message, one.sock.fileno())

    @staticmethod
    def _hand_over(process: WorkerProcess, device: VtiDevice) -> None:
        if device.gone:
            return  # it gets it when it has been made
        message = AddDevice(device.device_id, device.tun.name, device.trap, *device.mss)
        process.send(message, device.tun.fd)

    def _exited(self, slot: int, process: WorkerProcess, status: int) -> None:
        if self._closing:
            return
        state = self._slots[slot]
        state.process = None
        loop = asyncio.get_running_loop()
        lived = loop.time() - process.started
        self._bus.publish(WorkerDied(slot, status, lived))
        if lived < LIFETIME:
            self._restart_later(slot)
        else:
            state.pause = 0.0
            self._restart(slot)
        if state.process is None and not state.absent:
            state.absent = True
            self._on_service(slot, False)
        self._on_death(slot)

    def _restart(self, slot: int) -> None:
        try:
            self._start(slot)
        except OSError as error:
            if not self._slots[slot].refused:
                text = (
                    f"can't be started: {error}; it is tried again, with pauses of up to {LONGEST_PAUSE:g} s"
                )
                log.error(f"worker {slot}", text)
            self._slots[slot].refused = True
            self._restart_later(slot)
            return
        state = self._slots[slot]
        state.refused = False
        if state.absent:
            state.absent = False
            self._on_service(slot, True)

    def _restart_later(self, slot: int) -> None:
        state = self._slots[slot]
        state.pause = min(max(2 * state.pause, LIFETIME), LONGEST_PAUSE)
        state.restart = asyncio.get_running_loop().call_later(state.pause, self._restart, slot)

    async def close(self) -> None:
        """End all processes: by closing their pairs, and those that don't take the hint by SIGKILL."""
        self._closing = True
        if self._beat is not None:
            self._beat.cancel()
        running = list(self._running())
        for process in running:
            process.hang_up()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(p.ended.wait() for p in running)), GOODBYE)
        for process in running:
            process.kill()
            await process.ended.wait()
        for state in self._slots:
            if state.restart is not None:
                state.restart.cancel()
            if state.counters is not None:
                state.counters.close()
                state.counters = None

    def _running(self) -> Iterator[WorkerProcess]:
        for state in self._slots:
            if state.process is not None:
                yield state.process
                state.process = None
