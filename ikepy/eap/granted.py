"""What an AAA server grants a user beside access (RFC 2865 5)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class Granted:
    """`user`: as the AAA server calls it; "" if it does not. `addresses`: inside the tunnel, at most one of
    an IP version. `session_timeout`: seconds after which it has to authenticate anew; None: it need not.

    `classes`, `interim`: for accounting: to be returned as they are, and seconds between two reports.
    """

    user: str = ""
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    dns_servers: tuple[IPv4Address | IPv6Address, ...] = ()
    session_timeout: float | None = None
    classes: tuple[bytes, ...] = ()
    interim: float | None = None


NOTHING = Granted()
