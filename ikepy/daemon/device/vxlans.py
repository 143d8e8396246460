"""The VXLAN devices of the configuration: made, held as they are to be, and removed at the end (RFC 7348).

Peers are given by address, or by names that are looked up again and again, as those of a headless Service of
Kubernetes, whose pods come and go. A device that another program has made is used as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ikepy.config.model import Config, DnsName, Vxlan
from ikepy.daemon import log
from ikepy.daemon.in_thread import in_thread
from ikepy.daemon.interfaces import Changes, NetworkConfig
from ikepy.daemon.net.name_threads import LookUpError, NameThreads
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.path import Address
from tun.netlink import Interface, RouteError
from tun.vxlan_state import VxlanState

RESOLVE_AGAIN = 10.0  # seconds between two look-ups of names
LOOK_AGAIN = 30.0  # seconds: nobody tells of changed forwarding entries
RETRY = 1.0  # seconds after the first failure; doubled each time, up to LOOK_AGAIN
MOST_PEERS = 1024  # of a device
SUBJECT = "vxlan"
LookUp = Callable[[DnsName], Awaitable[list[Address]]]


@dataclass(slots=True, eq=False)
class _Device:
    """`found`: the addresses of the peers that are given by name; `told`: why it is not as it is to be."""

    section: Vxlan
    found: dict[str, frozenset[Address]] = field(default_factory=dict)
    retired: set[Interface] = field(default_factory=set)
    applied: VxlanState | None = None  # what the kernel got last, without what it was before
    mac: str | None = None
    told: str = ""
    lost: set[str] = field(default_factory=set)  # names without an address


class VxlanDevices:
    """All VXLAN devices of the configuration, from `start` to `close`."""

    def __init__(self, config: Config, network: NetworkConfig, look_up: LookUp | None = None) -> None:
        """`look_up`: the addresses of a name, at least one, or LookUpError; None: by the system."""
        self._network = network
        self._look_up = NameThreads().look_up if look_up is None else look_up
        self._devices = {name: _Device(one) for name, one in config.vxlan.items()}
        self._busy = asyncio.Lock()  # one change of the kernel's devices at a time
        self._wake, self._names = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0

    async def start(self) -> None:
        """Make the devices, with the peers that are given by address, and follow what happens to them."""
        await self._mend_all()
        self._tasks = [
            supervise(self._follow, "mend VXLAN devices", "device", self._wake.set),
            supervise(self._follow_names, "look up VXLAN peers", "device"),
        ]

    async def close(self) -> None:
        """Remove the devices. May be called without `start`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.replace_config(Config())

    def changed(self, changes: Changes) -> None:
        """The kernel reports changes: compare all devices with what they are to be."""
        if self._devices and (changes.all or changes.gone or changes.devices or changes.links):
            self._wake.set()

    async def replace_config(self, config: Config) -> None:
        """Have the devices of this configuration, and no others."""
        async with self._busy:
            for name in self._devices.keys() - config.vxlan.keys():
                await self._remove(name)
            for name, section in config.vxlan.items():
                device = self._devices.setdefault(name, _Device(section))
                device.retired.update(set(device.section.addresses) - set(section.addresses))
                device.retired.difference_update(section.addresses)
                device.section = section
        self._names.set()
        await self._mend_all()

    async def _remove(self, name: str) -> None:
        del self._devices[name]
        try:
            await in_thread(self._network.remove_vxlan, name)
        except (RouteError, OSError) as error:
            log.warning(SUBJECT, str(error), "device")

    async def _follow(self) -> None:
        while True:
            pause = min(RETRY * 2**self._failures, LOOK_AGAIN) if self._failures else LOOK_AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            await self._mend_all()

    async def _follow_names(self) -> None:
        while True:
            self._names.clear()
            for device in list(self._devices.values()):
                await self._resolve(device)
            named = any(device.section.peer_names for device in self._devices.values())
            with suppress(TimeoutError):
                async with asyncio.timeout(RESOLVE_AGAIN if named else None):
                    await self._names.wait()

    async def _resolve(self, device: _Device) -> None:
        """Look up the names of a device's peers; one that has no answer keeps the last one."""
        section = device.section
        for name in section.peer_names:
            try:
                answer = await self._look_up(DnsName(name))
            except LookUpError as error:
                if name not in device.lost:
                    text = f"{section.name}: {name} can't be looked up: {error}; it is tried again"
                    log.warning(SUBJECT, text, "device")
                device.lost.add(name)
                continue
            device.lost.discard(name)
            found = frozenset(one for one in answer if one.version == section.version)
            if device.found.get(name) != found:
                device.found[name] = found
                self._wake.set()
        device.found = {name: one for name, one in device.found.items() if name in section.peer_names}

    async def _mend_all(self) -> None:
        async with self._busy:
            try:
                own = await in_thread(self._network.local_addresses)
            except (RouteError, OSError):
                own = []
            failed = [not await self._mend(device, own) for device in self._devices.values()]
            self._failures = min(self._failures + 1, 10) if any(failed) else 0

    async def _mend(self, device: _Device, own: Iterable[Address]) -> bool:
        """Compare one with the kernel's, and do what is missing. Whether that could be done."""
        desired, name = self._desired(device, own), device.section.name
        try:
            mended = await in_thread(self._network.mend_vxlan, desired)
        except (RouteError, OSError) as error:
            if str(error) != device.told:
                log.warning(SUBJECT, f"{error}; [vxlan.{name}] waits until that is settled", "device")
            device.told = str(error)
            return False
        before, device.told = device.applied, ""
        device.applied = replace(desired, mac=None, retired=frozenset())
        device.retired.clear()
        device.mac = mended.mac
        if before is None:
            log.info(SUBJECT, f"{name} is there, {_peers(desired)}", "device")
        elif (
            replace(before, mac=None, retired=frozenset()) != replace(desired, mac=None, retired=frozenset())
            and mended.done
        ):
            log.info(SUBJECT, f"{name} is changed, {_peers(desired)}", "device")
        elif mended.done:
            what = "was deleted by others, and is made again" if mended.made else "was changed by others: "
            text = what if mended.made else what + "; ".join(mended.done)
            log.warning(SUBJECT, f"{name} {text}", "device")
        return True

    @staticmethod
    def _desired(device: _Device, own: Iterable[Address]) -> VxlanState:
        section = device.section
        found = {one for name in section.peer_names for one in device.found.get(name, ())}
        peers = sorted(found - set(own) - set(section.peer_addresses), key=str)
        return VxlanState(
            name=section.name,
            vni=section.vni,
            port=section.port,
            underlay=section.device,
            local=section.local,
            mtu=section.mtu,
            peers=frozenset([*section.peer_addresses, *peers][:MOST_PEERS]),
            addresses=frozenset(section.addresses),
            retired=frozenset(device.retired),
            mac=device.mac,
        )


def _peers(state: VxlanState) -> str:
    shown = sorted(map(str, state.peers))
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return f"peers: {', '.join(shown[:8])}{more}" if shown else "without a peer"
