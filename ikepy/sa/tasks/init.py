"""IKE_SA_INIT: algorithms, key exchange, nonces, NAT detection (RFC 7296 1.2, 2.6, 2.7, 2.23)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.config.model import Connection
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.admission.connection_match import Candidates
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import KeyExchangeMismatch, ProposalMismatch, refused_by_peer
from ikepy.sa.auth.announced import NOTHING
from ikepy.sa.exchange import announcing, key_exchange, mismatch, path_update, redirecting
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation import nat, proposals
from ikepy.sa.state.exchange_plan import ExchangePlan
from ikepy.sa.state.ike_keys import ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE, InitExchange
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks import desired, next_exchange
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal

MAX_RETRIES = 5  # COOKIE and INVALID_KE_PAYLOAD answers that we follow in one set-up
IKE_PORT = 500
MAX_COOKIE = 64  # bytes (RFC 7296 2.6)


class InitTask(Task[IkeSa]):
    """Our IKE_SA_INIT."""

    kind = TaskKind.INIT
    exchange = ExchangeType.IKE_SA_INIT

    def __init__(self, sa: IkeSa) -> None:
        self._offered = proposals.numbered(sa.connection.proposals, b"")
        self._method = proposals.key_exchanges(self._offered[0])[0]
        self._ke: Begun | None = None
        self._nonce = b""
        self._cookie: bytes | None = None
        self._retries = 0

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if self._ke is None or self._ke.method.id != self._method:
            self._ke = key_exchange.begin(sa, self._method)
        self._nonce = self._nonce or sa.registry.entropy.random(NONCE_SIZE)
        sa.connecting.init.nonce_i = self._nonce
        payloads: list[Payload] = []
        if self._cookie is not None:
            payloads.append(NotifyPayload(NotifyType.COOKIE, self._cookie))
        return [
            *payloads,
            SaPayload(self._offered),
            KePayload(self._method, self._ke.public),
            NoncePayload(self._nonce),
            *nat.notify_payloads(sa.spi_i, bytes(8), sa.path, feigned_nat(sa)),
            *fragmentation_supported(sa.connection),
            *announcing.in_request(sa),
            *redirecting.announced(sa),
            *_intermediate_supported(self._offered, ppk=sa.connection.ppk_id is not None),
            *_ppk_announced(sa.connection),
        ]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        cookie = query.notify(payloads, NotifyType.COOKIE)
        if cookie is not None and 1 <= len(cookie.data) <= MAX_COOKIE:
            self._cookie = cookie.data
            return self._again(sa, "the peer asks for a cookie")
        redirect = redirecting.told(sa, payloads, now, nonce=self._nonce)
        if redirect is not None:
            return redirecting.leave(sa, redirect)
        refusal = error_handling.gravest(Exchange.IKE_SA_INIT, payloads)
        if refusal is not None:
            step, error = refusal
            if step is Step.AGAIN:
                return self._other_group(sa, error)
            text, cause = f"the peer refused: {query.error_name(error)}", None
            if error.notify == NotifyType.NO_PROPOSAL_CHOSEN:
                cause = ProposalMismatch(self._offered)
                text += (
                    f"; our proposals: {mismatch.suites(self._offered)}; "
                    f"or it has no connection for our address {sa.path.local.address}"
                )
            raise PeerError(
                NotifyType.NO_PROPOSAL_CHOSEN, text, fatal=True, cause=refused_by_peer(error.notify, cause)
            )
        try:
            return self._agree(sa, payloads)
        except PeerError as error:
            # Nothing authenticates this response: ignore it and wait for the true one (RFC 6989 2.5).
            raise PeerError(error.notify, str(error), cause=error.cause) from error

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return desired.abandon(sa, reason)

    def _again(self, sa: IkeSa, why: str) -> list[Effect]:
        self._retries += 1
        if self._retries > MAX_RETRIES:
            raise PeerError(
                NotifyType.INVALID_SYNTAX, "the peer asks to start over again and again", fatal=True
            )
        sa.restart_init(self)
        return [sa.log(Level.DEBUG, f"{why}: IKE_SA_INIT again")]

    def _other_group(self, sa: IkeSa, notify: NotifyPayload) -> list[Effect]:
        group = int.from_bytes(notify.data, "big")
        if len(notify.data) != 2 or group not in proposals.groups(self._offered) or group == self._method:
            what = "is the one it refused" if group == self._method else "our proposals don't have"
            text = f"the peer asks for key exchange {proposals.group_name(group)}, which {what}: "
            raise PeerError(
                NotifyType.INVALID_SYNTAX,
                text + proposals.key_exchange_names(self._offered),
                cause=refused_by_peer(notify.notify, KeyExchangeMismatch(self._offered, group)),
            )
        self._method = group
        return self._again(sa, f"the peer asks for key exchange {group}")

    def _agree(self, sa: IkeSa, payloads: Sequence[Payload]) -> list[Effect]:
        chosen = proposals.acceptable_choice(query.must(payloads, SaPayload).proposals, self._offered)
        if chosen is None:
            raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "the peer chose a proposal that was not offered")
        if proposals.has_additional((chosen,)) and not _supports_intermediate(payloads):
            text = "the peer chose additional key exchanges, but does not support IKE_INTERMEDIATE"
            raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, text)
        if sa.connection.ppk_id is not None:
            sa.connecting.ppk_early = _announces_early_ppk(payloads)
            sa.connecting.ppk = _announces_ppk(payloads) and not sa.connecting.ppk_early
        if sa.connection.ppk_required and not (sa.connecting.ppk or sa.connecting.ppk_early):
            why = "the peer does not use postquantum preshared keys"
            text = f"{'there is no ppk_id' if sa.connection.ppk_id is None else why}, and ppk_required = yes"
            raise PeerError(NotifyType.AUTHENTICATION_FAILED, text)
        if sa.spi_r == bytes(8):
            raise PeerError(NotifyType.INVALID_SYNTAX, "the peer's SPI is zero")
        secret = key_exchange.finish(sa, self._ke, proposals.first_key_exchange(chosen), payloads)
        sa.connecting.init.nonce_r = query.must(payloads, NoncePayload).data
        _set_keys(sa, chosen, secret)
        sa.connecting.announced = NOTHING.and_in(payloads)
        heed(sa, payloads)
        next_exchange.initiate(sa)
        return []


def heed(sa: IkeSa, payloads: Sequence[Payload]) -> None:
    """Apply what the notifies of the peer's first response say."""
    sa.connecting.peer_childless = query.notify(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None
    sa.nat = nat.detect(payloads, sa.spi_i, sa.spi_r, sa.path)
    sa.fragmentation = fragmentation_agreed(sa.connection, payloads)
    # With MOBIKE too: the next path may have a NAT (RFC 4555 3.3).
    mobile = sa.connection.may_move and sa.path.remote.port == IKE_PORT
    if sa.nat.found or ((sa.connection.encap or mobile) and sa.nat.supported):
        path_update.float_to_nat_t(sa)


def fragmentation_supported(connection: Connection) -> list[Payload]:
    """The notify that announces IKE fragmentation, unless `connection` turns it off (RFC 7383 2.3)."""
    if connection.fragmentation == "no":
        return []
    return [NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)]


def fragmentation_agreed(connection: Connection, payloads: Sequence[Payload]) -> bool:
    """Whether both ends announce IKE fragmentation (RFC 7383 2.3)."""
    theirs = query.notify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)
    return theirs is not None and connection.fragmentation != "no"


def _ppk_announced(connection: Connection) -> list[Payload]:
    """USE_PPK and USE_PPK_INT, as initiator, where one is configured (RFC 8784 3, RFC 9867 3.1)."""
    if connection.ppk_id is None:
        return []
    return [NotifyPayload(NotifyType.USE_PPK), NotifyPayload(NotifyType.USE_PPK_INT)]


def _announces_ppk(payloads: Sequence[Payload]) -> bool:
    return query.notify(payloads, NotifyType.USE_PPK) is not None


def _announces_early_ppk(payloads: Sequence[Payload]) -> bool:
    return _supports_intermediate(payloads) and query.notify(payloads, NotifyType.USE_PPK_INT) is not None


def _answer_ppk(sa: IkeSa, payloads: Sequence[Payload]) -> list[Payload]:
    """As responder, which of the ways to use PPKs that the peer announces we take: one at most."""
    if not sa.registry.config.has_ppks:
        return []
    if _announces_early_ppk(payloads):
        sa.connecting.ppk_early = True
        return [NotifyPayload(NotifyType.USE_PPK_INT)]
    if _announces_ppk(payloads):
        sa.connecting.ppk = True
        return [NotifyPayload(NotifyType.USE_PPK)]
    return []


def _intermediate_supported(offered: Sequence[Proposal], *, ppk: bool) -> list[Payload]:
    """The notify that announces IKE_INTERMEDIATE, where it may be needed (RFC 9242 3.1, RFC 9370 2.2.1)."""
    if not (ppk or proposals.has_additional(offered)):
        return []
    return [NotifyPayload(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)]


def _supports_intermediate(payloads: Sequence[Payload]) -> bool:
    return query.notify(payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None


def _offers(payloads: Sequence[Payload]) -> list[Proposal]:
    """The peer's IKE proposals, as far as it can do the exchanges that they ask for."""
    offered = [p for p in query.must(payloads, SaPayload).proposals if p.protocol == ProtocolId.IKE]
    return offered if _supports_intermediate(payloads) else proposals.without_additional(offered)


def choose_connection(candidates: Candidates, offered: Sequence[Proposal]) -> tuple[Connection, Proposal]:
    """The first candidate with a proposal that matches the peer's; PeerError NO_PROPOSAL_CHOSEN if none."""
    for connection in candidates.offers:
        chosen = proposals.select(connection.proposals, offered)
        if chosen is not None:
            return connection, chosen
    if not candidates:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "no connection is configured for these addresses")
    differing = mismatch.nothing_in_common(offered, candidates.connections[0].proposals)
    raise PeerError(
        NotifyType.NO_PROPOSAL_CHOSEN,
        f"no IKE proposal fits (of {candidates.connections[0].name}): {differing}",
        cause=ProposalMismatch(candidates.connections[0].proposals, tuple(offered)),
    )


def respond(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], datagram: bytes) -> list[Payload]:
    """Answer the peer's IKE_SA_INIT: gives `sa` its keys, and the payloads of the response.

    PeerError (NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD, INVALID_SYNTAX) if it is not acceptable: then drop
    `sa`, so that the answer costs no state (RFC 7296 2.6 and 2.7). May raise ResultPending.
    """
    connection, chosen = choose_connection(sa.connecting.candidates, _offers(payloads))
    sa.connection = connection
    nonce_i = query.must(payloads, NoncePayload).data
    ke, secret = key_exchange.answer(sa, proposals.key_exchanges(chosen)[0], payloads)
    random = sa.registry.entropy.random
    nonce_r = random(NONCE_SIZE)
    sa.connecting.init = InitExchange(nonce_i, nonce_r, request=datagram)
    sa.connecting.announced = NOTHING.and_in(payloads)
    of_ppk = _answer_ppk(sa, payloads)
    _set_keys(sa, chosen, secret)
    sa.nat = nat.detect(payloads, header.spi_i, header.spi_r, sa.path)
    intermediate = _intermediate_supported((chosen,), ppk=sa.connecting.ppk_early)
    told = [*notifies(sa, payloads), *intermediate, *of_ppk, *announcing.in_response(sa)]
    return [SaPayload((chosen,)), ke, NoncePayload(nonce_r), *told]


def feigned_nat(sa: IkeSa) -> Callable[[int], bytes] | None:
    """What a request of ours feigns a NAT with, where the connection wants that: a request that is repeated
    with a cookie has to be the same otherwise (RFC 7296 2.6)."""
    if not sa.connection.encap:
        return None
    kept = sa.connecting.init

    def feign(size: int) -> bytes:
        kept.feigned = kept.feigned or sa.registry.entropy.random(size)
        return kept.feigned

    return feign


def notifies(sa: IkeSa, payloads: Sequence[Payload]) -> list[Payload]:
    """What our first response says, as responder, of itself and in answer to the request's notifies."""
    connection = sa.connection
    fake = sa.registry.entropy.random if connection.encap else None
    told: list[Payload] = []
    if sa.nat.supported:
        told += nat.notify_payloads(sa.spi_i, sa.spi_r, sa.path, fake)
    sa.redirection.followed_by_peer = redirecting.is_supported(payloads)
    sa.fragmentation = fragmentation_agreed(connection, payloads)
    if sa.fragmentation:
        told += fragmentation_supported(connection)
    if connection.childless != "never":
        told.append(NotifyPayload(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
    return told


def _set_keys(sa: IkeSa, chosen: Proposal, secret: Secret) -> None:
    """Derive the keys from the shared secret, nonces and SPIs (2.14), and plan the exchanges that follow."""
    schedule = KeySchedule.initial(suite_of(chosen), secret, sa.seed)
    sa.set_keys(ike_sa_keys(chosen, schedule, initiator=sa.initiator))
    sa.connecting.plan = ExchangePlan(sa.registry.plan_of(sa, chosen))
