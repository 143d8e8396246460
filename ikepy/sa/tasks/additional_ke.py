"""The exchanges of IKE_INTERMEDIATE, in both roles (RFC 9242): other keys for the IKE_SA before IKE_AUTH.

Each additional key exchange has one (RFC 9370 2.2.2). A postquantum preshared key is mixed in by the last of
them, after its key exchange, or by one of its own (RFC 9867 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ikepy.crypto.kex.method import Begun
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect
from ikepy.sa.auth import ppk
from ikepy.sa.exchange import key_exchange, ppk_use
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.exchange_plan import FurtherExchange
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer, Task, TaskKind
from ikepy.sa.tasks import desired, next_exchange
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload
from ikepy.wire.proposal import Proposal


@dataclass(frozen=True, slots=True)
class AdditionalKeyExchange:
    """By the method with this transform ID; None: without one. `ppk`: a PPK is mixed in here."""

    method: int | None
    ppk: bool = False
    exchange: ExchangeType = field(default=ExchangeType.IKE_INTERMEDIATE, init=False)

    def initiate(self) -> Task[IkeSa]:
        return AdditionalKeyExchangeTask(self)

    def respond(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
        answer: list[Payload] = []
        keys = sa.keys
        if self.method is not None:
            ke, secret = key_exchange.answer(sa, self.method, payloads)
            answer.append(ke)
            keys = keys.extended(secret, sa.seed)
        if self.ppk:
            found = ppk.find(payloads, sa.keys.suite.prf, sa.seed, sa.registry.secrets.ppk)
            if found is not None:
                ppk_id, key = found
                keys = _mixed(sa, keys, ppk_id, key)
                answer.append(NotifyPayload(NotifyType.PPK_IDENTITY, ppk_id))
            elif ppk_use.required_by_all(sa):
                raise PeerError(NotifyType.AUTHENTICATION_FAILED, ppk_use.UNKNOWN, fatal=True)
        return Answer(answer, keys=None if keys is sa.keys else keys)


class AdditionalKeyExchangeTask(Task[IkeSa]):
    """Ours as initiator."""

    kind = TaskKind.INTERMEDIATE
    exchange = ExchangeType.IKE_INTERMEDIATE

    def __init__(self, of: AdditionalKeyExchange) -> None:
        self._of = of
        self._ke: Begun | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        payloads: list[Payload] = []
        if self._of.method is not None:
            self._ke = key_exchange.begin(sa, self._of.method)
            payloads.append(KePayload(self._of.method, self._ke.public))
        own = ppk_use.own(sa) if self._of.ppk else None
        if own is not None:
            payloads.append(ppk.confirmed(own[0], sa.keys.suite.prf, own[1], sa.seed))
        return payloads

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        keys, told = sa.keys, list[Effect]()
        if self._of.method is not None:
            secret = key_exchange.finish(sa, self._ke, self._of.method, payloads, fatal=True)
            keys = keys.extended(secret, sa.seed)
        if self._of.ppk:
            own = ppk_use.own(sa)
            if own is not None and ppk.identifier(payloads) == own[0]:
                keys = _mixed(sa, keys, *own)
            else:
                told += ppk_use.without(sa)
        if keys is not sa.keys:
            sa.extend_keys(keys)
        next_exchange.initiate(sa)
        return told

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return desired.abandon(sa, reason)


def _mixed(sa: IkeSa, keys: IkeSaKeys, ppk_id: bytes, key: Secret) -> IkeSaKeys:
    """The keys with the PPK in all of them."""
    mixed = keys.renewed_by_ppk(key, sa.seed)
    if keys is not sa.keys:
        keys.wipe()
    sa.connecting.ppk_id = ppk_id
    sa.ppk = sa.quantum_safe = sa.keeps_safe = True
    return mixed


def plan(sa: IkeSa, chosen: Proposal) -> Sequence[FurtherExchange[IkeSa]]:
    """One exchange for each additional key exchange of the IKE proposal that was agreed on, in order."""
    methods: tuple[int | None, ...] = proposals.key_exchanges(chosen)[1:]
    if not sa.connecting.ppk_early:
        return tuple(AdditionalKeyExchange(method) for method in methods)
    *first, last = methods or (None,)
    return (*map(AdditionalKeyExchange, first), AdditionalKeyExchange(last, ppk=True))
