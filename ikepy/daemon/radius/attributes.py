"""RADIUS attributes: what requests say of the IKE_SA, and what answers grant (RFC 2865 5, 2548, 6911)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.radius import Radius
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import Granted
from ikepy.sa.api.path import Endpoint, Path

USER_NAME, NAS_IP_ADDRESS, NAS_PORT, SERVICE_TYPE, FRAMED_IP_ADDRESS = 1, 4, 5, 6, 8
REPLY_MESSAGE, STATE, CLASS, SESSION_TIMEOUT = 18, 24, 25, 27
CALLED_STATION, CALLING_STATION, NAS_IDENTIFIER, NAS_PORT_TYPE = 30, 31, 32, 61
EAP_MESSAGE, ACCT_INTERIM_INTERVAL, NAS_PORT_ID, NAS_IPV6_ADDRESS = 79, 85, 87, 95
FRAMED_IPV6_PREFIX, FRAMED_IPV6_ADDRESS, DNS_IPV6_ADDRESS = 97, 168, 169
MICROSOFT = 311
MPPE_SEND_KEY, MPPE_RECV_KEY = (MICROSOFT, 16), (MICROSOFT, 17)
PRIMARY_DNS, SECONDARY_DNS = (MICROSOFT, 28), (MICROSOFT, 29)
FRAMED, VIRTUAL = 2, 5  # service type, NAS port type
MAX_VALUE = 253  # octets
MOST_CLASSES = 16
MAX_CLASSES = 2048  # octets of all: accounting sends them back, in packets of at most 4,096
MAX_SHOWN = 200  # characters of a server's message
MIN_INTERIM = 60.0  # seconds; RFC 2869 5.16 has it so
MSK = 64
CHOSEN_BY_NAS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")  # no address of the server's (RFC 2865 5.8)

Key = int | tuple[int, int]  # an attribute, or a vendor and its attribute
Attributes = list[tuple[Key, bytes]]
Values = Mapping[Key, list[bytes]]


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def text(value: str) -> bytes:
    """As many octets as an attribute takes."""
    return value.encode()[:MAX_VALUE]


def of_nas(settings: Radius, ike_id: int, connection: str, path: Path) -> Attributes:
    """Who asks, and for which IKE_SA (RFC 2865 5.4, 5.5; RFC 3580 for stations)."""
    local = path.local.address
    address = NAS_IP_ADDRESS if local.version == 4 else NAS_IPV6_ADDRESS
    return [
        (NAS_IDENTIFIER, text(settings.nas_identifier)),
        (NAS_PORT_TYPE, number(VIRTUAL)),
        (SERVICE_TYPE, number(FRAMED)),
        (NAS_PORT, number(ike_id & 0xFFFFFFFF)),
        (NAS_PORT_ID, text(connection)),
        (address, local.packed),
        (CALLED_STATION, _station(path.local, settings)),
        (CALLING_STATION, _station(path.remote, settings)),
    ]


def _station(end: Endpoint, settings: Radius) -> bytes:
    return text(str(end) if settings.station_id_with_port else str(end.address))


def framed(address: IPv4Address | IPv6Address) -> int:
    """The attribute that has an address inside the tunnel."""
    return FRAMED_IP_ADDRESS if address.version == 4 else FRAMED_IPV6_ADDRESS


def eap_messages(packet: bytes) -> Attributes:
    """An EAP packet in as many attributes as it takes (RFC 3579 3.1)."""
    return [(EAP_MESSAGE, packet[at : at + MAX_VALUE]) for at in range(0, len(packet), MAX_VALUE)]


def granted(values: Values) -> Granted:
    """What an Access-Accept grants; attributes that make no sense are left out."""
    timeout = _number(values, SESSION_TIMEOUT)
    interim = _number(values, ACCT_INTERIM_INTERVAL)
    addresses = [*_addresses(values, FRAMED_IP_ADDRESS, 4), *_addresses(values, FRAMED_IPV6_ADDRESS, 16)]
    dns = [
        *(one for key in (PRIMARY_DNS, SECONDARY_DNS) for one in _addresses(values, key, 4)),
        *_addresses(values, DNS_IPV6_ADDRESS, 16),
    ]
    return Granted(
        user=_user(values),
        addresses=tuple(addresses),
        dns_servers=tuple(dns),
        session_timeout=float(timeout) if timeout else None,
        classes=tuple(_classes(values)),
        interim=max(float(interim), MIN_INTERIM) if interim else None,
    )


def _classes(values: Values) -> Iterable[bytes]:
    """As they are (RFC 2865 5.25), as many as there is room for."""
    room = MAX_CLASSES
    for one in values.get(CLASS, [])[:MOST_CLASSES]:
        room -= len(one)
        if room < 0:
            return
        yield one


def _user(values: Values) -> str:
    try:
        name = next(iter(values.get(USER_NAME, [])), b"").decode()
    except UnicodeDecodeError:
        return ""
    return name if name.isprintable() else ""


def _number(values: Values, key: Key) -> int:
    value = next(iter(values.get(key, [])), b"")
    return int.from_bytes(value, "big") if len(value) == 4 else 0


def _addresses(values: Values, key: Key, size: int) -> Iterable[IPv4Address | IPv6Address]:
    """At most one, and only of a host."""
    value = next(iter(values.get(key, [])), b"")
    if len(value) != size or value in CHOSEN_BY_NAS:
        return []
    address = IPv4Address(value) if size == 4 else IPv6Address(value)
    usable = not (address.is_multicast or address.is_unspecified or address.is_loopback)
    return [address] if usable else []


def msk(receive: bytes, send: bytes) -> Secret | None:
    """MSK of the two MPPE keys (RFC 2548 2.4): what the server receives with comes first. None without."""
    if not receive or not send:
        return None
    return Secret((receive + send).ljust(MSK, b"\0"))


def message(values: Values) -> str:
    """What the server tells the user, in quotes and printable; "" if nothing."""
    told = b" ".join(values.get(REPLY_MESSAGE, []))[: 4 * MAX_SHOWN].decode("utf-8", "replace")
    return ascii(told[:MAX_SHOWN]) if told else ""
