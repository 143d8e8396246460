"""Moves IKE_SAs when addresses of this host appear or disappear (RFC 4555 3.5, 3.6)."""

from __future__ import annotations

from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.events import LocalAddressGone, MoveReason
from ikepy.sa.api.path import Address
from ikepy.sa.exchange import path_update
from ikepy.sa.state import event_text
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks import mobike
from ikepy.sa.tasks.liveness import Liveness


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
