"""Which tunnels carry IPv6 now, and the networks behind them: on that depends what is announced."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Network
from itertools import chain
from typing import Protocol

from ikepy.config.model import Config
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.daemon.device.vti_device import VtiDevice


@dataclass(frozen=True, slots=True)
class Tunnels:
    """The connections that an interface's advertisements depend on. `far`: the networks behind those that are
    up; `all_far`: those behind all of them, as far as they are known."""

    needed: tuple[str, ...]
    up: tuple[str, ...]
    far: frozenset[IPv6Network]
    all_far: frozenset[IPv6Network]

    def suffice(self, settings: RouterAdvertisement) -> bool:
        """Whether the interface is to announce."""
        return bool(self.up) and (settings.require == "any" or len(self.up) == len(self.needed))


class Devices(Protocol):
    """`ikepy.daemon.device.devices.DeviceTable`."""

    def find(self, connection: str) -> VtiDevice | None: ...


def tunnels(settings: RouterAdvertisement, config: Config, devices: Devices) -> Tunnels:
    """The state of the tunnels now."""
    needed = settings.connections or tuple(
        name for name, connection in config.connections.items() if connection.may_carry_ipv6
    )
    found = {name: devices.find(name) for name in dict.fromkeys(needed)}
    up = {name: device for name, device in found.items() if device is not None and carries_ipv6(device)}
    return Tunnels(
        tuple(found),
        tuple(up),
        frozenset(one for device in up.values() for one in far_networks(device)),
        frozenset(one for device in found.values() if device is not None for one in far_networks(device)),
    )


def carries_ipv6(device: VtiDevice) -> bool:
    """Whether an IPv6 packet that is routed into the device goes on under an SA."""
    selectors = (one for child in device.users for one in device.negotiated.get(child, ()))
    return device.live and any(one.version == 6 for one in selectors)


def far_networks(device: VtiDevice) -> set[IPv6Network]:
    """The IPv6 networks that the configuration, or what was negotiated, leads into the device."""
    routes = chain(device.permanent, chain.from_iterable(device.asked.values()))
    given = chain.from_iterable(settings.subnets for settings in device.settings.values())
    networks = chain((route.network for route in routes), given)
    return {one for one in networks if isinstance(one, IPv6Network)}
