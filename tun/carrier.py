"""Sets a device's carrier so that the next packet goes through, or takes it away so that all hear of it.

TUNSETCARRIER only queues the change: until the kernel's link watch has handled it, the device drops packets
(linux/net/core/link_watch.c). IFF_RUNNING shows that it has (netdevice(7)).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

from tun.links import IFF_UP, LINKED, link_carrier, link_flags

PAUSE = 0.0002  # seconds between two polls
PATIENCE = 0.05  # seconds: control must not block for longer


class Tun(Protocol):
    """A device: `tun.device.TunDevice`."""

    @property
    def name(self) -> str: ...

    def set_carrier(self, up: bool, /) -> None: ...


def plug(tun: Tun) -> None:
    """Set the carrier and wait until the kernel uses it. Raises OSError."""
    tun.set_carrier(True)
    end = time.monotonic() + PATIENCE
    while not _settled(tun.name) and time.monotonic() < end:
        time.sleep(PAUSE)
    tun.set_carrier(True)  # takes the lock that the link watch holds until the device sends


def unplug(tun: Tun) -> None:
    """Take the carrier away, and have the kernel tell of it at once. Raises OSError.

    By itself the kernel tells of lost carriers once a second, whichever devices lost them, so that a routing
    daemon would hear of it late. From Linux 6.8 on it tells when it is asked for the carrier; before, asking
    has no such effect.
    """
    tun.set_carrier(False)
    with suppress(OSError):  # it is gone
        link_carrier(tun.name)


def _settled(name: str) -> bool:
    """Whether the kernel uses the device; one that is down or gone is not worth waiting for."""
    try:
        return link_flags(name) & LINKED != IFF_UP
    except OSError:
        return True
