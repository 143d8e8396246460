"""A ticket by value: what a gateway has to know to resume an IKE_SA, sealed for itself (RFC 5723 6.1, 9.9).

Every ticket is sealed with a key of its own, derived from one of the gateway's (`crypto.sealing`), so that no
nonce can repeat; the header names the gateway's key, which changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.identity import MAX_LENGTH, Identity
from ikepy.crypto.sealing import seal, unseal
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import NOTHING, Granted
from ikepy.errors import IkeError, WireError
from ikepy.sa.api.restart_keys import TicketKey
from ikepy.wire.proposal import Proposal
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16, u32, u64

_FORMAT = b"\2"
_KEY_ID = 4
_HEADER = len(_FORMAT) + _KEY_ID
ID_SIZE = 16
FINGERPRINT = 32
MAX_SIZE = 4096  # octets of a sealed ticket that are looked at


@dataclass(frozen=True, slots=True)
class Ticket:
    """`expires`, `authenticated_at`: Unix times in seconds. `spi_i`, `spi_r`: of the IKE_SA that it is of.
    `fingerprint`: of how the configuration wants the two ends to be authenticated. `ppk`, `keeps_safe`: what
    was mixed into SK_d, as `IkeSa` has it.

    `eap_id`: the user that EAP has authenticated, who need not be `id_i` (RFC 5723 5, note 1). `granted`: by
    an AAA server, without the session's time: that is over at `session_ends`. `proven_until`: as
    `IkeSa.proven_until`. These are Unix times, too; None: never."""

    ticket_id: bytes
    expires: int
    authenticated_at: int
    spi_i: bytes
    spi_r: bytes
    connection: str
    fingerprint: bytes
    id_i: Identity
    id_r: Identity
    sk_d: Secret
    proposal: Proposal
    ppk: bool = False
    keeps_safe: bool = False
    eap_id: str = ""
    granted: Granted = NOTHING
    session_ends: int | None = None
    proven_until: int | None = None

    def granted_at(self, unix: float) -> Granted:
        """What is left of what was granted."""
        ends = self.session_ends
        return replace(self.granted, session_timeout=None if ends is None else max(ends - unix, 0.0))


def sealed(ticket: Ticket, key: TicketKey, random: Callable[[int], bytes]) -> bytes:
    """The ticket as its client gets it, who can't read it. It may have more than MAX_SIZE octets."""
    sk_d, name = ticket.sk_d.expose(), ticket.connection.encode()
    plain = b"".join(
        (
            ticket.ticket_id,
            u64(ticket.expires),
            u64(ticket.authenticated_at),
            ticket.spi_i,
            ticket.spi_r,
            u8(len(name)) + name,
            ticket.fingerprint,
            _identity(ticket.id_i),
            _identity(ticket.id_r),
            u8(len(sk_d)) + sk_d,
            u8(ticket.ppk | ticket.keeps_safe << 1),
            _text(ticket.eap_id),
            _granted(ticket.granted),
            u64(ticket.session_ends or 0),
            u64(ticket.proven_until or 0),
            ticket.proposal.encode(more=False),
        )
    )
    return seal(key.secret, random, _FORMAT + key.key_id, plain)


def opened(data: bytes, keys: Sequence[TicketKey]) -> Ticket | None:
    """The ticket; None if it is none of ours: forged, altered, cut, or of a key that is forgotten."""
    if not _HEADER < len(data) <= MAX_SIZE or not data.startswith(_FORMAT):
        return None
    key = next((one for one in keys if one.key_id == data[len(_FORMAT) : _HEADER]), None)
    if key is None:
        return None
    try:
        return _read(Reader(unseal(key.secret, _HEADER, data)))
    except (IkeError, UnicodeDecodeError):
        return None


def _read(reader: Reader) -> Ticket:
    ticket_id, expires, authenticated_at = reader.take(ID_SIZE), reader.u64(), reader.u64()
    spi_i, spi_r = reader.take(8), reader.take(8)
    connection, fingerprint = reader.take(reader.u8()).decode(), reader.take(FINGERPRINT)
    id_i, id_r = _read_identity(reader), _read_identity(reader)
    sk_d, mixed = Secret(reader.take(reader.u8())), reader.u8()
    eap_id, granted = _read_text(reader), _read_granted(reader)
    session_ends, proven_until = reader.u64(), reader.u64()
    proposal, more = Proposal.decode(reader)
    reader.end()
    if more:
        raise WireError("several proposals in a ticket")
    return Ticket(
        ticket_id,
        expires,
        authenticated_at,
        spi_i,
        spi_r,
        connection,
        fingerprint,
        id_i,
        id_r,
        sk_d,
        proposal,
        bool(mixed & 1),
        bool(mixed & 2),
        eap_id,
        granted,
        session_ends or None,
        proven_until or None,
    )


def _identity(identity: Identity) -> bytes:
    return u8(identity.id_type) + u16(len(identity.data)) + identity.data


def _read_identity(reader: Reader) -> Identity:
    id_type, length = reader.u8(), reader.u16()
    if length > MAX_LENGTH:
        raise WireError("an identity that is too long")
    return Identity(id_type, reader.take(length))


def _text(text: str) -> bytes:
    data = text.encode()
    return u16(len(data)) + data


def _read_text(reader: Reader) -> str:
    return reader.take(reader.u16()).decode()


def _granted(granted: Granted) -> bytes:
    addresses = [
        u8(len(each)) + b"".join(u8(one.version) + one.packed for one in each)
        for each in (granted.addresses, granted.dns_servers)
    ]
    classes = b"".join(u16(len(one)) + one for one in granted.classes)
    interim = u32(int(granted.interim or 0))
    return b"".join((_text(granted.user), *addresses, u8(len(granted.classes)), classes, interim))


def _read_granted(reader: Reader) -> Granted:
    user = _read_text(reader)
    addresses, servers = (tuple(_read_address(reader) for _ in range(reader.u8())) for _ in range(2))
    classes = tuple(reader.take(reader.u16()) for _ in range(reader.u8()))
    return Granted(user, addresses, servers, None, classes, reader.u32() or None)


def _read_address(reader: Reader) -> IPv4Address | IPv6Address:
    return IPv4Address(reader.take(4)) if reader.u8() == 4 else IPv6Address(reader.take(16))
