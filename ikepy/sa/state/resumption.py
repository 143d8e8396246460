"""Session resumption as both ends remember it: tickets that we hold, those that were used (RFC 5723 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import NOTHING, Granted
from ikepy.sa.api.path import Address
from ikepy.wire.proposal import Proposal

MOST_USED = 65_536  # tickets that are remembered as used; none is accepted while there is no room
FORGOTTEN_AT_ONCE = 16
MOST_TRIES = 4  # of a gateway that does not answer, beside the first
MAX_TICKET = 4096  # octets of a ticket that we keep


@dataclass(frozen=True, slots=True)
class ClientTicket:
    """A ticket that a gateway has given us, and what it stands for. `expires_at`: the machine's clock.
    `tries`: how often it was presented to a gateway that did not answer. `ppk`, `keeps_safe`: what was mixed
    into `sk_d`, and `proven_until`: as `IkeSa` has them."""

    data: bytes
    expires_at: float
    sk_d: Secret
    proposal: Proposal
    local_id: Identity
    remote_id: Identity
    gateway: Address
    connection: Connection
    ike_id: int
    tries: int = 0
    ppk: bool = False
    keeps_safe: bool = False
    proven_until: float | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a resumed IKE_SA has of the one before: who its ends are, when they were authenticated (Unix
    time), and, as responder, the ticket by its ID and when that expires (Unix time), and the old SPI of
    ours. `eap_id`, `granted`, `proven_until`: as `IkeSa` has them."""

    local_id: Identity
    remote_id: Identity
    authenticated_at: int = 0
    ticket_id: bytes = b""
    expires: int = 0
    old_spi: bytes = b""
    eap_id: str = ""
    granted: Granted = NOTHING
    proven_until: float | None = None


@dataclass(slots=True)
class Resumption:
    """An IKE_SA's part. `resumed`: on what terms; None: it was set up in full. `granted`: IDs of the tickets
    that we gave its client, with their expiry (Unix time). `renew_at`: when we ask for the next ticket."""

    resumed: Terms | None = None
    granted: tuple[tuple[bytes, int], ...] = ()
    renew_at: float | None = None


class ClientTickets:
    """The last ticket of each connection."""

    def __init__(self) -> None:
        self._held: dict[str, ClientTicket] = {}

    def put(self, ticket: ClientTicket) -> None:
        self.drop(ticket.connection.name)
        self._held[ticket.connection.name] = ticket

    def take(self, connection: Connection, gateway: Address, now: float) -> ClientTicket | None:
        """Remove and return a ticket that is still valid, of this gateway: it is used once (4.3.1)."""
        ticket = self._held.get(connection.name)
        if ticket is None or ticket.gateway != gateway:
            return None
        del self._held[connection.name]
        if ticket.connection is connection and now < ticket.expires_at:
            return ticket
        ticket.sk_d.wipe()
        return None

    def held(self, connection: Connection, ike_id: int) -> ClientTicket | None:
        """The ticket of this IKE_SA, which stays."""
        ticket = self._held.get(connection.name)
        return ticket if ticket is not None and ticket.ike_id == ike_id else None

    def put_back(self, ticket: ClientTicket) -> None:
        """Keep a ticket that nobody answered: it is not used up (4.3.1). After a few tries it is given up."""
        if ticket.connection.name in self._held or ticket.tries >= MOST_TRIES:
            ticket.sk_d.wipe()
        else:
            self.put(replace(ticket, tries=ticket.tries + 1))

    def drop(self, connection: str, ike_id: int | None = None) -> None:
        """Destroy a ticket; with `ike_id` only if it is of that IKE_SA."""
        ticket = self._held.get(connection)
        if ticket is not None and ike_id in (None, ticket.ike_id):
            del self._held[connection]
            ticket.sk_d.wipe()

    def keep(self, connections: Mapping[str, Connection]) -> None:
        """Destroy those whose connection is configured otherwise now."""
        for name, ticket in list(self._held.items()):
            if connections.get(name) is not ticket.connection:
                self.drop(name)


class UsedTickets:
    """The IDs of tickets that can't be used any more, until they expire.

    Without room for one, all tickets are refused until that one has expired. A call takes a time that grows
    with the logarithm of their number: each of them forgets FORGOTTEN_AT_ONCE at most.
    """

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._by_expiry: list[tuple[int, bytes]] = []  # a heap
        self._all_until = 0

    def add(self, ticket_id: bytes, expires: int) -> None:
        """`expires`: Unix time."""
        if ticket_id in self._ids:
            return
        if len(self._ids) < MOST_USED:
            self._ids.add(ticket_id)
            heappush(self._by_expiry, (expires, ticket_id))
        else:
            self._all_until = max(self._all_until, expires)

    def refuses(self, ticket_id: bytes, unix: float) -> bool:
        """Whether this one was used; or whether there is no room to remember that it will have been."""
        for _ in range(FORGOTTEN_AT_ONCE):
            if not self._by_expiry or self._by_expiry[0][0] >= unix:
                break
            self._ids.discard(heappop(self._by_expiry)[1])
        return unix <= self._all_until or ticket_id in self._ids or len(self._ids) >= MOST_USED
