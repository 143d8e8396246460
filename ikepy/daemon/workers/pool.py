"""Starts each worker process with its first device, sends it messages, and replaces it when it dies.

The SAs of a worker die with it, for a sequence number that began anew under the same key would repeat a nonce
(RFC 4106 3.1): only sockets and devices go to its successor. A worker that hangs is ended
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
from esp.net import sockets as direct_sockets
from esp.net.sockets import SocketKind
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import WorkerDied, WorkerStarted
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import Launcher, SocketOpener
from ikepy.daemon.net.listeners import WorkerSocket
from ikepy.daemon.process.launcher import WorkerLauncher
from ikepy.daemon.workers.heartbeat import BEAT
from ikepy.daemon.workers.worker_process import OnMessage, WorkerProcess
from ikepy.errors import IkeError

QUEUE = 4096  # messages that wait for the next process
SA_SLOTS = 65536  # children a worker has counters for: pages that are not touched take no memory
LIFETIME = 1.0  # seconds: a process that dies sooner is replaced after a pause of 1 s, then 2 s, 4 s, ...
LONGEST_PAUSE = 30.0  # seconds
GOODBYE = 0.5  # seconds for a worker to end by itself


OnDeath = Callable[[int], None]
OnService = Callable[[int, bool], None]


class WorkerDown(IkeError):  # noqa: N818  a state, told to whoever wants to send
    """The slot has no process, and no place in the queue for the next one (or there will be none)."""


@dataclass(slots=True)
class _Slot:
    counters: CounterBlock | None = None
    process: WorkerProcess | None = None
    starts: int = 0  # of processes so far
    devices: list[VtiDevice] = field(default_factory=list)
    waiting: deque[Message] = field(default_factory=deque)  # for the next process
    restart: asyncio.TimerHandle | None = None
    pause: float = 0.0  # seconds before the latest restart
    refused: bool = False  # its next process could not be started, which was logged
    absent: bool = False  # it has no process, and gets none at once, which was reported
    may_hurry: bool = False  # the process may have real-time priority
    prompt: bool = False  # and has it


class WorkerPool:
    """The worker processes of all slots. `sockets` gives a slot's sockets, `launcher` starts processes;
    `hurries`: they get real-time priority under load (`ikepy.daemon.process.priority`)."""

    def __init__(
        self,
        workers: int,
        sockets: Callable[[int], Sequence[WorkerSocket]],
        launcher: Launcher | None = None,
        *,
        hurries: bool = False,
        opener: SocketOpener = direct_sockets,
        bus: EventBus | None = None,
    ) -> None:
        self.workers = workers
        self._sockets = sockets
        self._launcher = WorkerLauncher() if launcher is None else launcher
        self._hurries = hurries
        self._opener = opener
        self._bus = EventBus() if bus is None else bus
        self._on_message: OnMessage = lambda slot, message: None
        self._on_death: OnDeath = lambda slot: None
        self._on_service: OnService = lambda slot, running: None
        self._slots = [_Slot() for _ in range(workers)]
        self._closing = False
        self.lost = 0  # messages that were offered in vain
        self._beat: asyncio.TimerHandle | None = None
        self._beat_at = 0.0

    def report_to(
        self, on_message: OnMessage, on_death: OnDeath, on_service: OnService | None = None
    ) -> None:
        """Call `on_message` with a worker's messages, `on_death` with a slot whose process died.

        `on_service` is called with a slot that has no process for a while (False, before `on_death`), and
        when it has one again (True).
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

    def add_device_later(self, device: VtiDevice) -> bool:
        """As `add_device` while the daemon runs; whether there is a process, or one at once.

        A process that can't be started is tried again.
        """
        state = self._slots[device.slot]
        state.devices.append(device)
        if state.process is not None:
            self._hand_over(state.process, device)
            return True
        if state.restart is None:
            self._restart(device.slot)
        if state.process is None and not state.absent:
            state.absent = True
            self._on_service(device.slot, False)
        return state.process is not None

    def replace_device(self, device: VtiDevice) -> None:
        """Give a device that was created again, or configured anew, to its slot's process, which keeps its
        SAs."""
        process = self._slots[device.slot].process
        if process is not None:
            self._hand_over(process, device)

    def remove_device(self, device: VtiDevice) -> None:
        """Let a slot's process close a device, and remove the SAs that the device still has. Nothing happens
        for one that it was not given."""
        state = self._slots[device.slot]
        if device not in state.devices:
            return
        state.devices.remove(device)
        if state.process is not None:
            state.process.send(RemoveDevice(device.device_id))

    def set_mss(self, device: VtiDevice) -> None:
        """Tell the process the MSS after a change of the MTU; a later process gets it with the device."""
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

    def offer(self, slot: int, message: Message) -> bool:
        """Send a message that may be lost to a slot's process. Whether it was sent; else it is counted."""
        process = self._slots[slot].process
        sent = process is not None and process.offer(message)
        self.lost += not sent
        return sent

    async def ready(self, seconds: float) -> None:
        """Wait until all started processes are ready, at most so many seconds.

        Else a tunnel could be up before its worker, and its first packets would wait.
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
            self._launcher,
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
                    log.error(f"worker {slot}", f"{verdict}: it is ended", "esp")
                    state.process.kill()
        self._schedule_beat()

    def _ready(self, slot: int, process: WorkerProcess) -> None:
        """Try whether the process can have its priority, which it gets while it is busy (`hurry`)."""
        state = self._slots[slot]
        problem = self._launcher.set_priority(process.pid, busy=self._hurries)
        if problem is not None:
            log.info(f"worker {slot}", f"is an ordinary process under load too: {problem}", "esp")
        state.may_hurry = self._hurries and problem is None
        self.hurry(slot, busy=False)

    def hurry(self, slot: int, busy: bool) -> None:
        """Give a slot's process real-time priority while it is busy, if it may have that. Its sockets then
        have short queues."""
        state = self._slots[slot]
        if state.may_hurry and state.process is not None:
            state.prompt = busy
            self._launcher.set_priority(state.process.pid, busy=busy)
            for one in self._sockets(slot):
                self._opener.size_queue(one.sock, prompt=busy)

    def add_socket(self, slot: int, one: WorkerSocket) -> None:
        """Give a slot's process one more socket; a process that starts later gets all of them."""
        state = self._slots[slot]
        self._opener.size_queue(one.sock, prompt=state.prompt)
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
        process.send(message, one.sock.fileno)

    @staticmethod
    def _hand_over(process: WorkerProcess, device: VtiDevice) -> None:
        if device.gone:
            return  # the process gets it once it exists
        tun = device.tun  # one that is made again is handed over by itself
        message = AddDevice(device.device_id, tun.name, device.trap, *device.mss)
        process.send(message, lambda: tun.fd)

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
                log.error(f"worker {slot}", text, "esp")
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
        """End all processes: close their pairs, and kill those that still run after GOODBYE."""
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
