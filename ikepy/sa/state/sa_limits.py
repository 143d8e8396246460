"""How many SAs one peer, one connection, one worker may hold (RFC 7296 1.3: NO_ADDITIONAL_SAS).

Asked before anything is computed or installed. What replaces an SA that stands has room of its own, so that
nobody who holds one loses it because others ask for more.
"""

from __future__ import annotations

from ikepy.errors import PeerError
from ikepy.sa.api.capacity import Capacity
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import NotifyType

SUPERSEDED_SHARES = 4  # with those that are about to go, a peer has so many times its share at most
MOST_REPLACED = 16  # IKE_SAs of one peer that others have replaced and that it has not deleted yet


def check_ike_sa(sa: IkeSa) -> None:
    """PeerError if the peer, which has proven who it is, or its connection has enough IKE_SAs beside `sa`.

    Those of its identity are asked for life: if the peer has forgotten them, there is room for its next try.
    """
    connection, registry = sa.connection, sa.registry
    if connection.unique != "never" and not sa.initial_contact:  # "never": many may share the identity
        most, alike = connection.max_ike_sas_per_identity, registry.duplicates(sa)
        staying = sum(one.superseded_at is None for one in alike)  # `unique` = "replace": the others go
        if connection.unique == "replace":
            staying = 0
        if staying >= most or len(alike) >= SUPERSEDED_SHARES * most:
            registry.to_probe += alike
            text = f"{sa.remote_id} has {len(alike)} IKE_SAs already"
            _refuse(f"{text} (connections.{connection.name}.max_ike_sas_per_identity = {most})")
    most = connection.max_ike_sas
    if registry.count_ike_sas(connection.name, most) >= most:
        _refuse(f"{most} IKE_SAs stand already (connections.{connection.name}.max_ike_sas)")


def check_ike_rekey(sa: IkeSa) -> None:
    """PeerError TEMPORARY_FAILURE if the peer rekeys time and again and deletes nothing."""
    path = sa.path.remote.address
    replaced = [
        one
        for one in sa.registry.all_between(sa)
        if one.phase is Phase.REKEYED and one.path.remote.address == path
    ]
    if len(replaced) >= MOST_REPLACED:
        text = f"{len(replaced)} IKE_SAs that were rekeyed wait for the peer's delete"
        raise PeerError(NotifyType.TEMPORARY_FAILURE, text)


def check_child(sa: IkeSa, *, rekey: bool) -> None:
    """PeerError NO_ADDITIONAL_SAS if there is no room for a further child, or one that replaces another.

    TEMPORARY_FAILURE where the worker could not carry it now (RFC 7296 2.25: to be tried again).
    """
    connection, registry = sa.connection, sa.registry
    room, most = registry.capacity_of(connection.name), connection.max_children
    _check_open(room)
    # A peer that rekeys and never deletes has twice its share at most.
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
    """PeerError if a child that the peer has made at our request has no place here."""
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
