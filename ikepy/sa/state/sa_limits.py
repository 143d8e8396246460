"""Limits the SAs per peer, connection and worker (NO_ADDITIONAL_SAS, RFC 7296 1.3).

The limits are checked before anything is computed or installed. Rekeys have reserved places, so that no peer
loses an SA because others ask for more.
"""

from __future__ import annotations

from ikepy.errors import PeerError
from ikepy.sa.api.capacity import Capacity
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import NotifyType

SUPERSEDED_SHARES = 4  # a peer's IKE_SAs, superseded ones included, are at most so many times its limit
MOST_REPLACED = 16  # rekeyed IKE_SAs that a peer may leave undeleted


def check_ike_sa(sa: IkeSa) -> None:
    """PeerError if the authenticated peer or its connection has as many IKE_SAs as permitted, beside `sa`.

    The identity's other IKE_SAs get a liveness check: if the peer has lost them, its next try succeeds.
    """
    connection, registry = sa.connection, sa.registry
    may_share = connection.unique == "never"  # the identity, among many peers
    if not may_share and not sa.connecting.initial_contact:
        most, alike = connection.max_ike_sas_per_identity, registry.duplicates(sa)
        goes = registry.siblings(sa) if connection.unique == "replace" else []
        staying = sum(one.superseded is None and one not in goes for one in alike)
        if staying >= most or len(alike) >= SUPERSEDED_SHARES * most:
            registry.to_probe += alike
            text = f"{sa.remote_id} has {len(alike)} IKE_SAs already"
            _refuse(f"{text} (connections.{connection.name}.max_ike_sas_per_identity = {most})")
    most = connection.max_ike_sas
    if registry.count_ike_sas(connection.name, most) >= most:
        _refuse(f"{most} IKE_SAs stand already (connections.{connection.name}.max_ike_sas)")


def check_ike_rekey(sa: IkeSa) -> None:
    """PeerError TEMPORARY_FAILURE if the peer rekeys again and again and deletes nothing."""
    address = sa.path.remote.address  # which may change, unlike the set-up that they have in common
    replaced = [
        one
        for one in sa.registry.all_between(sa)
        if one.phase is Phase.REKEYED and (one.set_up == sa.set_up or one.path.remote.address == address)
    ]
    if len(replaced) >= MOST_REPLACED:
        text = f"{len(replaced)} IKE_SAs that were rekeyed wait for the peer's delete"
        raise PeerError(NotifyType.TEMPORARY_FAILURE, text)


def check_child(sa: IkeSa, *, rekey: bool) -> None:
    """PeerError NO_ADDITIONAL_SAS if there is no room for another child; `rekey`: it replaces one.

    TEMPORARY_FAILURE if the worker could not carry it now, so that the peer retries (RFC 7296 2.25).
    """
    connection, registry = sa.connection, sa.registry
    room, most = registry.capacity_of(connection.name), connection.max_children
    _check_open(room)
    # A peer that rekeys and never deletes gets at most twice its limit.
    if len(sa.children) >= 2 * most or not room.for_rekey:
        _refuse(_full(room) if not room.for_rekey else f"{len(sa.children)} children on this IKE_SA")
    if rekey:
        return
    standing = sum(child.in_use for child in sa.children.values())
    if standing >= most:
        _refuse(f"{standing} children on this IKE_SA (connections.{connection.name}.max_children)")
    total = registry.count_children(connection.name)
    if total >= connection.max_children_in_all:
        _refuse(f"{total} children in all (connections.{connection.name}.max_children_in_all)")
    if not room.for_new:
        _refuse(_full(room))


def check_own(sa: IkeSa) -> None:
    """PeerError if there is no room for a child that the peer created at our request."""
    room = sa.registry.capacity_of(sa.connection.name)
    _check_open(room)
    if not room.for_rekey:
        _refuse(_full(room))


def _check_open(room: Capacity) -> None:
    if room.closed:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, room.closed)


def _full(room: Capacity) -> str:
    return f"the worker has {room.free} of {room.places} places left for children, and keeps them for rekeys"


def _refuse(text: str) -> None:
    raise PeerError(NotifyType.NO_ADDITIONAL_SAS, text)
