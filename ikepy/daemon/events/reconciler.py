"""Reconciles the kernel's devices with their desired state: after events, and periodically where that failed.

A device that others took down stays down, for an administrator who does that means it (as with WireGuard's
devices): an event says so, its SAs stay, and once it is up again it gets back the routes that the kernel
removed with that. A device that others deleted is created again, and its worker goes on with the same SAs. If
it can't be created, its SAs are deleted, and set up anew as soon as there is a device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from ikepy.config.model import Connection
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import (
    DeviceDeleted,
    DeviceMadeAgain,
    DeviceNotRestored,
    DeviceRestored,
    DeviceTakenDown,
    DeviceUp,
)
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.events.backoff import Backoff
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.commands import Initiate, Terminate
from tun.netlink import RouteError
from tun.network import DeviceGone
from tun.watch import Changes, Link

AT_ONCE = 4  # devices that are looked at before the loop gets its turn again
RETRY = 1.0  # seconds until what the system had no room for is tried again
SUBJECT = "device"
Replace = Callable[[VtiDevice], None]
Waiting = dict[VtiDevice, None]


class Reconciler:
    """Keeps the devices in their desired state, from `start` to `stop`.

    `replace` gives a device that was created again to its worker.
    """

    def __init__(
        self, devices: DeviceTable, runner: EffectsRunner, replace: Replace, exemptions: Exemptions
    ) -> None:
        self._devices = devices
        self._exemptions = exemptions
        self._runner = runner
        self._publish = runner.bus.publish
        self._replace = replace
        self._dirty: Waiting = {}
        self._refit: Waiting = {}
        self._led: Waiting = {}  # those whose peers may be led into a tunnel by routes now
        self._backoffs: dict[VtiDevice, Backoff] = {}
        self._lacks = ""  # what the system had no room for, the last time
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time

    def start(self) -> None:
        self._led.update(dict.fromkeys(self._devices))
        self._wake.set()
        self._task = supervise(self._run, "mend devices", "device", self._wake.set)

    async def stop(self) -> None:
        """May be called without `start`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def changed(self, changes: Changes) -> None:
        """The kernel reports changes: look at the devices that they concern, and at those that wait."""
        outside = changes.outside(self._devices.indices.keys())
        for device in self._devices:
            about = device.tun.index in changes.devices or device.leads_to(changes.replaced)
            # A route with several next hops is told of without them, and one goes silently with its source.
            about = about or (0 in changes.devices and bool(device.sharers))
            about = about or (outside and device.has_sources)
            link = changes.links.get(device.tun.index)
            about = about or (link is not None and (device.down or link != Link(device.carrier, device.mtu)))
            # Of rules nobody is told whom they are for: `steered` are few.
            about = about or (changes.gone and (bool(device.steered) or _waits(device)))
            if changes.all or about:
                self._dirty[device] = None
        if outside:
            self._refit.update(dict.fromkeys(self._devices))
        if changes.all or changes.devices or changes.gone or changes.replaced:
            self._led.update(dict.fromkeys(self._devices))
        self._wake.set()

    def peers_changed(self, device: VtiDevice) -> None:
        """The packets of the device's connection go to another address."""
        self._led[device] = None
        self._wake.set()

    def forget(self, device: VtiDevice) -> None:
        """Forget a device that is removed."""
        for known in (self._dirty, self._refit, self._led, self._backoffs):
            known.pop(device, None)

    def refit(self) -> None:
        """Peers' addresses have changed: look at all devices' routes and MTUs."""
        self._refit.update(dict.fromkeys(self._devices))
        self._led.update(dict.fromkeys(self._devices))
        self._wake.set()

    def suspect(self, device: VtiDevice) -> None:
        """Look at a device with which a worker, or a change of ours, has trouble."""
        self._dirty[device] = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()
            before, self._lacks = self._lacks, ""
            await self._in_turns(self._led, list(self._led), self._exemptions.check)
            now = self._clock()
            for device, backoff in self._backoffs.items():
                if _waits(device) and backoff.retry <= now:
                    self._dirty[device] = None
            due = [one for one in self._dirty if self._backoff_of(one).due <= now]
            await self._in_turns(self._dirty, due, self._look)
            await self._in_turns(self._refit, list(self._refit), self._devices.refit)
            if self._lacks and not before:
                text = f"the kernel's devices and routes can't be looked at: {self._lacks}; it is tried again"
                log.error(SUBJECT, text, "device")

    async def _in_turns(
        self, waiting: Waiting, devices: Iterable[VtiDevice], action: Callable[[VtiDevice], None]
    ) -> None:
        """Call `action` with each of these devices, which wait no longer then, unless the system has no room
        for it, or it fails. One takes 2 ms, so for a thousand the loop gets half of the time."""
        begin = self._clock()
        for number, device in enumerate(devices, 1):
            waiting.pop(device, None)
            if self._devices.by_id(device.device_id) is device:  # else it was removed meanwhile
                done = False
                try:
                    action(device)
                    done = True
                except (RouteError, OSError) as error:
                    self._lacks = str(error) or type(error).__name__
                finally:
                    if not done:
                        waiting[device] = None
            if number % AT_ONCE == 0:
                await asyncio.sleep(self._clock() - begin)
                begin = self._clock()

    def _pause(self) -> float | None:
        """Seconds until there is something to do without an event; None: nothing."""
        if self._lacks:
            return RETRY
        waiting = [self._backoff_of(one).due for one in self._dirty]
        waiting += [
            max(self._backoff_of(one).retry, self._backoff_of(one).due)
            for one in self._devices
            if _waits(one)
        ]
        return max(0.0, min(waiting) - self._clock()) if waiting else None

    def _backoff_of(self, device: VtiDevice) -> Backoff:
        return self._backoffs.setdefault(device, Backoff())

    def _look(self, device: VtiDevice) -> None:
        """Compare a device with its desired state, mend it, and publish what was mended."""
        backoff, subject = self._backoff_of(device), device.connection.name
        was_down = device.down
        try:
            if device.gone:
                self._make_again(device, first=False)
                return
            mended = self._devices.mend(device)
        except DeviceGone:
            self._devices.lost(device)
            self._dirty.update(dict.fromkeys(device.sharers))  # the kernel removes what they shared with it
            self._make_again(device, first=True)
            return
        except (RouteError, OSError) as error:
            backoff.failed(self._clock(), altogether=True)
            self._dirty[device] = None
            self._publish(DeviceNotRestored(subject, device.name, str(error)))
            return
        if was_down is mended.up:
            self._tell_down(device, not mended.up)
        if mended.done:
            told = backoff.mended(self._clock())
            if told or not backoff.fights:
                done = tuple(map(str, mended.done))
                self._publish(
                    DeviceRestored(subject, device.name, done, was_down=was_down, contested=backoff.fights)
                )
        elif was_down and mended.up:
            self._publish(DeviceUp(subject, device.name))
        if mended.refused:
            backoff.failed(self._clock())

    def _tell_down(self, device: VtiDevice, down: bool) -> None:
        self._devices.taken_down(device, down)
        self._dirty.update(dict.fromkeys(device.sharers))
        if down:
            self._publish(DeviceTakenDown(device.connection.name, device.name))

    def _make_again(self, device: VtiDevice, *, first: bool) -> None:
        backoff, subject = self._backoff_of(device), device.connection.name
        stood = bool(device.users)
        try:
            self._devices.make_again(device)
        except (RouteError, OSError) as error:
            backoff.failed(self._clock())
            if first:
                self._publish(DeviceDeleted(subject, device.name, str(error), carried=stood))
                self._runner.request(Terminate(ike=subject))
            return
        self._replace(device)
        backoff.mended(self._clock())
        if not first:
            self._publish(DeviceMadeAgain(subject, device.name))
            for name in started(device.connection):
                self._runner.request(Initiate(subject, name))
        else:
            self._publish(DeviceDeleted(subject, device.name, None, carried=stood))


def started(connection: Connection) -> list[str]:
    """The names of the children that are to be up from the start."""
    return [child.name for child in connection.children.values() if child.start_action == "start"]


def _waits(device: VtiDevice) -> bool:
    """Whether the device doesn't exist, or the kernel refused something that it is to have."""
    return device.gone or device.unsteered or bool(device.unmet)
