"""Parses the configuration's scalar values; a ValueError says what is allowed."""

from __future__ import annotations

import re
import socket
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Literal

from esp.packet.selectors import Selector
from ikepy.config.dns_name import DnsName

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface
Dynamic = Literal["dynamic"]
AnyAddress = Literal["%any"]

ANY_OF_VERSION: dict[str, Network] = {"%any4": IPv4Network("0.0.0.0/0"), "%any6": IPv6Network("::/0")}
UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}  # swanctl's time formats
PROTOCOLS = {
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "ospf": 89,
    "sctp": 132,
}
WITH_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP, UDP, DCCP, SCTP, UDP-Lite
OPAQUE = (65535, 0)  # RFC 4301 4.4.1.1
ANY_PORT = (0, 65535)
MAX_PACKET = 65535  # octets
MAX_TIME = 10 * 365 * 86400  # seconds
MAX_SOCKET_PATH = 107  # bytes: sockaddr_un less the zero byte
MAX_SENT_NAME = 253  # octets
MAX_DEVICE_NAME = 15  # characters: IFNAMSIZ less the zero byte
RESERVED_DEVICES = frozenset({"all", "default"})  # net.ipv4.conf.all, net.ipv4.conf.default

TS_ALLOWED = (
    'allowed: "dynamic", a network ("10.1.0.0/16", "::/0") or a range ("10.1.0.5-10.1.0.9"), with an '
    'optional "[protocol]" or "[protocol/port]" behind it ("10.1.0.0/16[tcp/443]", "[udp/1024-2048]")'
)
TIME_ALLOWED = 'allowed: seconds as a number, or a text like "30s", "5m", "1h", "1d"'


def seconds(value: object) -> float:
    """A time: a number, or text with one of swanctl's units."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"not a time; {TIME_ALLOWED}")
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([smhd]?)", value.strip().lower(), re.ASCII)
        if match is None:
            raise ValueError(f"not a time; {TIME_ALLOWED}")
        value = float(match[1]) * UNIT_SECONDS[match[2]]
    if not 0 <= value <= MAX_TIME:  # NaN too
        raise ValueError(f"not between 0 and {MAX_TIME} seconds; {TIME_ALLOWED}")
    return float(value)


def boolean(value: object) -> bool:
    """TOML's true and false, or one of swanctl's words."""
    if isinstance(value, bool):
        return value
    words = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word not in words:
        raise ValueError("allowed: true, false")
    return words[word]


def tfc_padding(value: object) -> int | Literal["mtu"]:
    """A length in octets, or swanctl's "mtu" for as many as the device's MTU."""
    if value == "mtu":
        return "mtu"
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_PACKET:
        raise ValueError(f'allowed: "mtu", or octets of an inner packet, 0 (no padding) to {MAX_PACKET}')
    return value


def word(value: object) -> object:
    """TOML's true and false as words, for a key that takes them beside others."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")
    return value


def address_pattern(value: object) -> Address | Network | AnyAddress | DnsName:
    """What may stand in `local_addrs` and `remote_addrs`."""
    allowed = 'allowed: an IP address, a DNS name, a network ("192.0.2.0/24"), "%any", "%any4", "%any6"'
    word = text(value).strip()
    if word == "%any":
        return "%any"
    if word in ANY_OF_VERSION:
        return ANY_OF_VERSION[word]
    try:
        return ip_network(word) if "/" in word else ip_address(word)
    except ValueError:
        pass
    if "/" in word:
        raise ValueError(f"no network, or bits are set behind its prefix; {allowed}")
    name = DnsName.of(word)
    if name is None:
        raise ValueError(f"not an address; {allowed}")
    return name


def address(value: object) -> Address:
    """One address."""
    try:
        return ip_address(text(value).strip())
    except ValueError:
        raise ValueError('not an address; allowed: an IP address like "169.254.10.2" or "fd00::2"') from None


def host(value: object) -> Address | str:
    """An address, or a name that DNS (or /etc/hosts) knows."""
    word = text(value).strip()
    try:
        return ip_address(word)
    except ValueError:
        pass
    labels = word.removesuffix(".").split(".")
    if len(word) > 253 or not all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", one) for one in labels):
        raise ValueError('allowed: an IP address, or a DNS name like "pods.example.svc"')
    if labels[-1].isdigit():
        raise ValueError("not an address, nor a DNS name, whose last part is no number")
    return word


def sent_name(value: object) -> str:
    """An EAP identity (RFC 3748 5.1, RFC 7542), or another name that is sent as it stands."""
    given = text(value)
    if not given or len(given.encode()) > MAX_SENT_NAME or not given.isprintable():
        raise ValueError(f"allowed: a name of 1 to {MAX_SENT_NAME} octets, without control characters")
    return given


def interface(value: object) -> Interface:
    """An address with its prefix length."""
    word = text(value).strip()
    try:
        if "/" in word:
            return ip_interface(word)
    except ValueError:
        pass
    raise ValueError('allowed: an address with its prefix length, like "169.254.10.1/30" or "fd00::1/126"')


def network(value: object) -> Network:
    """A network, for a route."""
    word = text(value).strip()
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        raise ValueError('allowed: a network like "10.2.0.0/24" or "fd00:2::/64"') from None
    raise ValueError(f'bits are set behind the prefix; did you mean "{meant}"?')


def selector(value: object) -> Selector | Dynamic:
    """A traffic selector as swanctl has it: network or range, then perhaps [protocol/port]."""
    word = text(value).strip()
    if word.lower() == "dynamic":
        return "dynamic"
    match = re.fullmatch(r"([^\[\]]*?)(?:\[([^\[\]]*)\])?", word)
    if match is None:
        raise ValueError(f"not a selector; {TS_ALLOWED}")
    if match[1].lower() == "dynamic":
        raise ValueError(f'"dynamic" with a protocol is not supported by ikepy yet; {TS_ALLOWED}')
    protocol, ports = _protocol_and_ports(match[2]) if match[2] is not None else (0, ANY_PORT)
    return _addresses(match[1], protocol, ports)


def _addresses(word: str, protocol: int, ports: tuple[int, int]) -> Selector:
    first, dash, last = (part.strip() for part in word.partition("-"))
    if not dash:
        try:
            return Selector.of(ip_network(first), protocol, *ports)
        except ValueError:
            pass
        try:
            meant = ip_network(first, strict=False)
        except ValueError:
            raise ValueError(f"not a selector; {TS_ALLOWED}") from None
        raise ValueError(f'bits are set behind the prefix; did you mean "{meant}"? {TS_ALLOWED}')
    try:
        begin, end = ip_address(first), ip_address(last)
    except ValueError:
        raise ValueError(f"not a range of addresses; {TS_ALLOWED}") from None
    if begin.version != end.version or int(begin) > int(end):
        raise ValueError(f"the range ends before it begins; {TS_ALLOWED}")
    return Selector(begin.version, int(begin), int(end), protocol, *ports)


def _protocol_and_ports(word: str) -> tuple[int, tuple[int, int]]:
    name, slash, port = (part.strip().lower() for part in word.partition("/"))
    protocol = 0 if name in ("", "any") else PROTOCOLS.get(name, -1)
    if protocol < 0 and name.isascii() and name.isdigit() and len(name) <= 3:
        protocol = int(name)
    if protocol < 0:
        try:
            protocol = socket.getprotobyname(name)
        except OSError:
            raise ValueError(f'unknown protocol "{name}"; allowed: 0..255 or a name like "tcp"') from None
    if protocol > 255:
        raise ValueError("not a protocol; allowed: 0..255 or a name like tcp")
    ports = _ports(port) if slash else ANY_PORT
    if ports != ANY_PORT and protocol not in WITH_PORTS:
        raise ValueError("a port needs a protocol that has ports; allowed: tcp, udp, sctp, dccp, udplite")
    return protocol, ports


def _ports(word: str) -> tuple[int, int]:
    if word in ("", "any"):
        return ANY_PORT
    if word == "opaque":
        return OPAQUE
    if not re.fullmatch(r"[\d-]+", word, re.ASCII):
        return _port(word), _port(word)  # a service's name may hold a dash
    first, dash, last = word.partition("-")
    ports = _port(first), _port(last if dash else first)
    if ports[0] > ports[1]:
        raise ValueError("the range of ports ends before it begins")
    return ports


def _port(word: str) -> int:
    if word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65535:
        return int(word)
    try:
        return socket.getservbyname(word)
    except OSError:
        raise ValueError(
            f'"{word}" is no port; allowed: 0..65535, a range "1024-2048", a service\'s name, "opaque"'
        ) from None


def device_name(value: object) -> str:
    """A network device's name: what the kernel accepts, without characters that need quoting."""
    word = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", word) or word in (".", "..") or word.startswith("-"):
        raise ValueError(
            f"no device name; allowed: 1 to {MAX_DEVICE_NAME} letters, digits, '_', '.', '-', not '-' first"
        )
    if word in RESERVED_DEVICES:
        raise ValueError(f'"{word}" has a meaning in /proc/sys/net; allowed: another name, like "vti0"')
    return word


def absolute_path(value: object) -> Path:
    """A path that does not depend on where the daemon was started."""
    word = text(value)
    if not word.startswith("/") or "\0" in word or len(word.encode()) > MAX_SOCKET_PATH:
        raise ValueError(f"allowed: an absolute path of at most {MAX_SOCKET_PATH} bytes")
    return Path(word)


def listen(value: object) -> tuple[Address, int]:
    """Where a server listens: an address and a TCP port."""
    host, _, port = text(value).strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        where = ip_address(bare)
        if (where.version == 6) is (bare != host) and port.isascii() and port.isdigit() and len(port) <= 5:
            number = int(port)
            if 1 <= number <= 65535:
                return where, number
    except ValueError:
        pass
    raise ValueError('allowed: an address and a TCP port, like "127.0.0.1:9427" or "[::1]:9427"')


def gateway(value: object) -> Address | DnsName:
    """Where clients are sent (RFC 5685): an address or a DNS name."""
    word = text(value).strip()
    try:
        return ip_address(word)
    except ValueError:
        name = DnsName.of(word)
    if name is None:
        raise ValueError('allowed: an IP address, or a DNS name like "gw2.example.org"')
    return name


def item_name(value: str) -> str:
    """The name of a connection, child or secret: it stands in logs and on command lines."""
    if not re.fullmatch(r"[A-Za-z0-9_.:@+][A-Za-z0-9_.:@+-]{0,63}", value):
        raise ValueError(
            "no name; allowed: 1 to 64 letters, digits, '_', '.', ':', '@', '+', '-', not '-' first"
        )
    return value


def listed(value: object) -> list[object]:
    """A list; swanctl's comma-separated text will do as well."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    if isinstance(value, list | tuple):
        return list(value)
    raise ValueError("must be a list of texts")
