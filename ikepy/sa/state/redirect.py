"""Where a gateway sends us, and how often we let ourselves be sent (RFC 5685 3, 7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from ikepy.config.model import DnsName
from ikepy.sa.api.path import Address
from ikepy.sa.negotiation.ts_request import Pair

MAX_REDIRECTS = 5  # of one connection in LOOP_DETECT_PERIOD; both are the RFC's defaults (7)
LOOP_DETECT_PERIOD = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Redirect:
    """`gateway`: where to go, said by the gateway `by`. What was to be set up there: `children` by name, the
    commands that wait for them, the packet that needs them. `reauthenticates`: a reauthentication was due."""

    gateway: Address | DnsName
    by: Address
    children: tuple[str, ...] = ()
    tickets: tuple[int, ...] = ()
    packet: Pair | None = None
    reauthenticates: bool = False


@dataclass(slots=True)
class Redirection:
    """What an IKE_SA knows of redirects: whether its peer follows them, who sent us here, where we go.
    `reauthenticates`: as in the redirect that led here."""

    followed_by_peer: bool = False
    came_from: Address | None = None
    reauthenticates: bool = False
    to: Redirect | None = None


class RedirectLimit:
    """Counts the redirects that each connection has followed."""

    def __init__(self) -> None:
        self._followed: dict[str, deque[float]] = {}

    def follow(self, connection: str, now: float) -> bool:
        """Whether one more may be followed; counts it then."""
        times = self._followed.setdefault(connection, deque())
        while times and now - times[0] >= LOOP_DETECT_PERIOD:
            times.popleft()
        if len(times) >= MAX_REDIRECTS:
            return False
        times.append(now)
        return True

    def keep(self, connections: Collection[str]) -> None:
        """Forget other connections: they are not configured any more."""
        for name in [name for name in self._followed if name not in connections]:
            del self._followed[name]
