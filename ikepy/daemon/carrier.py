"""Giving a device carrier, so that the very next packet goes through it.

TUNSETCARRIER only notes the change: until the kernel's link watch has seen it, the device drops what is sent
(linux/net/core/link_watch.c). IFF_RUNNING tells that it has (netdevice(7)).
"""

from __future__ import annotations

import time

from ikepy.daemon.ports import Tun
from tun.network import IFF_RUNNING, link_flags

PAUSE = 0.0002  # seconds between two looks
PATIENCE = 0.05  # seconds: control must not stand still for longer


def plug(tun: Tun) -> None:
    """Give carrier, and wait the moment that the kernel takes to send. Raises OSError."""
    tun.set_carrier(True)
    end = time.monotonic() + PATIENCE
    while not _running(tun.name) and time.monotonic() < end:
        time.sleep(PAUSE)
    tun.set_carrier(True)  # takes the lock that the link watch holds until the device sends


def _running(name: str) -> bool:
    """Whether the kernel uses the device; a device that is gone is not worth waiting for."""
    try:
        return bool(link_flags(name) & IFF_RUNNING)
    except OSError:
        return True
