"""Hands the children and tasks of a rekeyed IKE_SA over to its successor (RFC 7296 1.3.2, 2.8, 2.18)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import crash_detection, resumption
from ikepy.sa.state import lifetime
from ikepy.sa.state.children import Children
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.replacement import Rekeyed, Replacing
from ikepy.sa.tasks import mobike
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ProtocolId
from ikepy.wire.payloads import DeletePayload, Payload

REKEYED_TIMEOUT = 60.0  # seconds that the peer has to delete an IKE_SA which it has rekeyed


def successor(
    sa: IkeSa, spi_i: bytes, spi_r: bytes, keys: IkeSaKeys, now: float, *, initiator: bool
) -> IkeSa:
    """Make the IKE_SA of a rekey: between the same peers, without children yet."""
    new = sa.another(spi_i, spi_r, initiator=initiator)
    new.nat = sa.nat
    new.set_up = sa.set_up
    new.fragmentation = sa.fragmentation
    new.resumption.resumed = sa.resumption.resumed
    new.ppk = sa.ppk
    new.quantum_safe = new.keeps_safe = sa.keeps_safe  # its keys are derived from SK_d, too
    new.mobike, new.kept_path = sa.mobike, sa.kept_path
    new.local_id, new.remote_id = sa.local_id, sa.remote_id
    new.eap_id, new.granted, new.proven_until = sa.eap_id, sa.granted, sa.proven_until
    new.enter(Phase.ESTABLISHED)
    new.established_at = new.heard_at = new.sent_at = now
    new.lifetime = lifetime.of_ike(sa.connection, now, sa.registry.entropy.uniform())
    new.reauth_at, new.authenticated_until = sa.reauth_at, sa.authenticated_until
    new.superseded = sa.superseded
    new.set_keys(keys)
    sa.registry.add(new)
    return new


def hand_over(sa: IkeSa, new: IkeSa, now: float) -> list[Effect]:
    """Move the children and the waiting tasks from `sa` to `new`; `sa` then waits to be deleted."""
    for child in sa.children.values():
        if child.waiting is not None:  # it has been rekeyed since: the peer has our response
            child.waiting.message_id = None
    new.children.update(sa.children)
    sa.registry.owners.update(dict.fromkeys(sa.children, new))
    sa.children = Children()
    new.replacing, sa.replacing = sa.replacing, Replacing()
    new.collides_with, sa.collides_with = sa.collides_with, None
    new.busy_at = now  # requests that we refused during the rekey, the peer repeats here (2.25.2)
    sa.desired.hand_over(new.desired)
    sa.tasks.hand_over(new.tasks)
    sa.followups.forget()
    told = new.window_size()
    if new.initiator:  # a responder's token is in its response (RFC 6290 4.3)
        told += crash_detection.offer(new)
    told += resumption.rekeyed(sa, new)
    for notify in told:
        new.enqueue(SendNotify(notify))
    sa.registry.changed_sas.append(new)
    await_delete(sa, now, by=new)
    return [*sa.rekeyed_as(new), *sa.hand_over_network(new), *mobike.handed_over(sa, new)]


def await_delete(
    sa: IkeSa, now: float, *, by: IkeSa | None = None, then_deletes: IkeSa | None = None
) -> None:
    """Wait for the peer to delete a rekeyed IKE_SA; REKEYED_TIMEOUT limits the wait."""
    sa.enter(Phase.REKEYED)
    sa.rekeyed = Rekeyed(now + REKEYED_TIMEOUT, by, then_deletes)
    sa.registry.changed_sas.append(sa)


def claim(sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
    """Settle a collision of IKE rekeys: the peer uses `sa`, so this IKE_SA gets the children (2.8.2)."""
    in_collision, sa.collides_with = sa.collides_with, None
    if in_collision is None or any(
        isinstance(p, DeletePayload) and p.protocol == ProtocolId.IKE for p in payloads
    ):
        return []
    return in_collision.settle_collision(now)
