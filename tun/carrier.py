"""Giving a device carrier, so that the very next packet goes through it.

TUNSETCARRIER only notes the change: until the kernel's link watch has seen it, the device drops what is sent
(linux/net/core/link_watch.c). IFF_RUNNING tells that it has (netdevice(7)).
"""

from __future__ import annotations

import time
from typing import Protocol

from tun.links import IFF_UP, LINKED, link_flags

PAUSE = 0.0002  # seconds between two looks
PATIENCE = 0.05  # seconds: control must not stand still for longer


class Tun(Protocol):
    """A device: `tun.device.TunDevice`."""

    @property
    def name(self) -> str: ...

    def set_carrier(self, up: bool, /) -> None: ...


def plug(tun: Tun) -> None:
    """Give carrier, and wait the moment that the kernel takes to send. Raises OSError."""
    tun.set_carrier(True)
    end = time.monotonic() + PATIENCE
    while not _settled(tun.name) and time.monotonic() < end:
        time.sleep(PAUSE)
    tun.set_carrier(True)  # takes the lock that the link watch holds until the device sends


def _settled(name: str) -> bool:
    """Whether the kernel uses the device; one that is down or gone is not worth waiting for."""
    try:
        return link_flags(name) & LINKED != IFF_UP
    except OSError:
        return True
