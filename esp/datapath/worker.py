"""The worker: an epoll loop that serves control's messages, devices and sockets, one batch at a time.

It ends only when control closes its end of the socket pair: a message that cannot be executed is answered
with a Fault, and a bad packet is counted. With nothing to do it sleeps.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

from esp.datapath.context import Context
from esp.datapath.device_io import PacketDevice
from esp.datapath.devices import BrokenDevice, Device
from esp.datapath.egress import Egress
from esp.datapath.ingress import Ingress
from esp.datapath.limits import RateLimit
from esp.datapath.sa_database import InstallError, SaDatabase
from esp.ipc import channel, messages
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import (
    ActivateOutboundSa,
    AddDevice,
    AddInboundSa,
    AddOutboundSa,
    AddSocket,
    Fault,
    ForwardEsp,
    Message,
    MessageError,
    Ping,
    Pong,
    Ready,
    RemoveDevice,
    RemoveOutboundSa,
    RemoveSaPair,
    RemoveSocket,
    UpdateSaPath,
)
from esp.ipc.outbox import Outbox
from esp.net.interrupt_moderation import BusyState, CpuYield
from esp.net.transport import Transport
from esp.sa.outbound import OutboundSa

__all__ = ["PacketDevice", "Worker"]

_MAX_READY = 32  # devices and sockets of one turn
_MAX_DEFERRED = 16  # deferred calls that may wait until the worker is idle
# Seconds without packets after which deferred work is done: a process that they woke runs first
_FLUSH_AFTER = 0.001
_MESSAGES_A_TURN = 256  # of control's that are read before packets are served
_FAULT = (1.0, 10)  # seconds between two, after a burst: packets could cause them

WrapDevice = Callable[[int, int, int], PacketDevice]
P = ParamSpec("P")


def _failure(action: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> str | None:
    """Run an action; the text of its exception, if any. A fault costs one message or one deferred call, not
    the worker."""
    try:
        action(*args, **kwargs)
    except Exception as error:
        return str(error) if isinstance(error, InstallError) else f"{type(error).__name__}: {error}"
    return None


class Worker:
    """One worker: its sockets, its devices and all their SAs.

    `control`: its end of the SOCK_SEQPACKET pair; `counters`: where it counts; `slot` of `workers`: inbound
    SPIs are `slot` modulo `workers`; `wrap_device(fd, mss4, mss6)` makes a packet device of a
    descriptor, which the worker closes; `close_device` does so for a device that is removed while others
    have to go on. `outbound_sa`: makes outbound SAs, as the class does.
    """

    def __init__(
        self,
        control: socket.socket,
        counters: CounterBlock,
        slot: int,
        workers: int,
        wrap_device: WrapDevice,
        close_device: Callable[[int], None] = os.close,
        outbound_sa: Callable[..., OutboundSa] = OutboundSa,
    ) -> None:
        """Raises ValueError if there is no such slot."""
        if not 0 <= slot < workers:
            raise ValueError(f"slot {slot} of {workers}")
        self._control = control
        self._counters = counters
        self._slot = slot
        self._workers = workers
        self._wrap_device = wrap_device
        self._close_device = close_device
        self._outbox = Outbox(control)
        self.context = context = Context(counters, self._outbox.post, SaDatabase(outbound_sa))
        self._database, self._devices, self._deferred = context.database, context.devices, context.deferred
        self._egress = Egress(context)
        self._ingress = Ingress(context, (slot, workers), self.read_control, self._egress.release_waiting)
        self._delivery = self._ingress.delivery
        self.transports: dict[int, Transport] = {}
        self._to_close: list[Transport] = []  # to be closed after the turn that may still read from them
        self._poll = select.epoll()
        self._sources: dict[int, Transport | Device] = {}  # by descriptor
        self._single_readers: dict[int, Callable[[], int]] = {}  # by descriptor, as `_sources`
        self._calm = False  # idle until lately, and since then one packet at a time
        self.busy_state = BusyState()
        self._cpu_yield = CpuYield()
        self._gather_until = 0.0  # monotonic seconds: the latest `not_before` of a source
        self._fault = RateLimit(*_FAULT)
        self._interest = select.EPOLLIN  # of the control socket
        self._poll.register(control.fileno(), self._interest)
        self._connected = True

    def run(self) -> None:
        """Serve until control closes the pair; then close everything but the control socket."""
        self._control.setblocking(False)
        try:
            self._outbox.post(Ready())
            while self._connected:
                self.serve_once()
        finally:
            self.close()

    def serve_once(self) -> None:
        """Wait until there is something to do, and do it: one turn."""
        while self._to_close:
            self._to_close.pop().close()
        self._watch_control()
        begin = time.monotonic() if self.busy_state.busy else 0.0
        ready = self._poll.poll(
            _FLUSH_AFTER if self._deferred or self._counters.has_deferred else None, _MAX_READY
        )
        if self._calm and len(ready) == 1 and (left := len(self._deferred)) < _MAX_DEFERRED:
            fd, authentic = ready[0][0], self._delivery.authentic
            read = self._single_readers.get(fd)
            if read is not None:
                try:
                    lone = read()
                except Exception as error:
                    lone = self._failed(self._sources.get(fd), error)
                if lone != 1 or len(self._deferred) <= left:  # not one packet that took a fast path
                    self._end_calm(fd, lone, authentic)
                return
        if begin:
            self._yield_cpu(begin)
        self._calm = not ready and not begin
        self._serve_ready(ready)

    def _end_calm(self, fd: int, lone: int, authentic: int) -> None:
        """More than one packet has come to this descriptor, or one without a fast path: moderation hears of
        this read and of those that follow. Arguments as of `_note_read`."""
        self._calm = False
        source = self._sources.get(fd)
        if source is not None:  # perhaps removed by a message that the read has executed
            self._note_read(source, time.monotonic(), lone, authentic)

    def _watch_control(self) -> None:
        """Poll the control socket for messages, and for room while messages are queued."""
        interest = select.EPOLLIN | (select.EPOLLOUT if self._outbox.pending else 0)
        if interest != self._interest:
            self._poll.modify(self._control.fileno(), interest)
            self._interest = interest

    def _serve_ready(self, ready: list[tuple[int, int]]) -> None:
        """Serve the sources that are ready: at once if it is probably one packet, else control first, then
        all in turn."""
        sources = self._sources
        if len(ready) == 1 and len(self._deferred) < _MAX_DEFERRED:
            source, now = sources.get(ready[0][0]), time.monotonic()
            if source is not None and now > source.moderation.idle_from and now >= self._gather_until:
                self._serve(source, now, alone=True)
                return
        self._run_deferred()
        if not ready:
            self._counters.flush()
        for fd, _ in ready:
            if fd not in sources:  # control, before any packet
                self._outbox.flush()
                self.read_control()
        now = self._wait_to_gather(ready)
        if len(ready) > 1:
            ready.sort(key=self._is_bulk)
        for fd, _ in ready:
            source = sources.get(fd)  # perhaps removed by a message just read
            if source is not None:
                self._serve(source, now)

    def _yield_cpu(self, begin: float) -> None:
        """Yield the CPU if it is time, after a poll that began at `begin` (monotonic seconds)."""
        seconds = self._cpu_yield.after(begin, time.monotonic())
        if seconds and os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
            time.sleep(seconds)

    def _is_bulk(self, ready: tuple[int, int]) -> bool:
        """Sort key: bulk sources come last, so that acknowledgements do not wait for a turn of frames."""
        source = self._sources.get(ready[0])
        return source is not None and source.moderation.bulk

    def _serve(self, source: Transport | Device, now: float, alone: bool = False) -> None:
        """Read one batch, or, `alone`, what is probably one packet after a pause. An exception costs this
        batch, not the worker. `now`: monotonic seconds."""
        authentic, lone = self._delivery.authentic, 1
        try:
            if alone:
                lone = self._single_readers[source.fileno()]()
            elif isinstance(source, Transport):
                lone = self._ingress.read_transport(source)
            else:
                lone = self._egress.read_device(source)
        except Exception as error:
            lone = self._failed(source, error)
        if alone and lone == 1 and not self.busy_state.busy:  # no busy read
            self._deferred.append(partial(source.moderation.note_read, now, lone))
        else:
            self._note_read(source, now, lone, authentic)

    def _note_read(self, source: Transport | Device, now: float, lone: int, authentic: int) -> None:
        """Update moderation and busy state after a read that began at `now`. `authentic`:
        `Delivery.authentic` before it."""
        busy = self.busy_state.busy
        unfinished = busy and isinstance(source, Transport) and self._ingress.unfinished
        much = source.moderation.note_read(now, lone, busy, unfinished)
        if much or busy:
            self._gather_until = max(self._gather_until, source.moderation.not_before)
            unauthenticated = isinstance(source, Transport) and self._delivery.authentic == authentic
            self._report_busy(now, much, unauthenticated)

    def _failed(self, source: Transport | Device | None, error: Exception) -> int:
        """Report a lost batch, which counts as one packet. `source`: None if it was removed meanwhile."""
        if isinstance(error, BrokenDevice) and isinstance(source, Device):
            self._stop_reading(source, str(error))
        else:
            self._report_fault(f"{type(error).__name__}: {error}")
        return 1

    def _stop_reading(self, device: Device, why: str) -> None:
        """Stop polling a broken device, which would wake the loop for ever, and tell control."""
        self._unregister(device.fd)
        self._outbox.post(messages.DeviceBroken(device.device_id, why))

    def _run_deferred(self) -> None:
        """Do the deferred work."""
        while self._deferred:
            failure = _failure(self._deferred.pop(0))
            if failure:
                self._report_fault(failure)

    def _wait_to_gather(self, ready: list[tuple[int, int]]) -> float:
        """Sleep until moderation permits to read one of the ready sources; returns the monotonic time
        then."""
        now = time.monotonic()
        if now < self._gather_until:
            sources = self._sources
            begin = min((sources[fd].moderation.not_before for fd, _ in ready if fd in sources), default=0.0)
            if now < begin:
                time.sleep(begin - now)
                slept_from, now = now, time.monotonic()
                self._cpu_yield.after(slept_from, now)  # the sleep was a pause
        return now

    def _register(self, fd: int, source: Transport | Device) -> None:
        self._poll.register(fd, select.EPOLLIN)
        self._sources[fd] = source
        if isinstance(source, Transport):
            self._single_readers[fd] = self._ingress.single_packet_reader(source)
        else:
            self._single_readers[fd] = self._egress.single_packet_reader(source)

    def _unregister(self, fd: int) -> None:
        self._single_readers.pop(fd, None)
        if self._sources.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def _report_busy(self, now: float, much: bool, unauthenticated: bool) -> None:
        busy_state = self.busy_state
        busy = (
            busy_state.note_busy_read(now, unauthenticated)
            if much
            else (False if busy_state.is_over(now) else None)
        )
        if busy is not None and self._outbox.post(messages.BusyChanged(busy)):
            busy_state.busy = busy

    def _report_fault(self, text: str) -> None:
        if self._fault.allow(time.monotonic()):
            self._outbox.post(Fault(0, text))

    # Messages from control

    def read_control(self) -> None:
        """Execute the messages of control that wait."""
        self._run_deferred()  # it may be of SAs that the messages remove
        self._counters.flush()
        for _ in range(_MESSAGES_A_TURN):
            if not self._connected:
                return
            try:
                received = channel.receive(self._control)
            except BlockingIOError:
                return
            except MessageError as error:
                self._outbox.post(Fault(0, str(error)))
                continue
            except OSError:
                received = None
            if received is None:
                self._connected = False
                return
            message, fd = received
            failure = _failure(self._execute, message, fd)
            if failure:
                child_id = message.child_id if isinstance(message, AddInboundSa | AddOutboundSa) else 0
                self._outbox.post(Fault(child_id, f"{type(message).__name__}: {failure}"))

    def _execute(self, message: Message, fd: int | None) -> None:
        match message, fd:
            case AddSocket(), int():
                self._add_socket(message, fd)
            case RemoveSocket(), None:
                self._remove_socket(message.index)
            case AddDevice(), int():
                self._add_device(message, fd)
            case messages.SetMss(), None:
                if message.device_id in self._devices:
                    self._devices[message.device_id].io.set_mss(message.mss4, message.mss6)
            case RemoveDevice(), None:
                self._remove_device(message.device_id)
            case ((AddInboundSa() | AddOutboundSa()), None):
                self._install(message)
            case _:
                self._execute_for_pair(message)

    def _execute_for_pair(self, message: Message) -> None:
        """Execute messages about one SA pair, which may be gone already, and the rest."""
        match message:
            case ActivateOutboundSa():
                self._egress.release_waiting(self._database.activate(message.child_id))
            case RemoveOutboundSa():
                self._egress.release_waiting(self._database.remove_outbound(message.child_id))
            case RemoveSaPair():
                self._egress.release_waiting(self._database.remove_pair(message.child_id))
            case UpdateSaPath():
                self._database.update_path(message)
            case messages.SetTfcPadding():
                self._database.set_tfc(message.child_id, message.tfc_padding)
            case Ping():
                self._outbox.post(Pong())
            case ForwardEsp():
                self._ingress.receive_forwarded(message)
            case _:
                raise ValueError("not for a worker")

    def _install(self, message: AddInboundSa | AddOutboundSa) -> None:
        if message.device_id not in self._devices:
            raise InstallError(f"device {message.device_id} is not here")
        if not 0 <= message.slot < self._counters.slots:
            raise InstallError(f"there are no counters {message.slot}")
        fresh = not self._database.knows(message.child_id)
        if isinstance(message, AddInboundSa):
            if message.spi % self._workers != self._slot:
                raise InstallError(f"SPI {message.spi:08x} belongs to another worker")
            self._database.install_inbound(message)
        else:
            self._database.install_outbound(message)
        if fresh:
            self._counters.clear(message.slot, message.child_id)
        if isinstance(message, AddOutboundSa) and not message.standby:
            self._egress.release_waiting(message.device_id)

    def _add_socket(self, message: AddSocket, fd: int) -> None:
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            raise
        try:
            transport = Transport(
                sock,
                message.kind,
                message.version,
                message.local_address,
                message.local_port,
                self._report_fault,
            )
        except BaseException:
            sock.close()
            raise
        self._remove_socket(message.index)
        self.transports[message.index] = transport
        self._register(transport.fileno(), transport)
        self._egress.set_transports(list(self.transports.values()))

    def _remove_socket(self, index: int) -> None:
        transport = self.transports.pop(index, None)
        if transport is not None:
            self._unregister(transport.fileno())
            self._to_close.append(transport)
            self._egress.set_transports(list(self.transports.values()))

    def _add_device(self, message: AddDevice, fd: int) -> None:
        known = self._devices.get(message.device_id)
        try:
            if known is not None:
                known.io.set_mss(message.mss4, message.mss6)  # before there are new readers
                self._replace_descriptor(known, fd)
                known.name, known.trap = message.name, message.trap
                os.close(fd)
                return
            os.set_blocking(fd, False)
            packets = self._wrap_device(fd, message.mss4, message.mss6)
            device = Device(message.device_id, message.name, message.trap, packets, fd)
            self._register(fd, device)
        except BaseException:
            os.close(fd)
            raise
        self._devices[message.device_id] = device

    def _replace_descriptor(self, device: Device, fd: int) -> None:
        """Serve a device that was recreated or is configured anew: its new descriptor takes the old number,
        which readers and writers keep. Raises OSError."""
        self._unregister(device.fd)  # while the number still means the old device
        os.dup2(fd, device.fd, inheritable=False)
        os.set_blocking(device.fd, False)
        self._register(device.fd, device)

    def _remove_device(self, device_id: int) -> None:
        self._database.remove_device(device_id)
        device = self._devices.pop(device_id, None)
        if device is not None:
            self._unregister(device.fd)
            self._close_device(device.fd)

    def close(self) -> None:
        """Close everything but the control socket."""
        self._counters.flush()
        for device in self._devices.values():
            self._unregister(device.fd)
            os.close(device.fd)
        self._devices.clear()
        for transport in (*self.transports.values(), *self._to_close):
            transport.close()
        self.transports.clear()
        self._poll.close()
