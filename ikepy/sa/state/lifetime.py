"""Computes when an SA is rekeyed and when it expires, with jitter against collisions (RFC 7296 2.8)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ikepy.config.model import Child, Connection

RETRY_FIRST = 10.0  # seconds until a rekey that failed is tried again; doubles up to RETRY_LONGEST
RETRY_LONGEST = 120.0
RETRY_LEAST = 1.0  # however soon the SA expires


@dataclass(slots=True)
class Lifetime:
    """Times on the machine's clock (seconds); None: never."""

    rekey_at: float | None = None
    expires_at: float | None = None
    failures: int = 0

    def adjust(self, configured: Lifetime, now: float, chance: float, *, began: float) -> None:
        """Take over the times that another configuration gives to an SA which began at `began`.

        What they say is over already happens within one more lifetime from now on, at random: thousands of
        SAs whose lifetimes are shortened are not all replaced at once. A rekey that is under way, or is
        tried again later, keeps its time.
        """
        times = [at for at in (configured.rekey_at, configured.expires_at) if at is not None]
        first = min(times, default=inf)
        delay = max(now + chance * (first - began) - first, 0.0) if first <= now else 0.0
        if configured.expires_at is not None:
            configured.expires_at += delay
        self.expires_at = configured.expires_at
        if configured.rekey_at is not None:
            configured.rekey_at += delay
            if self.failures and self.rekey_at is not None:
                configured.rekey_at = min(self.rekey_at, configured.rekey_at)
        self.rekey_at = configured.rekey_at

    def postpone(self, now: float, chance: float) -> float:
        """Schedule the next try after a failed rekey, before the SA expires; return the wait in seconds."""
        doublings = min(self.failures, 10)  # of thousands the power is no float any more
        wait = min(RETRY_FIRST * 2.0**doublings, RETRY_LONGEST) * (1 - chance / 2)
        if self.expires_at is not None:
            wait = min(wait, max((self.expires_at - now) / 2, RETRY_LEAST))
        self.failures += 1
        self.rekey_at = now + wait
        return wait


def of_child(config: Child, now: float, chance: float) -> Lifetime:
    """A child's lifetime: `rekey_time` less a random part of `rand_time`, and `life_time` (swanctl.conf)."""
    return _lifetime(now, config.rekey_time, config.hard_life_time, config.random_time, chance)


def of_ike(connection: Connection, now: float, chance: float) -> Lifetime:
    """An IKE_SA's lifetime: `rekey_time` less a random part of `rand_time`, and `over_time` beyond it."""
    over = connection.grace_time
    hard = connection.rekey_time + over if connection.rekey_time else 0.0
    return _lifetime(now, connection.rekey_time, hard, connection.random_time, chance)


def reauthentication(connection: Connection, now: float, chance: float) -> float | None:
    """When to reauthenticate: `reauth_time` less a random part of `rand_time`; None: never."""
    if not connection.reauth_time:
        return None
    return now + max(connection.reauth_time - chance * connection.random_time, 0.0)


def _lifetime(now: float, rekey: float, hard: float, random: float, chance: float) -> Lifetime:
    return Lifetime(
        rekey_at=now + max(rekey - chance * random, 0.0) if rekey else None,
        expires_at=now + hard if hard else None,
    )


@dataclass(slots=True)
class TrafficLimit:
    """How much an SA may carry until it is rekeyed and until it is deleted; 0: no limit."""

    rekey: int = 0
    hard: int = 0

    def used_up(self, amount: int) -> bool:
        return bool(self.hard) and amount >= self.hard

    def low(self, amount: int) -> bool:
        return bool(self.rekey) and amount >= self.rekey


def bytes_of(config: Child, chance: float) -> TrafficLimit:
    """A child's limits in bytes: `rekey_bytes` less a random part of `rand_bytes`, and `life_bytes`."""
    return _volume(config.rekey_bytes, config.life_bytes, config.rand_bytes, chance)


def packets_of(config: Child, chance: float) -> TrafficLimit:
    """In packets: `rekey_packets` less a random part of `rand_packets`, and `life_packets`."""
    return _volume(config.rekey_packets, config.life_packets, config.rand_packets, chance)


def _volume(rekey: int, hard: int | None, random: int | None, chance: float) -> TrafficLimit:
    limit = rekey + rekey // 10 if hard is None else hard
    spread = max(limit - rekey, 0) if random is None else random
    return TrafficLimit(max(rekey - int(chance * spread), 1) if rekey else 0, limit)
