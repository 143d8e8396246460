"""What control uses of the kernel once it has no rights: it reads by itself, and has changes made for it.

Same interfaces as `tun.network`, `esp.net.sockets` and `WorkerLauncher`.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ikepy.daemon.interfaces import Mended, MendedVxlan, Operation, Tun
from ikepy.daemon.privileged.client import Privileged
from ikepy.daemon.privileged.codec import MAX_ITEMS
from ikepy.daemon.privileged.requests import (
    Done,
    Ended,
    EndExemption,
    EndExemptions,
    EndSteering,
    Exempt,
    KillWorker,
    ListFiles,
    Made,
    MakeDevice,
    MendVxlan,
    Named,
    OpenEcho,
    OpenEsp,
    OpenFile,
    OpenRouter,
    OpenUdp,
    Perform,
    Performed,
    ReapWorker,
    RemoveVxlan,
    RenameDevice,
    SetPriority,
    SizeQueue,
    Started,
    StartWorker,
    Steer,
    Told,
)
from ikepy.sa.api.path import Address
from tun import network
from tun.device import TunDevice, TunError
from tun.netlink import HostAddress, RouteError
from tun.network import Refused
from tun.rtnetlink import BestRoute, Hop
from tun.state import AddRoute, DeviceState, SetCarrier
from tun.steering import HostFlow
from tun.vxlan_state import VxlanState

CROWDED = (
    f"more than {MAX_ITEMS} tunnels share it, and a route can't have more next hops: give some another "
    "vti.metric or vti.table"
)
AT_ONCE = 128  # operations of a request, which stays small
HOPS_AT_ONCE = 16384  # next hops that a request's routes have, so that its answer comes soon
LOST = -9  # the status of a worker that ended with the privileged process, by SIGKILL


class SeparatedDevices:
    """Makes TUN devices."""

    def __init__(self, privileged: Privileged) -> None:
        self._privileged = privileged

    def create(self, name: str) -> TunDevice:
        """A new device. Raises TunError."""
        try:
            made, fd = self._privileged.ask_for_descriptor(MakeDevice(name), Made)
        except OSError as error:
            raise TunError(error.errno, error.strerror) from error
        return TunDevice(fd, name, made.index, self._rename)

    def _rename(self, index: int, name: str) -> None:
        self._privileged.do(RenameDevice(index, name))


class SeparatedNetwork:
    """As the module `tun.network`."""

    def __init__(self, privileged: Privileged) -> None:
        self._privileged = privileged

    def mend(self, tun: Tun, desired: DeviceState, *, new: bool = False) -> Mended:
        operations, up = network.plan(tun, desired, new=new)
        mended = self.perform(tun, operations, desired)
        return Mended(mended.done, mended.refused, up)

    def perform(self, tun: Tun, operations: Sequence[Operation], desired: DeviceState) -> Mended:
        """The carrier is set here, by the device's descriptor."""
        done: list[Operation] = []
        refused: list[Refused] = []
        most = max(1, min(AT_ONCE, HOPS_AT_ONCE // (1 + len(desired.neighbours))))
        for part in _parts(operations, most):
            if isinstance(part[0], SetCarrier):
                mended = network.perform(tun, part, desired)
            else:
                mended = self._perform(tun, part, desired)
            done += mended.done
            refused += mended.refused
        return Mended(tuple(done), tuple(refused))

    def _perform(self, tun: Tun, operations: Sequence[Operation], desired: DeviceState) -> Mended:
        if len(desired.neighbours) > MAX_ITEMS:
            return self._perform_without_routes(tun, operations, desired)
        # Of the addresses those alone that the kernel could have given by itself: it may have thousands.
        kept = tuple(one for one in desired.addresses if one[0].version == 6 and one[0].ip.is_link_local)
        request = Perform(tun.index, tuple(operations), kept, desired.neighbours)
        try:
            answer = self._privileged.ask(request, Performed)
        except OSError as error:
            code = error.errno or 0
            return Mended((), tuple(network.explain(tun, one, code, frozenset()) for one in operations))
        refused = {
            one.index: network.explain(tun, operations[one.index], one.code, one.others)
            for one in answer.refused
        }
        done = tuple(one for number, one in enumerate(operations) if number not in refused)
        return Mended(done, tuple(refused.values()))

    def _perform_without_routes(
        self, tun: Tun, operations: Sequence[Operation], desired: DeviceState
    ) -> Mended:
        """All but the new routes: each would have more next hops than a route can have."""
        refused = tuple(
            Refused(one, RouteError(f"a route to {one.route.network} by {tun.name}", errno.E2BIG, CROWDED))
            for one in operations
            if isinstance(one, AddRoute)
        )
        others = [one for one in operations if not isinstance(one, AddRoute)]
        if not others:
            return Mended((), refused)
        mended = self._perform(tun, others, replace(desired, neighbours=frozenset()))
        return Mended(mended.done, (*mended.refused, *refused))

    def exempt(self, remote: Address, hop: Hop, source: Address | None) -> None:
        try:
            self._privileged.do(Exempt(remote, hop, source))
        except OSError as error:
            raise RouteError(f"cannot lead {remote} to {hop}", error.errno or 0) from error

    def end_exemption(self, remote: Address) -> None:
        with contextlib.suppress(OSError):
            self._privileged.do(EndExemption(remote))

    def end_exemptions(self) -> None:
        with contextlib.suppress(OSError):
            self._privileged.do(EndExemptions())

    def steer(self, index: int, flows: Collection[HostFlow]) -> None:
        try:
            self._privileged.do(Steer(index, tuple(flows)))
        except OSError as error:
            raise RouteError(f"cannot steer packets into device {index}", error.errno or 0) from error

    def end_steering(self) -> None:
        with contextlib.suppress(OSError):
            self._privileged.do(EndSteering())

    def mend_vxlan(self, desired: VxlanState) -> MendedVxlan:
        try:
            return self._privileged.ask(MendVxlan(desired), MendedVxlan)
        except OSError as error:
            raise _route_error(desired.name, error) from error

    def remove_vxlan(self, name: str) -> None:
        try:
            self._privileged.do(RemoveVxlan(name))
        except OSError as error:
            raise _route_error(name, error) from error

    # What needs no rights

    def uplink_mtu(self, remote: Address, local: Address | None) -> int:
        return network.uplink_mtu(remote, local)

    def outlet(self, remote: Address, local: Address) -> str | None:
        return network.outlet(remote, local)

    def best_route(
        self, remote: Address, local: Address | None = None, device: int | None = None
    ) -> BestRoute | None:
        return network.best_route(remote, local, device)

    def device_indices(self) -> list[int]:
        return network.device_indices()

    def source_address(self, remote: Address) -> Address:
        return network.source_address(remote)

    def local_addresses(self) -> list[Address]:
        return network.local_addresses()

    def host_addresses(self) -> list[HostAddress]:
        return network.host_addresses()

    def is_local(self, address: Address) -> bool:
        return network.is_local(address)

    def has_link(self, name: str) -> bool:
        return network.has_link(name)


def _route_error(name: str, error: OSError) -> RouteError:
    """The error that the privileged process met, in its words."""
    what, colon, reason = (error.strerror or str(error)).partition(": ")
    return RouteError(what if colon else name, error.errno or 0, reason if colon else what)


def _parts(operations: Sequence[Operation], most: int) -> Iterator[list[Operation]]:
    """The operations in their order, at most `most` in a part, those on the carrier each by itself."""
    part: list[Operation] = []
    for operation in operations:
        alone = isinstance(operation, SetCarrier)
        if part and (alone or len(part) == most or isinstance(part[0], SetCarrier)):
            yield part
            part = []
        part.append(operation)
    if part:
        yield part


class SeparatedSockets:
    """As the module `esp.net.sockets`."""

    def __init__(self, privileged: Privileged) -> None:
        self._privileged = privileged

    def open_udp(self, address: Address, port: int, *, reuse_port: bool) -> socket.socket:
        request = OpenUdp(address, port, reuse_port=reuse_port, probe=False)
        return self._socket(request)

    def open_raw(self, address: Address) -> socket.socket:
        return self._socket(OpenEsp(address))

    def open_icmp_socket(self, interface: str, index: int) -> socket.socket:
        """As `ikepy.daemon.router.icmp_socket.open_icmp_socket`."""
        return self._socket(OpenRouter(interface, index))

    def open_echo_socket(
        self, device: str, index: int, version: int, source: Address | None
    ) -> socket.socket:
        """As `ikepy.daemon.probe.echo_socket.open_echo_socket`."""
        return self._socket(OpenEcho(index, version, source))

    def _socket(self, request: OpenUdp | OpenEsp | OpenRouter | OpenEcho) -> socket.socket:
        sock = socket.socket(fileno=self._privileged.ask_for_descriptor(request, Done)[1])
        sock.setblocking(False)
        return sock

    def refuse_shared(self, address: Address, port: int) -> None:
        self._privileged.do(OpenUdp(address, port, reuse_port=False, probe=True))

    def size_queue(self, sock: socket.socket, *, prompt: bool) -> None:
        with contextlib.suppress(OSError):  # it works with any size
            self._privileged.ask(SizeQueue(prompt), Done, sock.fileno())


class SeparatedLauncher:
    """As `WorkerLauncher`: workers are children of the privileged process, and end with it."""

    def __init__(self, privileged: Privileged) -> None:
        self._privileged = privileged

    def start(self, fd: int) -> tuple[int, int]:
        started, pidfd = self._privileged.ask_for_descriptor(StartWorker(), Started, fd)
        return started.pid, pidfd

    def kill(self, pid: int) -> None:
        with contextlib.suppress(OSError):  # then the worker has ended as well
            self._privileged.do(KillWorker(pid))

    def reap(self, pid: int) -> int:
        try:
            return self._privileged.ask(ReapWorker(pid), Ended).status
        except OSError:
            return LOST

    def set_priority(self, pid: int, *, busy: bool) -> str | None:
        try:
            return self._privileged.ask(SetPriority(pid, busy), Told).text
        except OSError as error:
            return error.strerror


class SeparatedFiles:
    """Opens the files of the configuration (`ikepy.config.files`)."""

    def __init__(self, privileged: Privileged) -> None:
        self._privileged = privileged

    def open(self, path: str) -> int:
        return self._privileged.ask_for_descriptor(OpenFile(path), Done)[1]

    def matching(self, pattern: str) -> list[str]:
        names: list[str] = []
        while part := self._privileged.ask(ListFiles(pattern, names[-1] if names else ""), Named).names:
            names += part
        return names
