"""Counts half-open IKE_SAs, and decides when peers need a COOKIE or must make room (RFC 7296 2.1, 2.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain

from ikepy.config.model import Daemon
from ikepy.sa.admission.cpu_budget import Charge
from ikepy.sa.admission.decay import Fading
from ikepy.sa.api.path import Address, Endpoint
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase

AGED = 12.0  # seconds in which a genuine peer goes on to IKE_AUTH, two retransmissions included
MEMORY = 30.0  # seconds over which the count of failed requests decays
_ALL = "all"


class Verdict(Enum):
    """What to do with a new IKE_SA_INIT."""

    SERVE = auto()
    COOKIE = auto()  # only if it shows that it can receive at its address


@dataclass(frozen=True, slots=True)
class _Open:
    sa: IkeSa
    charge: Charge

    @property
    def address(self) -> Address:
        return self.charge.remote.address


class HalfOpen:
    """The half-open IKE_SAs that peers initiated, and a decaying count of those that failed."""

    def __init__(self, limits: Daemon) -> None:
        self.limits = limits
        # By what its peer repeats until it has our response: IKE_SA_INIT, and where that came from.
        self._by_request: dict[tuple[bytes, Endpoint], IkeSa] = {}
        self._requests: dict[int, tuple[bytes, Endpoint]] = {}  # by ike_id
        self._open: dict[int, _Open] = {}  # by ike_id, oldest first
        self._per_address: dict[Address, dict[int, _Open]] = {}  # the same, oldest first
        self._between_rounds: set[int] = set()  # of these, those that IKE_AUTH takes several rounds for
        self._failed = Fading(MEMORY)  # by address, and in all

    def made_by(self, request: bytes, remote: Endpoint) -> IkeSa | None:
        """The IKE_SA that this very IKE_SA_INIT from this address and port has made, while it lives."""
        return self._by_request.get((request, remote))

    def verdict(self, address: Address, now: float, waiting: float = 0, from_there: float = 0) -> Verdict:
        """Whether a new request from this address needs a COOKIE.

        The IKE_SAs that are half-open, that failed lately, and that wait to be processed count: all of them
        (`waiting`), and those of this address (`from_there`). A threshold of 0 switches its check off.
        """
        in_all = len(self._open) + self._failed.at(_ALL, now) + waiting
        if self.limits.cookie_threshold and in_all >= self.limits.cookie_threshold:
            return Verdict.COOKIE
        from_there += len(self._per_address.get(address, ())) + self._failed.at(address, now)
        if self.limits.cookie_threshold_ip and from_there >= self.limits.cookie_threshold_ip:
            return Verdict.COOKIE
        return Verdict.SERVE

    def crowded_out(self, address: Address, now: float) -> list[IkeSa]:
        """The half-open IKE_SAs to end before one more from this address is accepted.

        Beyond `block_threshold` of this address: its oldest ones that are AGED. Beyond
        `init_limit_half_open`: the oldest of all. Those between two rounds of IKE_AUTH go after the others,
        as a user may take a minute to confirm; in all no more than half of the places are kept so, for
        strangers get as far.
        """
        gone: list[IkeSa] = []
        own = self._per_address.get(address, {})
        if self.limits.block_threshold and len(own) >= self.limits.block_threshold:
            aged = [one.sa for one in own.values() if now - one.charge.at >= AGED]
            aged.sort(key=lambda sa: sa.ike_id in self._between_rounds)
            gone += aged[: max(0, len(aged) - self.limits.block_threshold + 1)]
        limit = self.limits.init_limit_half_open
        if limit and len(self._open) - len(gone) >= limit:
            kept = self._between_rounds if len(self._between_rounds) <= limit / 2 else frozenset[int]()
            first = (one for ike_id, one in self._open.items() if ike_id not in kept)
            gone.append(next(one.sa for one in chain(first, self._open.values()) if one.sa not in gone))
        return gone

    def add(self, sa: IkeSa, charge: Charge, request: bytes) -> None:
        """Count an IKE_SA that this IKE_SA_INIT has made."""
        remote = sa.path.remote
        key = self._requests[sa.ike_id] = request, remote
        self._by_request[key] = sa
        one = _Open(sa, charge)
        self._open[sa.ike_id] = one
        self._per_address.setdefault(remote.address, {})[sa.ike_id] = one

    def failed(self, address: Address, now: float) -> None:
        """Count a request that failed."""
        self._failed.add(address, 1.0, now)
        self._failed.add(_ALL, 1.0, now)

    def update(self, sa: IkeSa, now: float) -> Charge | None:
        """Stop counting an IKE_SA that is not half-open any more; one that died counts as failed.

        Returns its charge, for a refund, if it has just been authenticated.
        """
        charge = None
        one = self._open.get(sa.ike_id)
        if one is not None and sa.auth_round is not None:
            self._between_rounds.add(sa.ike_id)
        if one is not None and sa.phase is not Phase.CONNECTING:
            self._close(one)
            if sa.established_at is None:
                self.failed(one.address, now)
            else:
                charge = one.charge
        if sa.phase is Phase.DEAD and (key := self._requests.pop(sa.ike_id, None)) is not None:
            self._by_request.pop(key, None)
        return charge

    def _close(self, one: _Open) -> None:
        del self._open[one.sa.ike_id]
        self._between_rounds.discard(one.sa.ike_id)
        own = self._per_address[one.address]
        del own[one.sa.ike_id]
        if not own:
            del self._per_address[one.address]
