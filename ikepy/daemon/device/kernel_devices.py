"""Brings the kernel's devices to their desired state (rtnetlink(7)), and remembers what it refuses.

A change of ours is one list of operations, done at once (`perform`). What others changed, or what was refused
before, is found by comparing all of the device's state with the kernel's (`mend`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from errno import ENODEV, ENXIO

from ikepy.daemon import log
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import Mended, NetworkConfig, Operation
from tun.network import DeviceGone
from tun.state import RemoveAddress, RemoveRoute, SetCarrier, SetMtu

# A route that other devices share has a next hop through this one still, which the kernel uses again later.
WHILE_DOWN = (SetMtu, SetCarrier, RemoveAddress, RemoveRoute)


class KernelDevices:
    """The kernel's side of all devices. `tell` writes to the log what the kernel refuses, once each."""

    def __init__(self, network: NetworkConfig, tell: log.Tell) -> None:
        self._network = network
        self._tell = tell

    def perform(self, device: VtiDevice, operations: Sequence[Operation]) -> None:
        """Change a device. What it can't take while it is down or gone, it gets when it is mended."""
        if device.gone:
            return
        if device.down:
            operations = [one for one in operations if isinstance(one, WHILE_DOWN)]
        if operations:
            mended = self._network.perform(device.tun, operations, device.state)
            self._note(device, mended, looked=False)

    def mend(self, device: VtiDevice, *, new: bool = False) -> Mended:
        """Compare the kernel's device with its desired state, and do what is missing.

        Raises `DeviceGone`, `RouteError` and OSError.
        """
        if device.tun.name != device.name:
            self._rename(device)
        mended = self._network.mend(device.tun, device.state, new=new)
        self._note(device, mended, looked=True)
        return mended

    @staticmethod
    def _rename(device: VtiDevice) -> None:
        try:
            device.tun.rename(device.name)
        except OSError as error:
            if error.errno in (ENODEV, ENXIO):
                raise DeviceGone(device.tun.name, error.errno) from error
            raise

    def _note(self, device: VtiDevice, mended: Mended, *, looked: bool) -> None:
        """Remember what was refused, and log it once. `looked`: all of the device's state was compared."""
        before = device.unmet
        told = dict(before)
        if looked:
            device.unmet = {}
        for done in mended.done:
            device.unmet.pop(done, None)
            if isinstance(done, RemoveAddress):
                device.retired.discard((done.own, done.peer))
        for refused in mended.refused:
            if str(told.get(refused.operation)) != str(refused.error):
                text = f"{refused.error}; it is tried again"
                self._tell(logging.ERROR, device.connection.name, text)
            device.unmet[refused.operation] = refused.error
