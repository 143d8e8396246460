"""Whom a run tests, and as whom: addresses, identities, the secret, suites, selectors and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Literal, Self

from ikepy.config.identity import Identity
from ikepy.config.proposals import parse
from ikepy.crypto.secret import Secret
from ikepy.probe.credentials import Credentials
from ikepy.wire.constants import ProtocolId
from ikepy.wire.payloads import TrafficSelector
from ikepy.wire.proposal import Proposal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Encapsulation = Literal["udp", "native"]

# What takes the place of ENCR_3DES, PRF_HMAC_SHA1, AUTH_HMAC_SHA1_96 and group 2 (RFC 8247 2.1 to 2.4).
IKE_SUITE = "aes128-sha256-modp2048"
ESP_SUITE = "aes128-sha256-noesn"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run. Seconds, and datagrams."""

    response_s: float = 5.0  # until a response that does not come is missed
    retransmit_s: float = 1.5  # until a request is sent again; twice as long each time
    repeat_s: float = 15.0  # until the peer sends a request again that was not answered
    quiet_s: float = 1.0  # how long nothing must come where nothing is to come
    interval_s: float = 1.0  # between the beginnings of two cases
    case_s: float = 120.0  # of one case
    lifetime_s: float = 0.0  # until the peer rekeys by itself; 0: nobody waits for that
    datagrams: int = 500  # sent by one case


@dataclass(frozen=True, slots=True)
class Target:
    """The peer under test, and what it is configured for.

    `local_net`, `remote_net`: the selectors of a child (Link Y, Link B in the IPv6 Ready specification);
    `local_host`, `remote_host`: source and destination of echo requests through the tunnel (TH2, TH1): the
    second one answers them. `remote_host` None: there is nobody, and cases that need it don't apply.
    """

    host: Address
    local: Address
    psk: Secret = field(repr=False)
    local_id: Identity
    remote_id: Identity
    local_net: Network
    remote_net: Network
    local_host: Address
    remote_host: Address | None = None
    ike: str = IKE_SUITE
    esp: str = ESP_SUITE
    encapsulation: Encapsulation = "udp"
    childless: bool = False  # the peer installs no CHILD_SA here: IKE_SAs alone are tested (RFC 6023)
    port: int = 500  # the peer's
    nat_port: int = 4500
    local_port: int = 500
    local_nat_port: int = 4500
    limits: Limits = Limits()
    identities: Mapping[str, Identity] = field(default_factory=dict)  # ours for other set-ups of the peer
    credentials: Credentials | None = None  # ours, for authentication by certificates
    triggers: Mapping[str, Sequence[str]] = field(default_factory=dict)  # commands that make the peer act

    def but(self, **changes: Any) -> Self:
        """The same with other fields."""
        return replace(self, **changes)


def ike_proposal(text: str, number: int = 1, spi: bytes = b"") -> Proposal:
    """A proposal of IKE in swanctl's words. ValueError says what is wrong."""
    return replace(parse(text, ProtocolId.IKE)[0], number=number, spi=spi)


def esp_proposal(text: str, spi: bytes, number: int = 1) -> Proposal:
    """A proposal of ESP in swanctl's words. ValueError says what is wrong."""
    return replace(parse(text, ProtocolId.ESP)[0], number=number, spi=spi)


def selector(
    network: Network | Address, protocol: int = 0, ports: tuple[int, int] = (0, 65535)
) -> TrafficSelector:
    """A network, or one address, as a traffic selector (RFC 7296 3.13.1)."""
    if isinstance(network, IPv4Address | IPv6Address):
        first = last = network.packed
    else:
        first, last = network.network_address.packed, network.broadcast_address.packed
    return TrafficSelector(7 if network.version == 4 else 8, protocol, *ports, first, last)
