"""Asks one question at a time, politely: with the COOKIE that is wanted, within the limits, and leaving
almost nothing behind.

Requests that only ask whether an offer is acceptable carry a KE payload of a group that is not in the offer,
so that the answer is INVALID_KE_PAYLOAD or NO_PROPOSAL_CHOSEN, and no half-open IKE_SA stays (RFC 7296 1.2).
Where a responder does not take that, they carry one of the offer, and wait while some of ours are half-open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Random
from ikepy.probe.discovery import replies
from ikepy.probe.discovery.algorithms import ADDKE
from ikepy.probe.discovery.line import ClosedPortError, LimitReachedError, Line, Pace
from ikepy.probe.discovery.offers import SPI_BEGINS, SPI_SIZE, Offer, Request, everything, request
from ikepy.probe.discovery.replies import CLOSED, SILENCE, Outcome, Reply
from ikepy.probe.discovery.report import Report
from ikepy.wire.constants import HeaderFlag, KeGroup
from ikepy.wire.message import HEADER_SIZE
from ikepy.wire.proposal import Transform

FIRST_GROUP = KeGroup.CURVE_25519
OTHER_GROUPS = (KeGroup.CURVE_25519, KeGroup.ECP_256, KeGroup.MODP_2048)  # of KE payloads beside the offer
HALF_OPEN_SECONDS = 30.0  # how long responders keep half-open IKE_SAs
_MOST_HALF_OPEN = 3  # of ours at a time: charon and others block an address at 5
_MOST_SILENT = 4  # requests in a row, before it counts as gone
_FLAGS = 19  # offset in the header


@dataclass(frozen=True, slots=True)
class Options:
    """`rate`: connections a second; `timeout`: seconds for an answer to the first of `tries` sendings;
    `most`: requests in all; `seconds`: for all of it; `listen`: seconds for repetitions of IKEv1;
    `patience`: seconds at least to wait where no answer is expected.
    """

    rate: float = 1.0
    timeout: float = 2.0
    tries: int = 3
    most: int = 250
    seconds: float = 600.0
    patience: float = 1.0
    listen: float = 10.0
    source_port: int = 0
    port: int = 500
    nat_port: int = 4500


@dataclass
class Asker:
    """`stateless`, see above. `honest`: where offers that are not acceptable get no answer, one that gets
    one: it tells such a silence from that of a host that is gone.
    """

    report: Report
    options: Options
    random: Random
    pace: Pace
    stateless: bool = True
    honest: Offer | None = None
    redirect: bool = True
    addke: tuple[Transform, ...] = ()  # in each offer, where nothing is accepted without
    seconds: list[float] = field(default_factory=list)  # of the answers
    last: bytes = b""  # the datagram that was answered last
    _half_open: list[float] = field(default_factory=list)
    _silent: int = 0
    _slowest: float = 0.0  # seconds from the first sending to an answer

    def everything(self) -> Offer:
        """All transforms that there are, with additional key exchanges where need be."""
        return everything(FIRST_GROUP).with_type(ADDKE, self.addke)

    async def ask(self, over: Line, offer: Offer) -> Reply:
        """The answer to one IKE_SA_INIT, by the cookie if one is wanted. LimitReachedError."""
        made = request(offer, over.ends, self.random, redirect=self.redirect)
        reply = await self.send(over, made, made.datagram())
        if reply.outcome is Outcome.COOKIE:
            self.report.cookies.asked_for += 1
            self.report.cookies.at_first |= self.pace.used == 1
            reply = await self.send(over, made, made.datagram(reply.cookie), counted=False)
        if reply.outcome is Outcome.REDIRECT and self.redirect:
            self.report.features.redirect = str(reply.gateway)
            self.redirect = False  # the host that was named is asked, and no other one
            return await self.ask(over, offer)
        return reply

    async def question(self, over: Line, offer: Offer) -> bool | None:
        """Whether something of the offer is acceptable; the KE payload's group is chosen here."""
        return await self.verdict(over, await self.ask(over, self.grouped(offer)))

    async def verdict(self, over: Line, reply: Reply) -> bool | None:
        """Whether the offer that was answered so is acceptable; None if that is unknown."""
        if reply.outcome is Outcome.SILENT and self.honest is not None:
            return False if (await self.ask(over, self.grouped(self.honest))).acceptable else None
        return reply.acceptable

    def grouped(self, offer: Offer) -> Offer:
        """The offer with a KE payload of a group outside it, or of one inside it if need be."""
        offered = {one.id for one in offer.ke}
        if self.stateless:
            group = next((one for one in OTHER_GROUPS if one not in offered), None)
            return offer.with_group(KeGroup.MODP_1024 if group is None else group)
        computed = [one.id for one in offer.ke if one.id in registry.supported()]
        return offer.with_group(computed[0] if computed else offer.ke[0].id)

    async def send(self, over: Line, made: Request, datagram: bytes, *, counted: bool = True) -> Reply:
        """Send any octets in place of a request, again while there is no answer, and read what comes back."""
        timeout, tries = self.options.timeout, self.options.tries
        reply = await self._exchange(over, datagram, lambda got: answers(made, got), timeout, tries, counted)
        self._count_silence(reply)
        return reply

    async def send_odd(self, over: Line, datagram: bytes, *, due: bool, counted: bool = True) -> Reply:
        """Send an odd message, and read whatever comes under its SPI. `due`: an answer is, so that it is sent
        again while there is none; else it is sent once.
        """
        tries, seconds = (self.options.tries, self.options.timeout) if due else (1, self._patience)
        return await self._exchange(over, datagram, answers_odd(datagram), seconds, tries, counted)

    @property
    def _patience(self) -> float:
        """Seconds after which an answer would be there: some hosts, and paths, are slow."""
        return max(self.options.patience, 2 * min(self._slowest, self.options.timeout))

    async def _exchange(
        self,
        over: Line,
        datagram: bytes,
        match: Callable[[bytes], bool],
        seconds: float,
        tries: int,
        counted: bool,
    ) -> Reply:
        if counted:
            await self.pace.turn()
            await self._room()
        begun = time.monotonic()
        try:
            came = await over.ask(datagram, match, seconds, tries)
        except ClosedPortError:
            return CLOSED
        if came is None:
            return SILENCE
        self._silent, self.last = 0, datagram
        self._slowest = max(self._slowest, time.monotonic() - begun)
        self.seconds.append(came[1])
        reply = replies.read(*came)
        if reply.outcome is Outcome.CHOSEN:
            self._half_open.append(time.monotonic())
        return reply

    def _count_silence(self, reply: Reply) -> None:
        self._silent += reply.outcome in (Outcome.SILENT, Outcome.CLOSED)
        if self._silent >= _MOST_SILENT and self.report.answers:
            raise LimitReachedError(f"it left {self._silent} requests in a row without an answer")

    async def _room(self) -> None:
        """Wait until no more than a few of our half-open IKE_SAs are left at the host, if this may make
        another one.
        """
        while not self.stateless:
            now = time.monotonic()
            self._half_open = [one for one in self._half_open if now - one < HALF_OPEN_SECONDS]
            if len(self._half_open) < _MOST_HALF_OPEN:
                return
            await asyncio.sleep(self._half_open[0] + HALF_OPEN_SECONDS - now)


def answers(made: Request, datagram: bytes) -> bool:
    """Whether it is a response with the request's SPI."""
    return (
        len(datagram) >= HEADER_SIZE
        and datagram.startswith(made.spi_i)
        and bool(datagram[_FLAGS] & HeaderFlag.RESPONSE)
    )


def answers_odd(datagram: bytes) -> Callable[[bytes], bool]:
    """What tells an answer to these octets from a late one to former requests: their SPI; where they have
    none, any that is not of our requests.
    """
    spi = datagram[:SPI_SIZE]
    if len(spi) < SPI_SIZE:
        return lambda got: not got.startswith(SPI_BEGINS)
    return lambda got: got.startswith(spi)


Progress = Callable[[str], None]
