"""An exported IKE_SA as a value: format version 3, with the limits of every field.

It refers to nothing of the machine that it comes from. Times are seconds relative to the export (in the past:
negative), as monotonic clocks of two machines have nothing in common. Whoever changes a field here changes
`VERSION` too.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, FailFast, Field, PlainSerializer, PlainValidator
from pydantic.dataclasses import dataclass

from esp.packet.selectors import BITS, Selector
from ikepy.config.identity import MAX_LENGTH, Identity
from ikepy.crypto.secret import Secret
from ikepy.errors import IkeError
from ikepy.wire.message import MAX_MESSAGE
from ikepy.wire.proposal import Proposal
from ikepy.wire.reader import Reader

VERSION = 3
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

CONFIG = ConfigDict(
    strict=True,
    extra="forbid",
    allow_inf_nan=False,
    hide_input_in_errors=True,  # it may be a key
    ser_json_bytes="hex",
    val_json_bytes="hex",
    arbitrary_types_allowed=True,
)

MAX_CHILDREN = 65_536
MAX_SELECTORS = 255  # of a payload (RFC 7296 3.13)
MAX_REPLIES = 64  # `daemon.window_size`
MAX_NAMES = 1024
MAX_ADDRESSES = 64
MAX_TICKETS = 16
MAX_CRASH_TOKENS = 4
_SELECTOR_FIELDS = 6
_FIRST = FailFast()  # the first wrong element is enough: of millions each would cost a line of text


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or len(value) > 1024:
        raise ValueError("no key")
    return Secret(bytes.fromhex(value))


def _octets(value: object) -> bytes:
    if not isinstance(value, str) or len(value) > 65536:
        raise ValueError("no octets")
    return bytes.fromhex(value)


def _proposal(value: object) -> Proposal:
    if isinstance(value, Proposal):
        return value
    reader = Reader(_octets(value))
    try:
        proposal, more = Proposal.decode(reader)
        reader.end()
    except IkeError as error:
        raise ValueError(f"no proposal: {error}") from None
    if more:
        raise ValueError("one proposal only")
    return proposal


def _identity(value: object) -> Identity:
    if isinstance(value, Identity):
        return value
    octets = _octets(value)
    if not 1 <= len(octets) <= 1 + MAX_LENGTH:
        raise ValueError("no identity")
    return Identity(octets[0], octets[1:])


def _selector(value: object) -> Selector:
    if isinstance(value, Selector):
        return value
    if not isinstance(value, list) or len(value) != _SELECTOR_FIELDS:
        raise ValueError("no selector")
    if not all(type(number) is int for number in value):
        raise ValueError("a selector consists of numbers")
    selector = Selector(*value)
    last_address = (1 << BITS.get(selector.version, 0)) - 1
    if not (
        selector.version in BITS
        and 0 <= selector.first <= selector.last <= last_address
        and 0 <= selector.protocol <= 0xFF
        and min(selector.first_port, selector.last_port) >= 0
        and max(selector.first_port, selector.last_port) <= 0xFFFF
    ):
        raise ValueError("an impossible selector")
    return selector


def _numbers(selector: Selector) -> list[int]:
    ports = selector.first_port, selector.last_port
    return [selector.version, selector.first, selector.last, selector.protocol, *ports]


def _interface(value: object) -> Interface:
    if isinstance(value, IPv4Interface | IPv6Interface):
        return value
    if not isinstance(value, str):
        raise ValueError("no address")
    return ip_interface(value)


def _network(value: object) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("no network")
    return ip_network(value)


def _text(value: object) -> object:
    """JSON has addresses as text; whoever builds a value passes the address itself."""
    return value if isinstance(value, IPv4Address | IPv6Address | str) else None


Key = Annotated[Secret, PlainValidator(_secret), PlainSerializer(lambda key: key.expose().hex(), str)]
ProposalField = Annotated[
    Proposal, PlainValidator(_proposal), PlainSerializer(lambda p: p.encode(more=False).hex(), str)
]
IdentityField = Annotated[
    Identity,
    PlainValidator(_identity),
    PlainSerializer(lambda i: bytes([i.id_type]).hex() + i.data.hex(), str),
]
SelectorField = Annotated[Selector, PlainValidator(_selector), PlainSerializer(_numbers, list[int])]
SelectorsField = Annotated[tuple[SelectorField, ...], _FIRST, Field(max_length=MAX_SELECTORS)]
AddressField = Annotated[IPv4Address | IPv6Address, BeforeValidator(_text)]
AddressesField = Annotated[tuple[AddressField, ...], _FIRST, Field(max_length=MAX_ADDRESSES)]
InterfaceField = Annotated[Interface, PlainValidator(_interface), PlainSerializer(str, str)]
NetworkField = Annotated[Network, PlainValidator(_network), PlainSerializer(str, str)]
Name = Annotated[str, Field(max_length=1024)]
Names = Annotated[tuple[Name, ...], _FIRST, Field(max_length=MAX_NAMES)]
Spi = Annotated[bytes, Field(min_length=8, max_length=8)]
U16 = Annotated[int, Field(ge=0, lt=1 << 16)]
U32 = Annotated[int, Field(ge=0, lt=1 << 32)]
U64 = Annotated[int, Field(ge=0, lt=1 << 64)]
Seconds = Annotated[float, Field(ge=-1e12, le=1e12)]
Datagram = Annotated[bytes, Field(max_length=MAX_MESSAGE)]
Datagrams = Annotated[tuple[Datagram, ...], _FIRST, Field(max_length=MAX_NAMES)]
TicketId = Annotated[bytes, Field(max_length=64)]
RadiusClass = Annotated[bytes, Field(max_length=253)]  # RFC 2865 5.25
CrashToken = Annotated[bytes, Field(min_length=16, max_length=128)]  # RFC 6290 5
EspSpi = Annotated[int, Field(ge=256, lt=1 << 32)]


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedPath:
    """`ikepy.sa.api.path.Path`."""

    local: AddressField
    local_port: U16
    remote: AddressField
    remote_port: U16


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedKeys:
    """SK_d to SK_pr (RFC 7296 2.14), and where our IVs go on: None for a cipher whose IVs are random."""

    sk_d: Key
    sk_ai: Key
    sk_ar: Key
    sk_ei: Key
    sk_er: Key
    sk_pi: Key
    sk_pr: Key
    next_iv: U64 | None


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedWindow:
    """Message IDs, window sizes and the cached responses of both directions (RFC 7296 2.1 to 2.3).

    No request is outstanding in either direction.
    """

    next_request: U32
    most_ours: Annotated[int, Field(ge=1, lt=1 << 32)]
    expected: U32
    most_theirs: Annotated[int, Field(ge=1, le=MAX_REPLIES)]
    replies: Annotated[tuple[tuple[U32, Datagrams], ...], _FIRST, Field(max_length=MAX_REPLIES)]


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedLifetime:
    """When it is rekeyed and when it ends; None: never."""

    rekey_in: Seconds | None
    expires_in: Seconds | None
    failures: Annotated[int, Field(ge=0, lt=1 << 16)]


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedMobike:
    """`ikepy.sa.state.peer_addresses.Mobike`."""

    initiator: bool
    local: AddressesField
    remote: AddressesField
    worked: Annotated[tuple[ExportedPath, ...], _FIRST, Field(max_length=MAX_ADDRESSES)]
    searching: bool
    probed: U32
    seen_as: Annotated[bytes, Field(max_length=1024)]


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedNetwork:
    """`ikepy.sa.api.network_settings.NetworkSettings`."""

    addresses: Annotated[tuple[InterfaceField, ...], _FIRST, Field(max_length=MAX_ADDRESSES)]
    subnets: Annotated[tuple[NetworkField, ...], _FIRST, Field(max_length=MAX_NAMES)]
    dns_servers: AddressesField
    domains: Names
    encrypted_dns: Names
    leases: AddressesField


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedSetUp:
    """`ikepy.sa.state.set_up.SetUp`."""

    ours: bool
    began: Seconds
    ended: Seconds
    lowest_nonce: Annotated[bytes, Field(max_length=256)]
    again: bool
    bounces: U32


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedGranted:
    """`ikepy.eap.granted.Granted`."""

    user: Name
    addresses: AddressesField
    dns_servers: AddressesField
    session_timeout: Seconds | None
    classes: Annotated[tuple[RadiusClass, ...], _FIRST, Field(max_length=MAX_NAMES)]
    interim: Seconds | None


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedTerms:
    """`ikepy.sa.state.resumption.Terms`; times are Unix time in seconds."""

    local_id: IdentityField
    remote_id: IdentityField
    authenticated_at: U64
    ticket_id: TicketId
    expires: U64
    old_spi: Annotated[bytes, Field(max_length=8)]


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedTicket:
    """A gateway's ticket that is kept for the IKE_SA (`ikepy.sa.state.resumption.ClientTicket`)."""

    data: Annotated[bytes, Field(max_length=MAX_MESSAGE)]
    expires_in: Seconds
    sk_d: Key
    proposal: ProposalField
    gateway: AddressField
    tries: U16
    ppk: bool
    keeps_safe: bool
    proven_until: Seconds | None  # Unix time


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedResumption:
    """`ikepy.sa.state.resumption.Resumption`, and the ticket that we hold. `granted`: expiry in Unix time."""

    resumed: ExportedTerms | None
    granted: Annotated[tuple[tuple[TicketId, U64], ...], _FIRST, Field(max_length=MAX_TICKETS)]
    renew_in: Seconds | None
    ticket: ExportedTicket | None


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedRequest:
    """A child that is still to be requested, with its part of the configured traffic (`TsRequest`)."""

    child: Name
    due_in: Seconds
    packet: tuple[SelectorField, SelectorField] | None
    within: tuple[SelectorsField, SelectorsField] | None
    alone: bool


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedLimit:
    """What may still be carried until a rekey and until the end; 0: no limit."""

    rekey: U64
    hard: U64


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedStandby:
    """`ikepy.sa.state.child_sa.Standby`."""

    look_in: Seconds
    message_id: U32 | None
    first: bool


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedChild:
    """A CHILD_SA in use; or, if `deleted`, one whose late packets are still accepted.

    Keys: of what comes in and of what goes out, `suite.key_length` octets each. `last_sequence`,
    `replay_top`, `standby`: `EspState`.
    """

    name: Name
    proposal: ProposalField
    spi_in: EspSpi
    spi_out: EspSpi
    keys_in: Key
    keys_out: Key
    last_sequence: U64
    replay_top: U64
    standby: bool
    ts_local: SelectorsField
    ts_remote: SelectorsField
    trapped: SelectorsField
    encap: bool
    tfc_padding: Annotated[int, Field(ge=0, lt=1 << 16)] | Literal["mtu"]
    quantum_safe: bool
    installed: Seconds
    lifetime: ExportedLifetime
    bytes_left: ExportedLimit
    packets_left: ExportedLimit
    deleted: bool
    remove_in: Seconds | None
    waiting: ExportedStandby | None


@dataclass(frozen=True, slots=True, config=CONFIG)
class ExportedIkeSa:
    """An established IKE_SA with its children, oldest first."""

    connection: Name
    initiator: bool
    spi_i: Spi
    spi_r: Spi
    proposal: ProposalField
    keys: ExportedKeys
    window: ExportedWindow
    last_answered: tuple[Datagram, Datagrams] | None
    path: ExportedPath
    children_path: ExportedPath | None  # while `path` is being verified (RFC 4555 3.7)
    nat_supported: bool
    nat_local: bool
    nat_remote: bool
    fragmentation: bool
    follows_redirects: bool  # the peer said so (RFC 5685)
    ppk: bool
    quantum_safe: bool
    keeps_safe: bool
    mobike: ExportedMobike | None
    stranded: bool
    network: ExportedNetwork
    local_id: IdentityField
    remote_id: IdentityField
    eap_id: Name
    granted: ExportedGranted
    proven_until: Seconds | None  # Unix time
    established: Seconds
    heard: Seconds
    sent: Seconds
    busy: Seconds | None
    lifetime: ExportedLifetime
    reauth_in: Seconds | None
    authenticated_for: Seconds | None  # until what an AAA server has granted is over
    resumption: ExportedResumption
    crash_tokens: Annotated[tuple[CrashToken, ...], _FIRST, Field(max_length=MAX_CRASH_TOKENS)]
    set_up: ExportedSetUp
    first_after_auth: U32 | None  # message ID of the peer's first request after its IKE_AUTH
    purpose: Names
    unmet: Names
    bounced: Annotated[tuple[tuple[Name, U32], ...], _FIRST, Field(max_length=MAX_NAMES)]
    requests: Annotated[tuple[ExportedRequest, ...], _FIRST, Field(max_length=MAX_NAMES)]
    children: Annotated[tuple[ExportedChild, ...], _FIRST, Field(max_length=MAX_CHILDREN)]
