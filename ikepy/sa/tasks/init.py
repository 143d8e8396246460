"""IKE_SA_INIT: algorithms, key exchange, nonces, NAT detection (RFC 7296 1.2, 2.6, 2.7, 2.23)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Connection
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.admission.connection_match import Candidates
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import KeyExchangeMismatch, ProposalMismatch, refused_by_peer
from ikepy.sa.exchange import key_exchange, mismatch, path_update
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
        fake = sa.registry.entropy.random if sa.connection.encap else None
        return [
            *payloads,
            SaPayload(self._offered),
            KePayload(self._method, self._ke.public),
            NoncePayload(self._nonce),
            *nat.notify_payloads(sa.spi_i, bytes(8), sa.path, fake),
            *fragmentation_supported(sa.connection),
        ]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        cookie = query.notify(payloads, NotifyType.COOKIE)
        if cookie is not None and 1 <= len(cookie.data) <= MAX_COOKIE:
            self._cookie = cookie.data
            return self._again(sa, "the peer asks for a cookie")
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
        if sa.spi_r == bytes(8):
            raise PeerError(NotifyType.INVALID_SYNTAX, "the peer's SPI is zero")
        secret = key_exchange.finish(sa, self._ke, proposals.first_key_exchange(chosen), payloads)
        sa.connecting.init.nonce_r = query.must(payloads, NoncePayload).data
        _set_keys(sa, chosen, secret)
        sa.connecting.peer_childless = (
            query.notify(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None
        )
        sa.nat = nat.detect(payloads, sa.spi_i, sa.spi_r, sa.path)
        sa.fragmentation = fragmentation_agreed(sa.connection, payloads)
        # With MOBIKE too: the next path may have a NAT (RFC 4555 3.3).
        mobile = sa.connection.mobike and sa.path.remote.port == IKE_PORT
        if sa.nat.found or ((sa.connection.encap or mobile) and sa.nat.supported):
            path_update.float_to_nat_t(sa)
        next_exchange.initiate(sa)
        return []


def fragmentation_supported(connection: Connection) -> list[Payload]:
    """The notify that announces IKE fragmentation, unless `connection` turns it off (RFC 7383 2.3)."""
    if connection.fragmentation == "no":
        return []
    return [NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)]


def fragmentation_agreed(connection: Connection, payloads: Sequence[Payload]) -> bool:
    """Whether both ends announce IKE fragmentation (RFC 7383 2.3)."""
    theirs = query.notify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)
    return theirs is not None and connection.fragmentation != "no"


def choose_connection(candidates: Candidates, offered: Sequence[Proposal]) -> tuple[Connection, Proposal]:
    """The first candidate with a proposal that matches the peer's; PeerError NO_PROPOSAL_CHOSEN if none."""
    ike_only = [p for p in offered if p.protocol == ProtocolId.IKE]
    for connection in candidates.offers:
        chosen = proposals.select(connection.proposals, ike_only)
        if chosen is not None:
            return connection, chosen
    if not candidates:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "no connection is configured for these addresses")
    differing = mismatch.nothing_in_common(ike_only, candidates.connections[0].proposals)
    raise PeerError(
        NotifyType.NO_PROPOSAL_CHOSEN,
        f"no IKE proposal fits (of {candidates.connections[0].name}): {differing}",
        cause=ProposalMismatch(candidates.connections[0].proposals, tuple(ike_only)),
    )


def respond(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], datagram: bytes) -> list[Payload]:
    """Answer the peer's IKE_SA_INIT: gives `sa` its keys, and the payloads of the response.

    PeerError (NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD, INVALID_SYNTAX) if it is not acceptable: then drop
    `sa`, so that the answer costs no state (RFC 7296 2.6 and 2.7). May raise ResultPending.
    """
    connection, chosen = choose_connection(
        sa.connecting.candidates, query.must(payloads, SaPayload).proposals
    )
    sa.connection = connection
    nonce_i = query.must(payloads, NoncePayload).data
    ke, secret = key_exchange.answer(sa, proposals.key_exchanges(chosen)[0], payloads)
    random = sa.registry.entropy.random
    nonce_r = random(NONCE_SIZE)
    sa.connecting.init = InitExchange(nonce_i, nonce_r, request=datagram)
    _set_keys(sa, chosen, secret)
    sa.nat = nat.detect(payloads, header.spi_i, header.spi_r, sa.path)
    fake = random if connection.encap else None
    notifies = nat.notify_payloads(sa.spi_i, sa.spi_r, sa.path, fake) if sa.nat.supported else []
    sa.fragmentation = fragmentation_agreed(connection, payloads)
    if sa.fragmentation:
        notifies += fragmentation_supported(connection)
    if connection.childless != "never":
        notifies.append(NotifyPayload(NotifyType.CHILDLESS_IKEV2_SUPPORTED))
    return [SaPayload((chosen,)), ke, NoncePayload(nonce_r), *notifies]


def _set_keys(sa: IkeSa, chosen: Proposal, secret: Secret) -> None:
    """Derive the keys from the shared secret, nonces and SPIs (2.14), and plan the exchanges that follow."""
    schedule = KeySchedule.initial(suite_of(chosen), secret, sa.seed)
    sa.set_keys(ike_sa_keys(chosen, schedule, initiator=sa.initiator))
    sa.connecting.plan = ExchangePlan(sa.registry.plan_of(sa.connection, chosen))
