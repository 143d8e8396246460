"""Answers requests under SPIs that no IKE_SA of ours has, without state (RFC 7296 2.21.4, RFC 6290 4.5).

An unprotected message that is no answer is a hint. It gets no answer: that could make a loop (RFC 7296 1.5).
"""

from __future__ import annotations

from ikepy.sa.admission import stateless
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.effects import Effect, Level, Log
from ikepy.sa.api.path import Path
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.driver.forged_messages import begins_protected
from ikepy.sa.exchange import crash_detection
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.message import IkeHeader, Message

SPI = 4  # octets, of ESP
UNKNOWN_PER_SECOND = 10.0  # INVALID_IKE_SPI answers
# Answers with tokens (RFC 6290 8.1, 9.3): many peers ask soon after a restart, later hardly any.
TOKENS_PER_SECOND, TOKENS_LATER = 100.0, 5.0
HINTS_PER_SECOND = 2.0  # of unknown ESP that are looked at: each costs a walk through all IKE_SAs
RESTARTING = 900.0  # seconds that count as soon


class UnknownSpis:
    """Limits the answers. They change nothing at our end, as whoever asks is not authenticated."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._unknown = Rate(UNKNOWN_PER_SECOND)
        self._tokens, self._tokens_later = Rate(TOKENS_PER_SECOND), Rate(TOKENS_LATER)
        self._hints = Rate(HINTS_PER_SECOND)
        self._asked_at: float | None = None  # when a token was asked for first

    def answer(self, header: IkeHeader, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """INVALID_IKE_SPI, with our tokens of a crash if we can; nothing to a response, or too often."""
        self._registry.tally[Unserved.UNKNOWN_SPI] += 1
        log = Log(Level.DEBUG, str(path.remote), "dropped: no such IKE_SA")
        if header.is_response:
            return [log]
        if not begins_protected(datagram):
            return [log]
        if self._tells_tokens(now):
            token = crash_detection.answer(self._registry, header, datagram, path)
            if token is not None:
                return [log, token]
        if not self._unknown.allow(now):
            return [log]
        return [log, *stateless.no_larger([stateless.invalid_ike_spi(header, path)], datagram)]

    def meant_by(self, message: Message, path: Path, now: float) -> IkeSa | None:
        """The IKE_SA of the ESP that a hint is about: INVALID_SPI under no IKE SPIs (RFC 6290 8.2).

        It comes from the peer's address, and names a child's SPI. None also if there are too many hints.
        """
        if message.header.exchange != ExchangeType.INFORMATIONAL or message.header.is_response:
            return None
        told = query.notify(message.payloads, NotifyType.INVALID_SPI)
        if told is None or len(told.data) != SPI or not self._hints.allow(now):
            return None
        spi = int.from_bytes(told.data, "big")
        for sa in self._registry.sas.values():
            known = sa.path.remote.address, sa.children_path.remote.address
            if sa.established and path.remote.address in known and sa.children.by_outbound_spi(spi):
                return sa
        return None

    def _tells_tokens(self, now: float) -> bool:
        """Whether one more token may leave in the clear now."""
        if not self._registry.restart_keys.crash:
            return False
        if self._asked_at is None:
            self._asked_at = now
        rate = self._tokens if now - self._asked_at < RESTARTING else self._tokens_later
        return rate.allow(now)
