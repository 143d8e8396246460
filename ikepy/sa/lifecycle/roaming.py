"""Moves IKE_SAs when addresses of this host appear or disappear (RFC 4555 3.5, 3.6)."""

from __future__ import annotations

from ikepy.sa.api.commands import LocalAddressesChanged
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import End
from ikepy.sa.api.events import LocalAddressGone, MoveReason
from ikepy.sa.api.path import Address
from ikepy.sa.driver import clock
from ikepy.sa.exchange import path_update
from ikepy.sa.lifecycle import teardown
from ikepy.sa.setup.address_turns import Resolve
from ikepy.sa.setup.connector import Connector
from ikepy.sa.state import event_text
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.phase import Phase
from ikepy.sa.tasks import mobike
from ikepy.sa.tasks.liveness import Liveness


class Roaming:
    """Moves all IKE_SAs of a daemon."""

    def __init__(self, registry: Registry, resolve: Resolve, connector: Connector, settle: Settle) -> None:
        self._registry = registry
        self._resolve = resolve
        self._connector = connector
        self._settle = settle

    def local_addresses_changed(self, command: LocalAddressesChanged, now: float) -> list[Effect]:
        """Move IKE_SAs from addresses that are gone to others, preferably the one that the route selects.

        One that can't move is set up again; waiting set-ups are tried soon.
        """
        changed = self._registry.local_addresses != command.addresses
        self._registry.local_addresses = command.addresses
        effects: list[Effect] = []
        # Stranded IKE_SAs try again without a change too: a route may appear later than its address.
        # One that was rekeyed shares what it knows of addresses with its successor, which tells the peer.
        affected = [
            sa
            for sa in self._registry.sas.values()
            if (changed or sa.stranded) and sa.phase is not Phase.REKEYED
        ]
        followed = [(sa, *self._follow_address(sa, command, now)) for sa in affected]
        teardown.announce_end((sa for sa, _, why in followed if why), End.ADDRESS_GONE)
        for sa, done, why in followed:
            if why:
                done = sa.kill(End.ADDRESS_GONE, why)
            effects += self._settle(sa, [*done, *clock.tick(sa, now)], now)
        if changed:
            self._connector.hasten(now)
        return effects + self._connector.retry_stranded(now)

    def _follow_address(
        self, sa: IkeSa, command: LocalAddressesChanged, now: float
    ) -> tuple[list[Effect], str]:
        """Let one IKE_SA move. The text says why it has to be set up again instead; "" if it does not."""
        found = self._resolve(sa.connection, ())
        best = None if isinstance(found, str) else found[0]
        usable = sorted(mobike.local_addresses(sa), key=lambda address: address != best)
        effects = addresses_changed(sa, tuple(usable), command.others, now)
        begun = sa.established or (sa.alive and sa.initiator)
        if begun and sa.stranded and sa.mobike is None and best in usable:
            return [], f"{sa.path.local.address} is gone, set up anew from {best}"
        return effects, ""


def addresses_changed(
    sa: IkeSa, addresses: tuple[Address, ...], others: tuple[Address, ...], now: float
) -> list[Effect]:
    """Keep the path, or move to another, now that this host has these addresses.

    `addresses`: those that the connection permits, best first. `others`: further ones, which keep an IKE_SA
    alive that uses them, but to which none moves.
    """
    known, old = sa.mobike, sa.path
    before: tuple[Address, ...] = ()
    if known is not None:
        before, known.local = known.local, addresses
    if old.local.address in (*addresses, *others):
        if known is not None and set(before or (old.local.address,)) != {*addresses, old.local.address}:
            mobike.once(sa, mobike.AddressList())
        return _back(sa, now) if sa.stranded else []
    paths = mobike.paths(sa) if addresses else []
    if known is None or not paths:
        told, sa.stranded = sa.stranded, True
        gone = LocalAddressGone(sa.itself, old.local.address, back=False)
        return [] if told else sa.report(gone, Level.WARNING)
    sa.stranded = False
    reason = MoveReason.OWN_ADDRESS_GONE
    effects = path_update.move(sa, paths[0], reason)
    sa.window.hasten(now)
    effects.append(sa.log(Level.INFO, event_text.moved(old, paths[0], reason)))
    if paths[0].remote == old.remote or not known.initiator:
        effects += path_update.redirect(sa)  # no routability check: the peer's address is the same
    mobike.once(sa, mobike.UpdateAddresses() if known.initiator else mobike.AddressList())
    return effects


def _back(sa: IkeSa, now: float) -> list[Effect]:
    """Go on from an address that has come back, and check whether the peer still answers."""
    sa.stranded = False
    sa.window.hasten(now)
    if sa.quiet:
        sa.enqueue(Liveness())
    return sa.report(LocalAddressGone(sa.itself, sa.path.local.address, back=True), Level.INFO)
