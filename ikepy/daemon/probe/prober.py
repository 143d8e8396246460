"""Sends echo requests for all connections with `probe` while their tunnels are up, and takes the replies."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ikepy.config.model import Config
from ikepy.config.probe import Probe
from ikepy.daemon import log
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.probe.echo import IDENTIFIERS, reply, request
from ikepy.daemon.probe.echo_socket import OpenEchoSocket, open_echo_socket, receive
from ikepy.daemon.probe.mtu_search import remedy
from ikepy.daemon.probe.target import Loss, RoundTrip, Target
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.events import IkeMoved
from ikepy.sa.api.path import Address

LOOK = 0.5  # seconds between two looks at the devices
AGAIN = 5.0  # seconds until a socket that could not be opened is tried again
REPLIES = 64  # that are taken at once: the rest of the daemon has its turn


class ProbedDevice(Protocol):
    """What the prober wants of a tunnel's device: `ikepy.daemon.device.vti_device.VtiDevice`."""

    mtu: int

    @property
    def name(self) -> str: ...

    @property
    def index(self) -> int: ...

    @property
    def is_up(self) -> bool:
        """Whether a child can send through it."""


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What is known of one target. `path_mtu`, octets: the largest packet that came back, of those up to
    `tried_mtu`; None: not checked (yet)."""

    connection: str
    target: Address
    up: bool
    sent: int
    received: int
    loss: Loss
    round_trip: RoundTrip | None
    path_mtu: int | None
    tried_mtu: int | None


@dataclass(slots=True, eq=False)
class _Probed:
    """A connection's targets, and a socket for each IP version while its tunnel is up."""

    probe: Probe
    identifier: int
    targets: dict[Address, Target]
    sockets: dict[int, socket.socket] = field(default_factory=dict)
    index: int | None = None  # of the device that the sockets are bound to
    retry_at: float = 0.0
    told: bool = False  # that a socket could not be opened
    told_mtu: dict[Address, int] = field(default_factory=dict)  # path MTUs below the device's


class Prober:
    """From `start` to `stop`. `device_of`: a connection's device, None if it has none (any more)."""

    def __init__(
        self,
        config: Config,
        device_of: Callable[[str], ProbedDevice | None],
        bus: EventBus,
        open_socket: OpenEchoSocket = open_echo_socket,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device_of = device_of
        self._open = open_socket
        self._clock = clock
        self._probed: dict[str, _Probed] = {}
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()  # the next look at all targets is over
        self.replace_config(config)
        bus.listen((IkeMoved,), self._moved)

    def replace_config(self, config: Config) -> None:
        """Probe what this configuration says; what is the same goes on."""
        for name in [*self._probed]:
            new = config.connections.get(name)
            if new is None or new.probe != self._probed[name].probe:
                self._close(self._probed.pop(name))
        for name, connection in config.connections.items():
            probe = connection.probe
            if probe is not None and name not in self._probed:
                targets = {
                    address: Target(address.version, probe.interval, probe.timeout, probe.mtu)
                    for address in probe.targets
                }
                self._probed[name] = _Probed(probe, secrets.randbelow(IDENTIFIERS), targets)
        if self._probed and self._task is None:
            self._run()

    def start(self) -> None:
        """Begin, as soon as there is something to probe."""
        if self._probed and self._task is None:
            self._run()

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):  # before the event loop runs
            asyncio.get_running_loop()
            self._task = supervise(self._probe, "send probes", "device")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for probed in self._probed.values():
            self._close(probed)

    def states(self) -> Iterator[ProbeState]:
        """One of each target."""
        for name, probed in self._probed.items():
            for address, target in probed.targets.items():
                yield ProbeState(
                    name,
                    address,
                    probed.index is not None,
                    target.sent,
                    target.received,
                    target.loss,
                    target.round_trip,
                    target.path_mtu,
                    target.tried_mtu,
                )

    async def check_mtu(self, connection: str | None, patience: float) -> set[tuple[str, Address]]:
        """Look for the path MTU now, of one connection or of all, for at most `patience` seconds.

        Returns the targets of which it was found.
        """
        asked = [
            (name, address, target, target.checks)
            for name, probed in self._probed.items()
            if connection in (None, name) and probed.index is not None
            for address, target in probed.targets.items()
        ]
        for _, _, target, _ in asked:
            target.ask_for_check(self._clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(target.is_up and target.checks == before for _, _, target, before in asked):
                    await self._looked.wait()
        return {(name, address) for name, address, target, before in asked if target.checks > before}

    async def _probe(self) -> None:
        while True:
            for name, probed in tuple(self._probed.items()):
                self._follow(name, probed)
                self._send(name, probed)
                _tell_path_mtu(name, probed)
            self._looked.set()
            self._looked = asyncio.Event()
            due = [
                at
                for probed in self._probed.values()
                for target in probed.targets.values()
                if probed.index is not None and (at := target.due()) is not None
            ]
            await asyncio.sleep(max(0.0, min([LOOK, *(at - self._clock() for at in due)])))

    def _follow(self, name: str, probed: _Probed) -> None:
        """Bring sockets and targets in line with the device."""
        device, now = self._device_of(name), self._clock()
        if device is None or not device.is_up:
            self._close(probed)
            return
        if probed.index not in (None, device.index):
            self._close(probed)  # it was made again
        if probed.index is None and now >= probed.retry_at and not self._open_all(name, probed, device):
            probed.retry_at = now + AGAIN
        if probed.index is not None:
            for target in probed.targets.values():
                target.up(device.mtu, now)

    def _open_all(self, name: str, probed: _Probed, device: ProbedDevice) -> bool:
        try:
            for version in sorted({address.version for address in probed.targets}):
                sock = self._open(device.name, device.index, version, probed.probe.source_of(version))
                probed.sockets[version] = sock
                asyncio.get_running_loop().add_reader(sock, self._take, probed, version, sock)
        except OSError as error:
            self._close(probed)
            if not probed.told:
                log.warning(name, f"its probes can't be sent, it is tried again: {error}", "device")
            probed.told = True
            return False
        probed.index, probed.told = device.index, False
        return True

    def _send(self, name: str, probed: _Probed) -> None:
        if probed.index is None:
            return
        for address, target in probed.targets.items():
            for sequence, size in target.requests(self._clock()):
                message = request(address.version, probed.identifier, sequence, size)
                # Refused by the kernel (no route, a full queue): as if it was lost on the way.
                with contextlib.suppress(OSError):
                    probed.sockets[address.version].sendto(message, (str(address), 0))

    def _take(self, probed: _Probed, version: int, sock: socket.socket) -> None:
        now = self._clock()
        with contextlib.suppress(OSError):
            for _ in range(REPLIES):
                start, size, sender = receive(sock)
                found = reply(version, start, size)
                if found is None or found.identifier != probed.identifier:
                    continue
                for address, target in probed.targets.items():
                    if str(address) == sender:
                        target.answered(found.sequence, found.size, now)

    def _moved(self, event: IkeMoved) -> None:
        """Another path may have another MTU."""
        probed = self._probed.get(event.sa.connection)
        if probed is not None:
            for target in probed.targets.values():
                target.path_changed(self._clock())

    def _close(self, probed: _Probed) -> None:
        for sock in probed.sockets.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        probed.sockets.clear()
        probed.index = None
        for target in probed.targets.values():
            target.down()


def _tell_path_mtu(name: str, probed: _Probed) -> None:
    """A line where a check found less than the device's MTU, or something else than before; one when it is
    good again."""
    for address, target in probed.targets.items():
        takes, tried = target.path_mtu, target.tried_mtu
        if takes is None or tried is None or probed.told_mtu.get(address, tried) == takes:
            continue
        if takes < tried:
            probed.told_mtu[address] = takes
            text = (
                f"no packet of the device's MTU, {tried}, to {address} comes back: the path takes {takes}; "
                f"larger ones are lost in silence: set {remedy(takes, 'vti')}"
            )
            log.warning(name, text, "device")
        else:
            del probed.told_mtu[address]
            log.info(name, f"packets of the device's MTU, {tried}, to {address} come back again", "device")
