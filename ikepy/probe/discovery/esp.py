"""With credentials: what is accepted for ESP, and what IKE_AUTH announces (RFC 7296 1.3.1, RFC 8221).

The IKE_SA comes up by what was found to be accepted. Each question is a CREATE_CHILD_SA with some of the
algorithms: a child that comes of it is deleted at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ikepy.config.proposals import ESP_WORDS, IKE_WORDS, to_text
from ikepy.crypto.kex import registry
from ikepy.errors import IkeError
from ikepy.probe.discovery.algorithms import ENCR, INTEG, KE, PRF, combined
from ikepy.probe.discovery.line import Pace
from ikepy.probe.discovery.report import ESN, Esp, Report
from ikepy.probe.discovery.search import bisect
from ikepy.probe.ike_sa import IkeSa, new_spi
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.target import Target
from ikepy.probe.transport import Transport
from ikepy.probe.verdict import CaseEnd
from ikepy.wire.constants import ExchangeType, KeGroup, NotifyType, ProtocolId, TransformType
from ikepy.wire.payloads import DeletePayload, KePayload, NoncePayload, NotifyPayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

MakeTarget = Callable[[str], Target]  # of the IKE suite in swanctl's words
_NONCE = 32


def _known(kind: int, *more: Transform) -> tuple[Transform, ...]:
    """What swanctl has words for, and more."""
    words = dict.fromkeys(one for one in ESP_WORDS.values() if one.type == kind and one.id)
    return (*words, *more)


_OLD = (Transform(ENCR, 2), Transform(ENCR, 7, 128), Transform(ENCR, 6, 128))  # DES, BLOWFISH, CAST
_CIPHERS = _known(ENCR, *_OLD)
_INTEGS = _known(INTEG, Transform(INTEG, 1), Transform(INTEG, 7))
_GROUPS = _known(KE, *(Transform(KE, one) for one in (1, 22, 23, 24)))
_ESNS = (Transform(ESN, 1), Transform(ESN, 0))
CANDIDATES = {ENCR: _CIPHERS, INTEG: _INTEGS, ESN: _ESNS, KE: _GROUPS}
_PFS: dict[tuple[bool | None, ...], str] = {
    (True, True): "optional",
    (False, True): "required",
    (True, False): "not accepted",
}
_GMAC = 21  # an AEAD, too


@dataclass(frozen=True, slots=True)
class _Offer:
    """The transforms of one question; `ke`: perfect forward secrecy by one of these."""

    encr: Sequence[Transform] = _CIPHERS
    integ: Sequence[Transform] = _INTEGS
    esn: Sequence[Transform] = _ESNS
    ke: Sequence[Transform] = ()

    def of(self, kind: int, chosen: Sequence[Transform]) -> _Offer:
        if kind == INTEG:
            return replace(self, integ=chosen, encr=[one for one in self.encr if not _combined(one)])
        return replace(self, **{{ENCR: "encr", ESN: "esn", KE: "ke"}[TransformType(kind)]: chosen})

    def proposals(self, spi: bytes) -> tuple[Proposal, ...]:
        aeads = [one for one in self.encr if _combined(one)]
        others = [one for one in self.encr if not _combined(one)]
        lists = [(*aeads, *self.ke, *self.esn)] if aeads else []
        if others and self.integ:
            lists.append((*others, *self.integ, *self.ke, *self.esn))
        return tuple(Proposal(n, ProtocolId.ESP, spi, each) for n, each in enumerate(lists, 1))


def _combined(transform: Transform) -> bool:
    return transform.id == _GMAC or combined(transform)


@dataclass
class _Asker:
    peer: Peer
    pace: Pace
    sa: IkeSa
    modes: list[tuple[Transform, ...]] = field(default_factory=list)  # groups of PFS; empty: without

    async def ask(self, offer: _Offer) -> bool | None:
        """Whether one is acceptable, with or without PFS as the peer wants it."""
        found: bool | None = False
        for groups in self.modes:
            verdict = await self.once(replace(offer, ke=groups))
            if verdict:
                return True
            found = None if verdict is None else found
        return found

    async def once(self, offer: _Offer) -> bool | None:
        got = await self.answer(offer)
        if got is None or got.notify(NotifyType.INVALID_KE_PAYLOAD) is not None:
            return None if got is None else True
        if got.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None:
            return False
        return None if got.error is not None else got.maybe(SaPayload) is not None or None

    async def answer(self, offer: _Offer) -> Received | None:
        """The response to a CREATE_CHILD_SA; its child is deleted. The KE payload's group is none of the
        offer's.
        """
        await self.pace.turn()
        spi = new_spi(4)
        sa, *selectors = self.sa.child_payloads(proposals=offer.proposals(spi))
        ke = [_value(offer.ke)] if offer.ke else []
        payloads = [sa, NoncePayload(os.urandom(_NONCE)), *ke, *selectors]
        got = await self.peer.ask(self.sa.request(ExchangeType.CREATE_CHILD_SA, payloads))
        if got.error is None and got.maybe(SaPayload) is not None:
            await self.peer.ask(self.sa.informational(DeletePayload(ProtocolId.ESP, (spi,))))
        return got


def _value(groups: Iterable[Transform]) -> KePayload:
    offered = {one.id for one in groups}
    wanted = (KeGroup.CURVE_25519, KeGroup.ECP_256, KeGroup.MODP_2048, KeGroup.MODP_1024)
    group = next((one for one in wanted if one not in offered), wanted[0])
    return KePayload(group, registry.method(group).begin(os.urandom)().public)


def suite(report: Report) -> str | None:
    """An IKE suite that is accepted and that we have, in swanctl's words; None if there is none."""
    kinds: dict[int, list[Transform]] = {}
    ours = set(IKE_WORDS.values())
    for kind in (ENCR, PRF, INTEG, KE):
        kinds[kind] = [one for one in report.accepted(kind) if one in ours]
    ciphers = [one for one in kinds[ENCR] if combined(one) or kinds[INTEG]]
    if not ciphers or not kinds[PRF] or not kinds[KE]:
        return None
    cipher = ciphers[0]
    integ = [] if combined(cipher) else kinds[INTEG][:1]
    chosen = (cipher, kinds[PRF][0], *integ, kinds[KE][0])
    return to_text(Proposal(1, ProtocolId.IKE, b"", chosen))


async def ask_for_esp(report: Report, make_target: MakeTarget, pace: Pace) -> None:
    """Fill `report.esp`. What keeps it from being known is a remark. OSError where ports can't be had."""
    words = suite(report)
    if words is None:
        report.remarks.append("ESP was not asked for: no suite of IKE is accepted that ikepy has")
        return
    target = make_target(words)
    transport = Transport(target)
    transport.open()
    try:
        peer = Peer(target, transport)
        with transport.listened_by(peer.receiver):
            try:
                await _ask(report, peer, pace)
            except (CaseEnd, IkeError) as end:
                report.remarks.append(f"ESP was not asked for to the end: {end}")
            finally:
                await peer.close()
    finally:
        transport.close()


async def _ask(report: Report, peer: Peer, pace: Pace) -> None:
    await pace.turn()
    sa = await peer.init()
    everything = sa.child_payloads(proposals=_Offer().proposals(new_spi(4)))
    got = await peer.ask(
        sa.auth_request(child=everything, extra=[NotifyPayload(NotifyType.MOBIKE_SUPPORTED)]),
        what="an IKE_AUTH response",
    )
    sa.check_auth(got)
    sa.established = True
    report.esp = Esp(mobike=got.notify(NotifyType.MOBIKE_SUPPORTED) is not None)
    asker = _Asker(peer, pace, sa)
    without, with_pfs = [await asker.once(_Offer(ke=groups)) for groups in ((), _GROUPS)]
    asker.modes = [groups for groups, taken in (((), without), (_GROUPS, with_pfs)) if taken]
    report.esp.pfs = _PFS.get((without, with_pfs), "unclear")
    if not asker.modes:
        report.remarks.append(f"no child was agreed on with all algorithms: {got}")
        return
    await _sort(report.esp, asker)


async def _sort(esp: Esp, asker: _Asker) -> None:
    offer = _Offer()
    for kind, candidates in ((ENCR, _CIPHERS), (INTEG, _INTEGS), (ESN, _ESNS)):
        if kind == INTEG and all(_combined(one) for one in offer.encr):
            esp.transforms[INTEG].sort(_INTEGS, False)
            continue
        found = esp.transforms[kind]

        async def ask(chosen: tuple[Transform, ...], kind: int = kind, offer: _Offer = offer) -> bool | None:
            return await asker.ask(offer.of(kind, chosen))

        await bisect(candidates, ask, found)
        if kind == ENCR:
            offer = replace(offer, encr=[*found.accepted, *found.unclear])
    if _GROUPS in asker.modes:

        async def one_of(groups: tuple[Transform, ...]) -> bool | None:
            return await asker.once(replace(offer, ke=groups))

        await bisect(_GROUPS, one_of, esp.transforms[KE])
