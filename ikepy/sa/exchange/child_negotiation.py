"""Negotiates a CHILD_SA in IKE_AUTH or CREATE_CHILD_SA (RFC 7296 1.2, 1.3.1, 2.9, 2.17, 2.23.1).

As initiator `offer`, then `conclude` with the peer's choice; as responder `choose`, then `accept`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from esp.packet.selectors import Selector, narrow
from ikepy.config.model import Child
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import ProposalMismatch, SelectorMismatch, refused_by_peer
from ikepy.sa.auth import words
from ikepy.sa.exchange import configuration, mismatch, transport_mode
from ikepy.sa.exchange.configuration import configured
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.traffic_selectors import from_payload, to_payload
from ikepy.sa.negotiation.ts_request import (
    EVERYTHING,
    Pair,
    Selectors,
    TsRequest,
    additional_ts_possible,
    is_partial,
)
from ikepy.sa.state import event_text, lifetime, sa_limits
from ikepy.sa.state.child_sa import ChildSa, esp_suite, texts
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal

# What a peer must not accept unless we offer it: it sends packets that we can't read (1.3.1, 2.22).
UNASKED = (NotifyType.USE_TRANSPORT_MODE, NotifyType.IPCOMP_SUPPORTED)
LOCAL = PayloadType.TS_I  # our side's selectors, where we are the initiator
MOST_TOLD = 16  # children whose selectors an event shows
FIRST_SPI = 256  # smaller ones are reserved (RFC 4303 2.1)


@dataclass(frozen=True, slots=True)
class KeyExchangeResult:
    """The inputs of KEYMAT (RFC 7296 2.17). `we_started`: we are the initiator of this exchange.

    `secrets`: those of the child's own key exchanges; empty without PFS.
    """

    nonce_i: bytes
    nonce_r: bytes
    secrets: tuple[Secret, ...]
    we_started: bool


@dataclass(frozen=True, slots=True)
class ChildOffer:
    """Our offer. `proposals` are numbered and carry `spi_in`; `ts_request` says which of the `configured`
    selectors to propose.

    `rekeys`: the child is to replace another one.
    """

    config: Child
    spi_in: int
    proposals: tuple[Proposal, ...]
    configured: Selectors
    ts_request: TsRequest
    rekeys: bool

    def payloads(self) -> list[Payload]:
        offered = self.ts_request.offer(self.configured)
        return [
            SaPayload(self.proposals),
            to_payload(PayloadType.TS_I, offered.local),
            to_payload(PayloadType.TS_R, offered.remote),
            *([transport_mode.NOTIFY] if self.config.transport else []),
        ]

    def narrower(self, payloads: Sequence[Payload]) -> TsRequest | None:
        """The TS request to repeat with if the peer says SINGLE_PAIR_REQUIRED; None if there is none."""
        if query.notify(payloads, NotifyType.SINGLE_PAIR_REQUIRED) is None:
            return None
        return self.ts_request.narrower(self.configured)


@dataclass(frozen=True, slots=True)
class ChildChoice:
    """What is agreed for a child. `proposal` carries the peer's SPI.

    `more`: other selectors would be acceptable in another child (ADDITIONAL_TS_POSSIBLE). `tfc`: the peer
    accepts TFC padding. `rekeys`: the child replaces another one.
    """

    config: Child
    proposal: Proposal
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    more: bool
    tfc: bool
    rekeys: bool

    def payloads(self, spi_in: int) -> list[Payload]:
        """SA, TSi and TSr of our response; the peer is the initiator of the exchange, so TSi are its own."""
        chosen = replace(self.proposal, spi=spi_in.to_bytes(4, "big"))
        more = [NotifyPayload(NotifyType.ADDITIONAL_TS_POSSIBLE)] if self.more else []
        return [
            SaPayload((chosen,)),
            to_payload(PayloadType.TS_I, self.ts_remote),
            to_payload(PayloadType.TS_R, self.ts_local),
            *more,
            *([transport_mode.NOTIFY] if self.config.transport else []),
        ]


def offer(
    sa: IkeSa,
    config: Child,
    *,
    key_exchange: bool,
    ts_request: TsRequest = EVERYTHING,
    rekeys: bool = False,
) -> ChildOffer:
    """An offer of the child `config`, without KE transforms if `key_exchange` is False, as in IKE_AUTH."""
    spi_in = own_spi(sa)
    ours = config.esp_proposals if key_exchange else proposals.without_ke(config.esp_proposals)
    return ChildOffer(
        config,
        spi_in,
        proposals.numbered(ours, spi_in.to_bytes(4, "big")),
        configured(sa, config),
        ts_request,
        rekeys,
    )


def one_pair(config: Child, ts_request: TsRequest) -> str:
    """Text for the log: the peer said SINGLE_PAIR_REQUIRED, and we ask for one pair."""
    asked = (
        ""
        if ts_request.within is None
        else f", {texts(ts_request.within.local)} === {texts(ts_request.within.remote)}"
    )
    return f"the peer takes {config.name} in single pairs only: asked for one{asked}"


def conclude(
    sa: IkeSa, offered: ChildOffer, payloads: Sequence[Payload], result: KeyExchangeResult, now: float
) -> tuple[ChildSa, list[Effect]]:
    """Make the CHILD_SA that the peer's response to our offer describes, and the effects that install it.

    PeerError if the peer refused, chose what we did not offer, or selectors that don't permit the packet that
    the child is for.
    """
    chosen = chosen_proposal(offered, payloads)
    sa_limits.check_own(sa)
    ours, ts_request = offered.ts_request.offer(offered.configured), offered.ts_request
    theirs = Selectors(
        from_payload(query.selectors(payloads, PayloadType.TS_I)),
        from_payload(query.selectors(payloads, PayloadType.TS_R)),
    )
    if offered.config.transport:
        theirs = transport_mode.substituted(sa, theirs)
    ts_local = _subset(ours.local, theirs.local, PayloadType.TS_I)
    if sa.network.addresses:  # what we offered before we had an address is more than what we may use
        ts_local = narrow(configured(sa, offered.config).local, ts_local) or ts_local
    ts_remote = _subset(ours.remote, theirs.remote, PayloadType.TS_R)
    if offered.config.transport:
        transport_mode.check(theirs)
    if ts_request.within is not None and not ts_request.met_by(Selectors(ts_local, ts_remote)):
        agreed = f"{texts(ts_local)} === {texts(ts_remote)}"
        raise PeerError(
            NotifyType.TS_UNACCEPTABLE,
            f"the peer's {agreed} is not what a child is needed for",
            cause=SelectorMismatch(((ours.local, ours.remote),), (ts_local, ts_remote)),
        )
    more = query.notify(payloads, NotifyType.ADDITIONAL_TS_POSSIBLE) is not None
    choice = ChildChoice(
        offered.config,
        chosen,
        ts_local,
        ts_remote,
        more or ts_request.within is not None,
        _takes_tfc(payloads),
        offered.rekeys,
    )
    child, effects = _installed(sa, choice, offered.spi_in, result, now, standby=False)
    if more:
        effects.append(sa.log(Level.INFO, "the peer permits other selectors in another child"))
    return child, effects


def chosen_proposal(offered: ChildOffer, payloads: Sequence[Payload]) -> Proposal:
    """The proposal in the peer's response; PeerError if it is an error, or we did not offer that."""
    refusal = query.error(payloads)
    answer = query.maybe(payloads, SaPayload)
    if answer is None or refusal is not None:
        name = "an incomplete response" if refusal is None else query.error_name(refusal)
        text = f"the peer refused the child: {name}{_what_we_offered(offered, refusal)}"
        failure = None if refusal is None else refused_by_peer(refusal.notify, _mismatch(offered, refusal))
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, text, cause=failure)
    transport = offered.config.transport
    for unwanted in UNASKED[1:] if transport else UNASKED:
        if query.notify(payloads, unwanted) is not None:
            text = f"the peer answers {unwanted.name}, which we did not ask for"
            raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, text)
    if transport and not transport_mode.asked_for(payloads):
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "the peer declines transport mode")
    chosen = proposals.acceptable_choice(answer.proposals, offered.proposals)
    if chosen is None:
        raise PeerError(
            NotifyType.NO_PROPOSAL_CHOSEN,
            "the peer chose a proposal that was not offered",
            cause=ProposalMismatch(offered.proposals, answer.proposals),
        )
    _check_spi(chosen)
    return chosen


def _mismatch(offered: ChildOffer, refusal: NotifyPayload) -> ProposalMismatch | SelectorMismatch | None:
    """What of our offer the peer's refusal is about, for events; None if the notify does not say."""
    if refusal.notify == NotifyType.TS_UNACCEPTABLE:
        ours = offered.ts_request.offer(offered.configured)
        return SelectorMismatch(((ours.local, ours.remote),))
    refuses = refusal.notify in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD)
    return ProposalMismatch(offered.proposals) if refuses else None


def _what_we_offered(offered: ChildOffer, refusal: NotifyPayload | None) -> str:
    """Text for the log: what the peer refused of our offer, as its notify does not say so."""
    if refusal is None:
        return ""
    if refusal.notify == NotifyType.TS_UNACCEPTABLE:
        return f"; our selectors: {mismatch.selectors(offered.ts_request.offer(offered.configured))}"
    if refusal.notify in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD):
        return f"; our proposals: {mismatch.suites(offered.proposals)}"
    return ""


def _subset(
    ours: tuple[Selector, ...], theirs: tuple[Selector, ...], type: PayloadType
) -> tuple[Selector, ...]:
    if not theirs or not all(any(mine.contains(one) for mine in ours) for one in theirs):
        text = f"the peer's {type.name} are not among those offered; "
        text += f"the peer's: {words.shortened(texts(theirs))}; ours: {words.shortened(texts(ours))}"
        sides = ((ours, ()), (theirs, ())) if type is LOCAL else (((), ours), ((), theirs))
        raise PeerError(NotifyType.TS_UNACCEPTABLE, text, cause=SelectorMismatch((sides[0],), sides[1]))
    return theirs


def choose(sa: IkeSa, payloads: Sequence[Payload], *, key_exchange: bool, only: Child | None) -> ChildChoice:
    """Choose the first of our children that fits the peer's offer, and narrow its selectors (2.9).

    Children that permit the peer's first selectors, those of the packet that triggered its request, go before
    others. `only`: the child that is being rekeyed. PeerError TS_UNACCEPTABLE or NO_PROPOSAL_CHOSEN if none
    fits, NO_ADDITIONAL_SAS if a limit is reached.
    """
    sa_limits.check_child(sa, rekey=only is not None)
    configuration.check_granted(sa)
    asked = Selectors(
        from_payload(query.selectors(payloads, PayloadType.TS_R)),
        from_payload(query.selectors(payloads, PayloadType.TS_I)),
    )
    every = list(sa.connection.children.values()) if only is None else [only]
    if transport_mode.asked_for(payloads) and any(one.transport for one in every):
        try:
            substituted = transport_mode.substituted(sa, asked)
            transport_mode.check(substituted)
            of_mode = [one for one in every if one.transport]
            return _choose(sa, payloads, of_mode, substituted, key_exchange=key_exchange, only=only)
        except PeerError:
            if all(one.transport for one in every):
                raise
    # Also for a peer that asks for transport mode, which it may do without (RFC 7296 1.3.1).
    of_mode = [one for one in every if not one.transport]
    if every and not of_mode:
        names = ", ".join(one.name for one in every)
        raise PeerError(
            NotifyType.NO_PROPOSAL_CHOSEN, f"the peer asks for tunnel mode, {names} has mode = transport"
        )
    return _choose(sa, payloads, of_mode, asked, key_exchange=key_exchange, only=only)


def _choose(
    sa: IkeSa,
    payloads: Sequence[Payload],
    candidates: list[Child],
    asked: Selectors,
    *,
    key_exchange: bool,
    only: Child | None,
) -> ChildChoice:
    """`choose` among children of one mode."""
    offered = tuple(p for p in query.must(payloads, SaPayload).proposals if p.protocol == ProtocolId.ESP)
    ts_local, ts_remote = asked.local, asked.remote
    if ts_local and ts_remote:
        wish = Pair(ts_local[0], ts_remote[0])
        candidates.sort(key=lambda one: not configured(sa, one).carries(wish))
    matching = [one for one in candidates if configured(sa, one).overlaps(asked)]
    for config in matching:
        ours, theirs = config.esp_proposals, offered
        if not key_exchange:
            ours, theirs = proposals.without_ke(ours), proposals.without_ke(theirs)
        chosen = proposals.select(ours, theirs)
        if chosen is not None:
            _check_spi(chosen)
            permitted = configured(sa, config)
            agreed = Selectors(narrow(permitted.local, ts_local), narrow(permitted.remote, ts_remote))
            more = additional_ts_possible(
                agreed, asked, [configured(sa, one) for one in matching if one is not config]
            )
            tfc = _takes_tfc(payloads)
            return ChildChoice(config, chosen, agreed.local, agreed.remote, more, tfc, only is not None)
    if matching:
        raise PeerError(
            NotifyType.NO_PROPOSAL_CHOSEN,
            _why_none(matching[0], offered),
            cause=ProposalMismatch(matching[0].esp_proposals, offered),
        )
    every = [configured(sa, one) for one in candidates]
    raise PeerError(
        NotifyType.TS_UNACCEPTABLE,
        "no child permits the peer's selectors; " + mismatch.unlike(Selectors(ts_local, ts_remote), every),
        cause=SelectorMismatch(
            tuple((one.local, one.remote) for one in every[:MOST_TOLD]), (ts_local, ts_remote)
        ),
    )


def _why_none(config: Child, offered: Sequence[Proposal]) -> str:
    ours = config.esp_proposals
    if proposals.select(proposals.without_ke(ours), proposals.without_ke(offered)) is None:
        differing = mismatch.nothing_in_common(proposals.without_ke(offered), proposals.without_ke(ours))
        return f"no ESP proposal fits (of {config.name}): {differing}"
    mine, theirs = proposals.key_exchange_names(ours), proposals.key_exchange_names(offered)
    return f"a PFS mismatch: the peer offers {theirs}, our esp_proposals have {mine}"


def _takes_tfc(payloads: Sequence[Payload]) -> bool:
    """Whether the peer accepts TFC padding in the child being negotiated (RFC 7296 1.3.1)."""
    return query.notify(payloads, NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None


def accept(
    sa: IkeSa, choice: ChildChoice, spi_in: int, result: KeyExchangeResult, now: float, *, standby: bool
) -> tuple[ChildSa, list[Effect]]:
    """Make the CHILD_SA that we chose, with this SPI of ours, and the effects that install it."""
    return _installed(sa, choice, spi_in, result, now, standby=standby)


def own_spi(sa: IkeSa) -> int:
    """An inbound SPI for a child."""
    return sa.registry.entropy.child_spi(sa.connection.name)


def _installed(
    sa: IkeSa, choice: ChildChoice, spi_in: int, result: KeyExchangeResult, now: float, *, standby: bool
) -> tuple[ChildSa, list[Effect]]:
    chance = sa.registry.entropy.uniform()
    ours, agreed = configured(sa, choice.config), Selectors(choice.ts_local, choice.ts_remote)
    more = result.we_started and choice.more  # as responder we know the selectors left out; the peer asks
    length = esp_suite(choice.proposal).key_length
    i_to_r, r_to_i = sa.keys.schedule.child_keys(result.nonce_i, result.nonce_r, result.secrets, length)
    keys_out, keys_in = (i_to_r, r_to_i) if result.we_started else (r_to_i, i_to_r)
    child = ChildSa(
        child_id=sa.registry.next_child_id(),
        config=choice.config,
        proposal=choice.proposal,
        spi_in=spi_in,
        spi_out=int.from_bytes(choice.proposal.spi, "big"),
        keys_in=keys_in,
        keys_out=keys_out,
        ts_local=choice.ts_local,
        ts_remote=choice.ts_remote,
        encap=sa.encap,
        installed_at=now,
        lifetime=lifetime.of_child(choice.config, now, chance),
        bytes=lifetime.bytes_of(choice.config, chance),
        packets=lifetime.packets_of(choice.config, chance),
        trapped=ours.remote if is_partial(ours, agreed, more=more) else (),
        tfc_padding=choice.config.tfc_padding if choice.tfc else 0,
        quantum_safe=sa.keeps_safe or proposals.has_ml_kem(choice.proposal),
    )
    effects = child.install(sa.connection.name, sa.children_path, standby=standby)
    sa.children[child.child_id] = child
    sa.registry.add_child(sa, child)
    told = [] if choice.rekeys else sa.child_up(child)
    return child, [*effects, *told, sa.log(Level.INFO, event_text.installed(child.snapshot()))]


def _check_spi(proposal: Proposal) -> None:
    if len(proposal.spi) != 4 or int.from_bytes(proposal.spi, "big") < FIRST_SPI:
        raise PeerError(NotifyType.INVALID_SYNTAX, "an ESP SPI has 4 bytes and is 256 or more")
