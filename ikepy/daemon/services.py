"""What runs beside the core of the control process: it follows addresses, DNS names, traffic and tunnels."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.take_snapshot import Sources
from ikepy.daemon.core import SUBJECT, Core
from ikepy.daemon.device.vxlans import VxlanDevices
from ikepy.daemon.effects.children import Child
from ikepy.daemon.effects.past_traffic import PastTraffic
from ikepy.daemon.events.addresses import AddressFollower
from ikepy.daemon.events.traffic_limits import TrafficWatch
from ikepy.daemon.interfaces import Changes, MakeWatch
from ikepy.daemon.net.name_threads import NameThreads
from ikepy.daemon.net.names import NameService
from ikepy.daemon.probe.prober import Prober
from ikepy.daemon.radius.accounting import Accounting
from ikepy.daemon.router.advertiser import RouterAdvertiser
from ikepy.daemon.signer.signer import Signer
from ikepy.sa.api.names import NameTable


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """The parts; `start` sets them going."""

    traffic: TrafficWatch
    past: PastTraffic
    follower: AddressFollower
    vxlans: VxlanDevices
    router: RouterAdvertiser
    names: NameService
    prober: Prober
    signer: Signer

    @classmethod
    def of(
        cls,
        stack: AsyncExitStack,
        config: Config,
        core: Core,
        names: NameTable,
        bus: EventBus,
        signer: Signer,
        hurry: asyncio.Event,
    ) -> Services:
        """The parts of a daemon with this core; `stack` stops them in reverse order, and at once if `hurry`
        is set."""
        past = PastTraffic(core.pool.counters)
        accounting = Accounting(bus, lambda: core.relay.client, core.children, core.pool.counters)
        stack.push_async_callback(accounting.stop, hurry)

        def removing(child: Child) -> None:
            past.note(child)
            accounting.removing(child)

        core.children.removing = removing
        bus.listen((ConnectionRemoved,), lambda event: past.forget(event.connection))
        prober = Prober(config, core.devices.find, bus, core.rights.open_echo_socket)
        stack.push_async_callback(prober.stop)
        traffic = TrafficWatch(config, core.runner, core.children, core.pool.counters)
        stack.callback(traffic.stop)
        follower = AddressFollower(
            config,
            core.rights.network,
            core.listeners,
            core.pool,
            core.runner,
            core.resolver,
            core.devices,
            core.route_check,
            names,
        )
        stack.push_async_callback(follower.stop)
        vxlans = VxlanDevices(config, core.rights.network)
        stack.push_async_callback(vxlans.close)
        router = RouterAdvertiser(config, core.devices, bus, core.rights.open_icmp_socket)
        stack.push_async_callback(router.end)
        name_service = NameService(names, NameThreads())
        stack.push_async_callback(name_service.stop)
        _connect(name_service, core, follower)
        name_service.configure(config)
        return cls(traffic, past, follower, vxlans, router, name_service, prober, signer)

    def sources(self, core: Core) -> Sources:
        """Where snapshots of the whole daemon come from."""
        return Sources(
            core.machine,
            core.devices,
            core.children,
            core.pool,
            core.listeners.endpoints,
            core.unserved,
            past_traffic=lambda: self.past.sums,
            probes=self.prober.states,
            check_mtu=self.prober.check_mtu,
        )

    async def start(self, stack: AsyncExitStack, core: Core, make_watch: MakeWatch) -> None:
        """Begin, with the core: from now on tunnels are set up."""
        self.traffic.start()
        await self.vxlans.start()
        self._watch(stack, core, make_watch)
        core.reconciler.start()
        await self.follower.start()
        self.names.start()
        self.router.start()
        core.runner.start()
        self.prober.start()

    def _watch(self, stack: AsyncExitStack, core: Core, make_watch: MakeWatch) -> None:
        """Report what the kernel says of addresses, links and routes; without that the daemon runs on."""

        def changed(changes: Changes) -> None:
            core.reconciler.changed(changes)
            if self.follower.changed(changes):
                self.names.own_addresses_changed()
            self.router.changed(changes)
            self.vxlans.changed(changes)

        try:
            stack.callback(make_watch(changed).close)
        except OSError as error:
            log.error(SUBJECT, f"what others change of addresses and devices won't be noticed: {error}")


def _connect(names: NameService, core: Core, follower: AddressFollower) -> None:
    """The machine asks for addresses of names; sockets, routes and devices follow what they mean."""

    async def changed() -> None:
        core.devices.name_peers(core.machine.config.connections.values())
        core.reconciler.refit()
        await follower.look()

    names.complete, names.changed = core.runner.complete, changed
    core.runner.look_up = names.look_up
