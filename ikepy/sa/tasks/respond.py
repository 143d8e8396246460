"""Selects the task that answers a request of the peer (RFC 7296 1.2 to 1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.errors import PeerError
from ikepy.sa.api.computation import ResultPending
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Path
from ikepy.sa.exchange import configuration, redirecting, resumption
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, TaskKind
from ikepy.sa.tasks import child_create, child_rekey, delete, followup_ke, ike_rekey, mobike, next_exchange
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import DeletePayload, Payload, SaPayload


def respond(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    """Answer a request that `phase.PERMITTED` permits; PeerError carries an error notify."""
    exchange = header.exchange
    if sa.phase is Phase.CONNECTING:
        return next_exchange.respond(sa, payloads, path, now)
    if exchange == ExchangeType.CREATE_CHILD_SA:
        return _create(sa, payloads, now)
    if exchange == ExchangeType.IKE_FOLLOWUP_KE:
        return followup_ke.respond(sa, payloads, now)
    return _informational(sa, header.message_id, payloads, path, now)


def _create(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    if sa.phase is not Phase.ESTABLISHED or sa.tasks.waits(TaskKind.DELETE_IKE):
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "the IKE_SA is being rekeyed or deleted")
    if sa.announced_end is End.REDIRECTED:
        raise PeerError(NotifyType.NO_ADDITIONAL_SAS, "its client is sent to another gateway")
    offered = query.must(payloads, SaPayload).proposals
    if any(p.protocol == ProtocolId.IKE for p in offered):
        return ike_rekey.respond(sa, payloads, now)
    if sa.tasks.doing is TaskKind.IKE_REKEY:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "the IKE_SA is being rekeyed")
    rekey = query.notify(payloads, NotifyType.REKEY_SA)
    if rekey is not None:
        return child_rekey.respond(sa, rekey, payloads, now)
    return _create_child(sa, payloads, now)


def _create_child(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """A further child, and the addresses that the request asks for with it (2.19).

    They are given with the child: neither if it is refused, or not computed yet.
    """
    before = sa.network
    given, refusal = ([], None) if sa.set_up.ours else configuration.grant(sa, payloads)
    try:
        if refusal is not None:
            raise refusal
        answer = child_create.respond(sa, payloads, now)
    except (PeerError, ResultPending):
        sa.set_network(before)
        raise
    told = [] if sa.set_up.ours else configuration.reply(sa, payloads)
    return replace(answer, payloads=[*told, *answer.payloads], before=[*given, *answer.before])


def _informational(sa: IkeSa, message_id: int, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    moved = mobike.respond(sa, message_id, payloads, path, now)
    deleted = delete.respond(sa, [p for p in payloads if isinstance(p, DeletePayload)], now)
    redirected = redirecting.heard(sa, payloads, now)
    given, told = configuration.answer(sa, payloads)
    return Answer(
        [*deleted.payloads, *moved.payloads, *resumption.grant(sa, payloads, now), *told],
        moved.before + deleted.before + redirected + given,
        moved.after + deleted.after,
    )
