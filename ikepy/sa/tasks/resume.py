"""IKE_SESSION_RESUME: an IKE_SA that was interrupted goes on by a ticket, in place of IKE_SA_INIT (RFC 5723).

No key exchange: the keys come from SK_d of the IKE_SA before and from new nonces (5.1). IKE_AUTH follows, in
which both ends prove that they have them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import same
from ikepy.crypto.key_schedule import KeySchedule
from ikepy.errors import PeerError
from ikepy.sa.admission.connection_match import Candidates
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.exchange import authentication, redirecting, resumption
from ikepy.sa.exchange.ticket import Ticket, opened
from ikepy.sa.message import query
from ikepy.sa.negotiation import nat, proposals
from ikepy.sa.state.exchange_plan import ExchangePlan
from ikepy.sa.state.ike_keys import ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE, InitExchange
from ikepy.sa.state.resumption import ClientTicket, Terms
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks import desired, init, next_exchange
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import NoncePayload, NotifyPayload, Payload


class ResumeTask(Task[IkeSa]):
    """Our IKE_SESSION_RESUME. What the gateway does not resume is set up in full."""

    kind = TaskKind.INIT
    exchange = ExchangeType.IKE_SESSION_RESUME

    def __init__(self, ticket: ClientTicket) -> None:
        self._ticket = ticket
        self._nonce = b""
        self._cookie: bytes | None = None
        self._retries = 0
        self._spent = False

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        self._nonce = self._nonce or sa.registry.entropy.random(NONCE_SIZE)
        sa.connecting.init.nonce_i = self._nonce
        cookie = [] if self._cookie is None else [NotifyPayload(NotifyType.COOKIE, self._cookie)]
        return [
            *cookie,
            NoncePayload(self._nonce),
            NotifyPayload(NotifyType.TICKET_OPAQUE, self._ticket.data),
            *nat.notify_payloads(sa.spi_i, bytes(8), sa.path, init.feigned_nat(sa)),
            *init.fragmentation_supported(sa.connection),
            *redirecting.announced(sa),
        ]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        cookie = query.notify(payloads, NotifyType.COOKIE)
        if cookie is not None and 1 <= len(cookie.data) <= init.MAX_COOKIE:
            return self._with_cookie(sa, cookie.data)
        redirect = redirecting.told(sa, payloads, now, nonce=self._nonce)
        if redirect is not None:
            self._spend()
            return redirecting.leave(sa, redirect)
        nonce = query.maybe(payloads, NoncePayload)
        if nonce is None:
            # Nothing authenticates it, but a full set-up is as good (4.3.2): it costs a round trip.
            return self._in_full(sa, "the gateway does not resume it")
        if sa.spi_r == bytes(8):
            raise PeerError(NotifyType.INVALID_SYNTAX, "the peer's SPI is zero")
        sa.connecting.init.nonce_r = nonce.data
        ticket = self._ticket
        sa.resumption.resumed = Terms(ticket.local_id, ticket.remote_id, proven_until=ticket.proven_until)
        _set_keys(sa, self._ticket)
        self._spend()
        init.heed(sa, payloads)
        next_exchange.initiate(sa)
        return []

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        if not self._spent and sa.registry.is_current(sa.connection):
            sa.registry.tickets.put_back(self._ticket)
        return desired.abandon(sa, reason)

    def _spend(self) -> None:
        self._spent = True
        self._ticket.sk_d.wipe()

    def _with_cookie(self, sa: IkeSa, cookie: bytes) -> list[Effect]:
        self._retries += 1
        if self._retries > init.MAX_RETRIES:
            return self._in_full(sa, "the gateway asks for cookies again and again")
        self._cookie = cookie
        sa.restart_init(self)
        return [sa.log(Level.DEBUG, "the peer asks for a cookie: IKE_SESSION_RESUME again")]

    def _in_full(self, sa: IkeSa, why: str) -> list[Effect]:
        self._spend()
        sa.restart_init(init.InitTask(sa))
        return [sa.log(Level.INFO, f"{why}: set up in full")]


def first_task(sa: IkeSa, now: float, *, resumable: bool) -> Task[IkeSa]:
    """What begins a set-up of ours: by a ticket if we have one that is still good, or else in full."""
    connection = sa.connection
    if resumable and connection.resumption:
        ticket = sa.registry.tickets.take(connection, sa.path.remote.address, now)
        if ticket is not None and _is_usable(sa, ticket):
            return ResumeTask(ticket)
    return init.InitTask(sa)


def _is_usable(sa: IkeSa, ticket: ClientTicket) -> bool:
    """Whether both ends are still who they were, and the algorithms permitted."""
    same_ids = ticket.local_id == authentication.own_id(sa) and ticket.remote_id.matches(
        sa.connection.remote.id
    )
    return same_ids and proposals.select(sa.connection.proposals, [ticket.proposal]) is not None


def respond(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], datagram: bytes) -> list[Payload]:
    """Answer the peer's IKE_SESSION_RESUME, as `init.respond` does IKE_SA_INIT.

    PeerError TICKET_NACK, the same whatever its cause, if it is not resumed: the peer then sets up in full.
    """
    now = sa.set_up.began_at
    told = query.notify(payloads, NotifyType.TICKET_OPAQUE)
    ticket = None if told is None else opened(told.data, sa.registry.restart_keys.tickets)
    if ticket is None:
        raise _nack("it is none of ours, or of a key that is forgotten")
    unix = resumption.unix(sa.registry, now)
    connection = _connection(sa, ticket, unix)
    sa.connection = connection
    sa.connecting.candidates = Candidates((connection,))
    nonce_r = sa.registry.entropy.random(NONCE_SIZE)
    nonce_i = query.must(payloads, NoncePayload).data
    sa.connecting.init = InitExchange(nonce_i, nonce_r, request=datagram)
    sa.resumption.resumed = Terms(
        ticket.id_r,
        ticket.id_i,
        ticket.authenticated_at,
        ticket.ticket_id,
        ticket.expires,
        ticket.spi_r,
        ticket.eap_id,
        ticket.granted_at(unix),
        ticket.proven_until,
    )
    _set_keys(sa, ticket)
    sa.nat = nat.detect(payloads, header.spi_i, header.spi_r, sa.path)
    return [NoncePayload(nonce_r), *init.notifies(sa, payloads)]


def _connection(sa: IkeSa, ticket: Ticket, unix: float) -> Connection:
    """The connection of a ticket, if the configuration of now would let its peer in; PeerError otherwise."""
    registry = sa.registry
    connection = registry.config.connections.get(ticket.connection)
    if unix >= ticket.expires:
        raise _nack("it has expired")
    if registry.used_tickets.refuses(ticket.ticket_id, unix):
        raise _nack("it was used, or its IKE_SA has ended")
    if connection is None or not connection.resumption:
        raise _nack(f"connection {ticket.connection} resumes nothing any more")
    if all(one is not connection for one in sa.connecting.candidates.connections):
        raise _nack(f"connection {ticket.connection} is not for peers at {sa.path.remote.address}")
    if not _names(ticket, connection, sa) or not _proves(ticket, connection, sa):
        raise _nack("the configuration wants other proofs now than when it was granted")
    if proposals.select(connection.proposals, [ticket.proposal]) is None:
        raise _nack("its algorithms are not permitted any more")
    return connection


def _names(ticket: Ticket, connection: Connection, sa: IkeSa) -> bool:
    own = connection.local.own_id or Identity.of_address(sa.path.local.address)
    return ticket.id_r == own and ticket.id_i.matches(connection.remote.id)


def _proves(ticket: Ticket, connection: Connection, sa: IkeSa) -> bool:
    wanted = resumption.fingerprint(sa.registry, connection, ticket.id_r, ticket.id_i, ticket.eap_id)
    return wanted is not None and same(wanted, ticket.fingerprint)


def _nack(why: str) -> PeerError:
    return PeerError(NotifyType.TICKET_NACK, f"a ticket is refused: {why}")


def _set_keys(sa: IkeSa, ticket: Ticket | ClientTicket) -> None:
    """The keys of the resumed IKE_SA (5.1); IKE_AUTH follows at once."""
    proposal = ticket.proposal
    schedule = KeySchedule.resumed(suite_of(proposal), ticket.sk_d, sa.seed)
    sa.set_keys(ike_sa_keys(proposal, schedule, initiator=sa.initiator))
    sa.ppk = ticket.ppk
    if ticket.keeps_safe:
        sa.quantum_safe = sa.keeps_safe = True
    sa.connecting.plan = ExchangePlan()
