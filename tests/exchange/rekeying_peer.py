"""A peer that asks for rekeys: tasks for one end, so that the other end's answers can be tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.crypto.key_schedule import Seed
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import child_negotiation
from ikepy.sa.exchange.child_negotiation import KeyExchangeResult
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_keys import ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks import rekey_handover
from ikepy.sa.tasks.delete import DeleteChild, DeleteIke
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from tests.key_exchanges import begin

NONCE = bytes(range(32))


class RekeyChild(Task[IkeSa]):
    """Replaces the child with this id (RFC 7296 1.3.3), then deletes it."""

    kind = TaskKind.CHILD_REKEY
    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, child_id: int, *, spi: int | None = None, group: int = 0, delete: bool = True) -> None:
        self.child_id = child_id
        self.spi = spi  # another SPI in REKEY_SA than the child's
        self.group = group
        self.delete = delete
        self.error: NotifyPayload | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        old = sa.children[self.child_id]
        self.offer = child_negotiation.offer(sa, old.config, key_exchange=bool(self.group))
        sa_payload, *selectors = self.offer.payloads()
        spi = old.spi_in if self.spi is None else self.spi
        rekey = NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, spi.to_bytes(4, "big"))
        payloads: list[Payload] = [rekey, sa_payload, NoncePayload(NONCE)]
        if self.group:
            self.ke = begin(self.group, sa.registry.entropy.random)
            payloads.append(KePayload(self.group, self.ke.public))
        return [*payloads, *selectors]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        self.error = query.error(payloads)
        if self.error is not None:
            return []
        nonce_r = query.must(payloads, NoncePayload).data
        secrets = (self.ke.finish(query.must(payloads, KePayload).data),) if self.group else ()
        result = KeyExchangeResult(NONCE, nonce_r, secrets, we_started=True)
        _, effects = child_negotiation.conclude(sa, self.offer, payloads, result, now)
        if self.delete:
            sa.enqueue(DeleteChild(self.child_id))
        return effects


class RekeyIke(Task[IkeSa]):
    """Replaces the IKE_SA (RFC 7296 1.3.2), then deletes the old one."""

    kind = TaskKind.IKE_REKEY
    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, *, group: int | None = None) -> None:
        self.group = group  # another group in KE than the first proposed
        self.error: NotifyPayload | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        self.spi_i = sa.registry.ike_spi()
        self.offer = tuple(
            replace(p, spi=self.spi_i) for p in proposals.numbered(sa.connection.proposals, self.spi_i)
        )
        self.ke = begin(self.group or proposals.key_exchanges(self.offer[0])[0], sa.registry.entropy.random)
        return [SaPayload(self.offer), NoncePayload(NONCE), KePayload(self.ke.method.id, self.ke.public)]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        self.error = query.error(payloads)
        if self.error is not None:
            return []
        chosen = query.must(payloads, SaPayload).proposals[0]
        nonce_r = query.must(payloads, NoncePayload).data
        shared = self.ke.finish(query.must(payloads, KePayload).data)
        seed = Seed(NONCE, nonce_r, self.spi_i, chosen.spi)
        schedule = sa.keys.schedule.rekeyed(suite_of(chosen), (shared,), seed)
        new_keyed = ike_sa_keys(chosen, schedule, initiator=True)
        new = rekey_handover.successor(sa, self.spi_i, chosen.spi, new_keyed, now, initiator=True)
        effects = rekey_handover.hand_over(sa, new, now)
        sa.enqueue(DeleteIke())
        return effects
