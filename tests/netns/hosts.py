"""A host on a link of a gateway, whose kernel takes router advertisements; and what is heard on that link."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from tests.netns.namespaces import Namespace, connect

ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION = 134, 133
ICMP6_FILTER = 1
HOP_LIMIT = 255


def prepare(router: Namespace, host: Namespace) -> None:
    """Let one forward and the other take routes of advertisements; addresses are usable at once."""
    for namespace in (router, host):
        namespace.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0")
    router.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.forwarding=1")
    host.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra_rt_info_max_plen=128")


def attach(router: Namespace, host: Namespace, address: str = "") -> None:
    """Join them by the router's vxeth0 and the host's eth0."""
    connect(router, host, "vxeth0", "eth0", [address] if address else [], [])


def learned(host: Namespace) -> dict[str, dict[str, Any]]:
    """The routes that the host's kernel has of advertisements, by destination ("default")."""
    routes = json.loads(host.ip("-j", "-6", "route", "show", "proto", "ra"))
    return {route["dst"]: route for route in routes}


def addresses(host: Namespace) -> list[str]:
    """The host's global addresses that can be used."""
    links = json.loads(host.ip("-j", "-6", "addr", "show", "dev", "eth0", "scope", "global"))
    found = [one for link in links for one in link.get("addr_info", []) if "local" in one]
    return [one["local"] for one in found if not one.get("tentative")]


@dataclass(slots=True)
class Heard:
    """One router advertisement: when, of whom, and its octets."""

    at: float
    source: IPv6Address
    octets: bytes

    @property
    def lifetime(self) -> int:
        return int.from_bytes(self.octets[6:8])

    @property
    def options(self) -> list[bytes]:
        found, place = [], 16
        while place < len(self.octets):
            end = place + 8 * self.octets[place + 1]
            found.append(self.octets[place:end])
            place = end
        return found


@dataclass(slots=True)
class Ear:
    """Hears the advertisements on the host's link from its making on until `close`, and can ask for one."""

    host: Namespace
    heard: list[Heard] = field(default_factory=list)
    _sock: socket.socket = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._sock = self.host.call(_open)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        while True:
            try:
                octets, address = self._sock.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            self.heard.append(Heard(time.monotonic(), IPv6Address(address[0].partition("%")[0]), octets))

    def ask(self) -> float:
        """Send a router solicitation; when that was."""
        self.send(struct.pack("!BBHI", ROUTER_SOLICITATION, 0, 0, 0))
        return time.monotonic()

    def send(self, octets: bytes, hop_limit: int = HOP_LIMIT) -> None:
        """Send an ICMPv6 message to all routers of the link."""
        index = self.host.call(socket.if_nametoindex, "eth0")
        self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hop_limit)
        self._sock.sendto(octets, ("ff02::2", 0, 0, index))

    def since(self, at: float) -> list[Heard]:
        return [one for one in list(self.heard) if one.at >= at]

    def close(self) -> None:
        self._sock.close()
        self._thread.join(2)


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    blocked = (1 << 256) - 1 ^ 1 << ROUTER_ADVERTISEMENT
    words = (blocked >> 32 * word & 0xFFFFFFFF for word in range(8))
    sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *words))
    sock.settimeout(0.2)
    return sock
