"""The data of REDIRECT and REDIRECTED_FROM notifies: a gateway, and the initiator's nonce (RFC 5685 9)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8

Gateway = IPv4Address | IPv6Address | str  # a str is an FQDN in ASCII

IPV4, IPV6, FQDN = 1, 2, 3  # the registry "IKEv2 Gateway Identity Types"
MAX_FQDN = 253  # octets (RFC 1035 2.3.4)
NONCE_SIZES = range(16, 257)  # octets (RFC 7296 3.9)


def encode_gateway(gateway: Gateway, nonce: bytes = b"") -> bytes:
    """The data of a notify. `nonce`: the initiator's, in an answer to IKE_SA_INIT alone.

    LocalMisuse for a name that is no ASCII text of 1 to 253 octets.
    """
    if isinstance(gateway, str):
        if not gateway.isascii() or not 1 <= len(gateway) <= MAX_FQDN:
            raise LocalMisuse(f"no name of a gateway: {gateway!r}")
        kind, identity = FQDN, gateway.encode()
    else:
        kind, identity = (IPV4 if gateway.version == 4 else IPV6), gateway.packed
    return u8(kind) + u8(len(identity)) + identity + nonce


def decode_gateway(data: bytes) -> tuple[Gateway, bytes]:
    """The gateway, and the nonce, b"" if there is none. WireError for anything that is neither."""
    reader = Reader(data)
    kind, identity = reader.u8(), reader.take(reader.u8())
    nonce = reader.rest()
    if nonce and len(nonce) not in NONCE_SIZES:
        raise WireError(f"a nonce of {len(nonce)} octets in a redirect")
    if kind == IPV4 and len(identity) == 4:
        return IPv4Address(identity), nonce
    if kind == IPV6 and len(identity) == 16:
        return IPv6Address(identity), nonce
    if kind == FQDN and 1 <= len(identity) <= MAX_FQDN and identity.isascii():
        return identity.decode("ascii"), nonce
    raise WireError(f"no gateway: type {kind}, {len(identity)} octets")
