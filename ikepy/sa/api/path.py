"""The path of a message: our address and UDP port, and the peer's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a UDP port."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}[{self.port}]"


@dataclass(frozen=True, slots=True)
class Path:
    """Our endpoint and the peer's."""

    local: Endpoint
    remote: Endpoint

    def with_ports(self, local_port: int, remote_port: int) -> Path:
        return Path(replace(self.local, port=local_port), replace(self.remote, port=remote_port))

    def __str__(self) -> str:
        return f"{self.local} to {self.remote}"
