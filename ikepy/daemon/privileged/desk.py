"""Answers control's requests: each is checked against what this process has made itself and was told at the
start, whatever control may have become."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from esp.net import sockets
from ikepy.daemon.privileged.codec import in_parts
from ikepy.daemon.privileged.files import Files
from ikepy.daemon.privileged.requests import (
    Answer,
    Begin,
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
    Refusal,
    RemoveVxlan,
    RenameDevice,
    Request,
    SetPriority,
    SizeQueue,
    Started,
    StartWorker,
    Steer,
    Told,
)
from ikepy.daemon.probe.echo_socket import open_echo_socket
from ikepy.daemon.process.account import Account
from ikepy.daemon.process.launcher import WorkerLauncher
from ikepy.daemon.router.icmp_socket import open_icmp_socket
from tun import exemptions, network, steering
from tun.device import TunDevice
from tun.netlink import RouteError
from tun.state import (
    AddAddress,
    AddRoute,
    DeviceState,
    Operation,
    RemoveAddress,
    RemoveRoute,
    Route,
    SetCarrier,
    SetMtu,
)
from tun.vxlan import MendedVxlan

MOST_DEVICES = 65536
MOST_EXEMPTIONS = 65536
MOST_VXLANS = 4096
MOST_FLOWS = 1024  # of a device
STEERABLE = frozenset(range(1, 256)) - {50}  # not ESP itself
MTUS = range(68, 65536)  # RFC 791 3.2
TABLES = range(1, 2**32)
RESERVED_TABLES = (255, exemptions.TABLE)  # "local", in which the host finds itself, and ours for exemptions
METRICS = range(2**32)
UNRESERVED = range(1024, 65536)  # of which the kernel chooses a port
Reply = tuple[Answer, int | None]  # and a descriptor, the receiver's to close


class Link:
    """A device as `tun.network` knows one: its carrier is control's, which has the descriptor."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name

    def set_carrier(self, up: bool, /) -> None:
        raise PermissionError(errno.EPERM, "the carrier is set by whoever has the descriptor")


class Desk:
    """The state that requests are held against. `answer` raises OSError for what is refused or fails."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._links: dict[int, Link] = {}
        self._exempt: set[IPv4Address | IPv6Address] = set()
        self._vxlans: set[str] = set()  # names that were asked for
        self._files = Files(begin.files, begin.patterns)
        account = None if begin.account is None else Account(*begin.account)
        self._launcher = WorkerLauncher(account, begin.priority)

    def answer(self, request: Request, fds: Sequence[int]) -> Reply:
        """Do what is asked. `fds` came with the request, and stay the caller's."""
        match request:
            case MakeDevice() | RenameDevice() | Perform():
                return self._change_device(request)
            case MendVxlan() | RemoveVxlan():
                return self._change_vxlan(request), None
            case Exempt() | EndExemption() | EndExemptions():
                return self._change_exemptions(request), None
            case Steer() | EndSteering():
                return self._steer(request), None
            case OpenUdp() | OpenEsp() | OpenRouter() | OpenEcho() | SizeQueue():
                return Done(), self._open(request, fds)
            case StartWorker() | KillWorker() | ReapWorker() | SetPriority():
                return self._manage_worker(request, fds)
            case OpenFile(path=path):
                return Done(), self._files.open(path)
            case ListFiles(pattern=pattern, after=after):
                names = (name for name in self._files.matching(pattern) if name > after)
                return Named(next(in_parts(names), ())), None

    # -- devices

    def _change_device(self, request: MakeDevice | RenameDevice | Perform) -> Reply:
        match request:
            case MakeDevice(name=name):
                self._forget_gone()
                if len(self._links) >= MOST_DEVICES:
                    raise OSError(errno.ENOSPC, "too many devices")
                made = TunDevice.create(name)
                self._links[made.index] = Link(made.index, name)
                with contextlib.suppress(OSError):  # it works with any
                    network.set_queue(made.index)
                return Made(made.index), made.fd
            case RenameDevice(index=index, name=name):
                link = self._link(index)
                TunDevice(-1, link.name, index).rename(name)
                link.name = name
                return Done(), None
            case Perform():
                return self._perform(request), None

    def _perform(self, request: Perform) -> Performed:
        """Do all operations or, if one of them is not permitted, none."""
        link = self._link(request.index)
        for operation in request.operations:
            self._check(operation)
        neighbours = request.neighbours.intersection(self._links)
        desired = DeviceState(mtu=0, addresses=request.desired, neighbours=neighbours)
        refused: list[Refusal] = []
        for number, operation in enumerate(request.operations):
            failure = network.attempt(link, operation, desired)
            if failure is not None:
                refused.append(Refusal(number, *failure))
        return Performed(tuple(refused))

    def _check(self, operation: Operation) -> None:
        match operation:
            case SetCarrier():
                raise _refusal("the carrier is set by whoever has the descriptor")
            case SetMtu(mtu=mtu) if mtu not in MTUS:
                raise _refusal(f"MTU {mtu}")
            case AddRoute(route=route) | RemoveRoute(route=route):
                self._check_route(route)
            case AddAddress(own=own) | RemoveAddress(own=own) if own.is_multicast:
                raise _refusal(f"the address {own}")

    def _check_route(self, route: Route) -> None:
        if route.device:
            self._link(route.device)
        reserved = route.table in RESERVED_TABLES or route.table in steering.TABLES_OF_DEVICES
        if route.table not in TABLES or reserved or route.metric not in METRICS:
            raise _refusal(f"a route in table {route.table} with metric {route.metric}")

    def _link(self, index: int) -> Link:
        link = self._links.get(index)
        if link is None:
            raise _refusal(f"device {index} is none of ours")
        return link

    def _forget_gone(self) -> None:
        if len(self._links) >= MOST_DEVICES:
            there = {index for index, _ in socket.if_nameindex()}
            self._links = {index: link for index, link in self._links.items() if index in there}

    # -- VXLAN

    def _change_vxlan(self, request: MendVxlan | RemoveVxlan) -> Done | MendedVxlan:
        """Only of devices with our mark, or new ones: `tun.vxlan` looks."""
        try:
            match request:
                case RemoveVxlan(name=name):
                    network.remove_vxlan(name)
                    self._vxlans.discard(name)
                    return Done()
                case MendVxlan(desired=desired):
                    if desired.name not in self._vxlans and len(self._vxlans) >= MOST_VXLANS:
                        raise OSError(errno.ENOSPC, "too many VXLAN devices")
                    if desired.mtu is not None and desired.mtu not in MTUS:
                        raise _refusal(f"MTU {desired.mtu}")
                    self._vxlans.add(desired.name)
                    return network.mend_vxlan(desired)
        except RouteError as error:
            raise OSError(error.errno or errno.EIO, str(error)) from error

    # -- exemptions

    def _change_exemptions(self, request: Exempt | EndExemption | EndExemptions) -> Done:
        match request:
            case Exempt(remote=remote, hop=hop, source=source):
                if remote not in self._exempt and len(self._exempt) >= MOST_EXEMPTIONS:
                    raise OSError(errno.ENOSPC, "too many exemptions")
                if remote.is_multicast or remote.is_unspecified:
                    raise _refusal(f"an exemption of {remote}")
                self._exempt.add(remote)  # before: it may fail half-done, and `close` ends what is here
                exemptions.exempt(remote, hop, source)
            case EndExemption(remote=remote):
                exemptions.end_exemption(remote)
                self._exempt.discard(remote)
            case EndExemptions():
                network.end_exemptions()
                self._exempt.clear()
        return Done()

    def _steer(self, request: Steer | EndSteering) -> Done:
        match request:
            case Steer(index=index, flows=flows):
                self._link(index)
                if len(flows) > MOST_FLOWS:
                    raise OSError(errno.ENOSPC, "too many flows")
                for flow in flows:
                    if flow.remote.is_multicast or flow.protocol not in STEERABLE:
                        raise _refusal(f"steering protocol {flow.protocol} to {flow.remote}")
                network.steer(index, flows)
            case EndSteering():
                network.end_steering()
        return Done()

    # -- sockets

    def _open(
        self, request: OpenUdp | OpenEsp | OpenRouter | OpenEcho | SizeQueue, fds: Sequence[int]
    ) -> int | None:
        match request:
            case OpenUdp(address=address, port=port):
                if port not in self._begin.ports and not (0 in self._begin.ports and port in UNRESERVED):
                    raise _refusal(f"UDP port {port}")
                if request.probe:
                    sockets.refuse_shared(address, port)
                    return None
                return sockets.open_udp(address, port, reuse_port=request.reuse_port).detach()
            case OpenEsp(address=address):
                return sockets.open_raw(address).detach()
            case OpenRouter(interface=interface, index=index):
                return open_icmp_socket(interface, index).detach()
            case OpenEcho(index=index, version=version, source=source):
                if version not in (4, 6):
                    raise _refusal(f"version {version} of IP")
                return open_echo_socket(self._link(index).name, index, version, source).detach()
            case SizeQueue(prompt=prompt):
                sock = socket.socket(fileno=fds[0])
                try:
                    sockets.size_queue(sock, prompt=prompt)
                finally:
                    sock.detach()  # it stays the caller's
                return None

    # -- workers

    def _manage_worker(
        self, request: StartWorker | KillWorker | ReapWorker | SetPriority, fds: Sequence[int]
    ) -> Reply:
        match request:
            case StartWorker():
                if self._launcher.living >= 2 * self._begin.workers:  # those that are replaced may end slowly
                    raise OSError(errno.EAGAIN, "too many workers")
                pid, pidfd = self._launcher.start(fds[0])
                return Started(pid), pidfd
            case KillWorker(pid=pid):
                self._launcher.kill(pid)
                return Done(), None
            case ReapWorker(pid=pid):
                return Ended(self._launcher.reap(pid)), None
            case SetPriority(pid=pid, busy=busy):
                return Told(self._launcher.set_priority(pid, busy=busy)), None

    def close(self) -> None:
        """Control is gone: nothing of it stays. Its devices go with the last process that has them open.

        Each step is tried, whatever becomes of the others; the first one's error is raised at the end.
        """
        with contextlib.ExitStack() as steps:  # the last one first
            for path, inode in self._begin.sockets:
                steps.callback(_remove_socket, path, inode)
            for name in self._vxlans:
                steps.callback(_remove_vxlan, name)
            if self._exempt:
                steps.callback(network.end_exemptions)
            steps.callback(self._launcher.close)


def _remove_vxlan(name: str) -> None:
    with contextlib.suppress(RouteError, OSError):
        network.remove_vxlan(name)


def _remove_socket(path: str, inode: int) -> None:
    try:
        if os.lstat(path).st_ino == inode:
            os.unlink(path)  # noqa: PTH108
    except OSError:
        return


def _refusal(what: str) -> PermissionError:
    return PermissionError(errno.EPERM, f"the privileged process refuses: {what}")
