"""Admits IKE_SA_INIT requests: accepts them, demands a COOKIE, or drops them (RFC 7296 2.6)."""

from __future__ import annotations

from collections.abc import Hashable

from ikepy.config.model import DnsName
from ikepy.crypto.cookie import CookieJar
from ikepy.errors import PeerError, WireError
from ikepy.sa.admission import stateless
from ikepy.sa.admission.cookie_path import COOKIE_RESPONSE, cookie_response, is_first_request
from ikepy.sa.admission.cpu_budget import OVERHEAD, Charge, CpuBudget, cost_of
from ikepy.sa.admission.expected_places import ExpectedPlaces
from ikepy.sa.admission.name_refresh import NameRefresh
from ikepy.sa.admission.queued_inits import QueuedInits
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.api.ends import End, failure_of
from ikepy.sa.api.events import IkeSetUpFailed
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.driver.forged_messages import named
from ikepy.sa.exchange import mismatch, redirecting
from ikepy.sa.message import query
from ikepy.sa.setup import first_request
from ikepy.sa.setup.half_open import HalfOpen, Verdict
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.wire.constants import NotifyType
from ikepy.wire.glance import look
from ikepy.wire.message import HEADER_SIZE, IkeHeader, Message
from ikepy.wire.payloads import NoncePayload, NotifyPayload

SPI = 8  # octets
EXPECTED = 2  # budget for addresses where the configuration expects peers, as a multiple of `strangers_cpu`
MOST = 8  # a source's share of it, as a multiple of what is free: the peers at one place may start together
OTHERS = 100.0  # messages with unknown SPIs that are processed per second


class InitAdmission:
    """Decides on IKE_SA_INIT requests, so that unauthenticated peers cost little CPU time and memory."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._cookies = CookieJar(registry.entropy.random)
        self._half_open = HalfOpen(registry.config.daemon)
        self._expected = ExpectedPlaces(registry.config, registry.auth_failures, registry.names)
        self._names = NameRefresh(registry.next_ticket)
        self._names.configure(registry.config)
        self._budget = CpuBudget(self._share, self._chance)
        self._own_budget = CpuBudget(EXPECTED * self._share, self._chance, self._network, MOST)
        self._admitted = QueuedInits()
        self._others = Rate(OTHERS)

    @property
    def _share(self) -> float:
        """The share of one CPU for unauthenticated peers; 0.25: a quarter."""
        return self._registry.config.daemon.strangers_cpu / 100

    def _network(self, address: Address) -> Hashable:
        return self._expected.network(address)

    def config_replaced(self) -> None:
        """Adopt the limits and the expected addresses of the registry's new configuration."""
        config = self._registry.config
        self._half_open.limits = config.daemon
        self._names.configure(config)
        self._expected = ExpectedPlaces(config, self._registry.auth_failures, self._registry.names)
        self._budget.resize(self._share)
        self._own_budget.resize(EXPECTED * self._share)

    def looked_up(self, ticket: int) -> bool:
        """A look-up of names has ended. Whether it was one of those that a stranger brought about."""
        return self._names.looked_up(ticket)

    def _chance(self) -> float:
        """A random number from 0 to 1."""
        return int.from_bytes(self._registry.entropy.random(2), "big") / (1 << 16)

    def update(self, sa: IkeSa, now: float) -> None:
        """Take notice of a change of an IKE_SA: if its peer has authenticated, refund what it was charged."""
        charge = self._half_open.update(sa, now)
        if charge is not None:
            charge.refund(now)
        if sa.established:
            self._registry.auth_failures.stands(sa.path.remote.address, now)

    def turn_away(self, datagram: bytes, header: IkeHeader, path: Path, now: float) -> list[Effect] | None:
        """Answer an IKE_SA_INIT request before it is decoded: with nothing or a COOKIE; None: accept it."""
        is_first = header.from_initiator and not header.message_id and header.spi_r == bytes(8)
        if not is_first or self._registry.stopping:
            return []
        known = self._half_open.made_by(datagram, path.remote)
        if known is not None:
            return [Send(path, one) for one in known.window.reply(0)]  # until it goes on to IKE_AUTH
        if (header.spi_i, path.remote) in self._admitted:
            return None
        answer = self._judge(datagram, path.remote, now)
        if isinstance(answer, Charge):
            self._admitted.add(header.spi_i, answer)
            return None
        return [Send(path, answer)] if answer else []

    def refuse(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | None:
        """Answer a datagram cheaply in a flood: with a COOKIE or nothing (b"").

        None: receive it, as it may be accepted, or is no IKE_SA_INIT request.
        """
        if self._registry.stopping:
            return None
        if not is_first_request(datagram):
            return self._refuse_other(datagram, now)
        spi_i = datagram[:SPI]
        known = self._half_open.made_by(datagram, remote)
        if known is not None:
            if known.forgery_limit.repeated(True, now):
                return None
            self._registry.tally[Unserved.WORTHLESS] += 1
            return b""
        self._admitted.expire(now)
        if (spi_i, remote) in self._admitted:
            return b""  # a retransmission: the first one waits to be answered
        try:
            answer = self._judge(datagram, remote, now)
        except WireError:
            served = self._serves(remote.address, now)
            self._half_open.failed(remote.address, now)
            if served:
                return None  # the full decoder logs the reason
            self._registry.tally[Unserved.MALFORMED_INIT] += 1
            return b""
        if isinstance(answer, Charge):
            self._admitted.add(spi_i, answer)
            return None
        return answer

    def _refuse_other(self, datagram: bytes, now: float) -> bytes | None:
        """b"" for a message with unknown SPIs, except for OTHERS a second; None: receive it."""
        if named(self._registry.by_spi, datagram) is not None:
            return None
        if self._others.allow(now):
            return None
        self._registry.tally[
            Unserved.UNKNOWN_SPI if len(datagram) >= HEADER_SIZE else Unserved.MALFORMED
        ] += 1
        return b""

    def _serves(self, address: Address, now: float) -> bool:
        """Whether a request from this address is accepted without a COOKIE."""
        self._admitted.expire(now)
        waiting = len(self._admitted), self._admitted.from_address(address)
        return self._half_open.verdict(address, now, *waiting) is Verdict.SERVE

    def _judge(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | Charge:
        """A COOKIE response, nothing (b""), or the charge if it is accepted. WireError if malformed."""
        address, spi_i, tally = remote.address, datagram[:8], self._registry.tally
        seen = look(datagram)
        if not seen.nonce:
            raise WireError("no nonce")
        cost = cost_of(seen.group)
        if self._serves(address, now) and self._budget.affords(remote, cost, now):
            return self._budget.charge(remote, cost, now)
        if not self._cookies.valid(seen.cookie, spi_i, seen.nonce, address, now):
            if len(datagram) < COOKIE_RESPONSE:
                return b""  # no answer is larger than its question
            tally[Unserved.COOKIE] += 1
            return cookie_response(datagram, self._cookies.make(spi_i, seen.nonce, address, now))
        if self._registry.auth_failures.silenced(remote, now):
            tally[Unserved.SILENCED] += 1
            return b""
        expected = self._expected.place(address, now) is not None
        budgets = (self._own_budget, self._budget) if expected else (self._budget,)
        for budget in budgets:
            if budget.affords(remote, cost, now):
                return budget.charge(remote, cost, now)
            budget.ask(remote, now)
        tally[Unserved.OVER_BUDGET] += 1
        return b""

    def crowded_out(self, path: Path, now: float) -> list[IkeSa]:
        """The half-open IKE_SAs to end before another one from this address is accepted."""
        gone = self._half_open.crowded_out(path.remote.address, now)
        self._registry.tally[Unserved.CROWDED_OUT] += len(gone)
        return gone

    def accept(
        self, datagram: bytes, message: Message, path: Path, now: float
    ) -> tuple[IkeSa | None, list[Effect]]:
        """Begin a half-open IKE_SA for a request that `turn_away` accepts; returns it and the response.

        None instead of the IKE_SA if the request is refused, or dropped: the peer sends it again, and DNS
        names that are being looked up may tell then whose it is.
        """
        header, remote = message.header, path.remote
        charge = self._admitted.take(header.spi_i, remote)
        if charge is None:
            charge = self._budget.charge(remote, cost_of(look(datagram).group), now)
        asked: list[Effect] = [] if self._expected.named(remote.address) else [*self._names.ask(now)]
        sa, effects = self._accept(datagram, message, path, charge, now)
        return sa, [*asked, *effects]

    def _accept(
        self, datagram: bytes, message: Message, path: Path, charge: Charge, now: float
    ) -> tuple[IkeSa | None, list[Effect]]:
        header, remote = message.header, path.remote
        try:
            gateway = self._registry.config.daemon.redirect_to
            gateway = redirecting.elsewhere(gateway, message.payloads, path.local.address)
            if gateway is not None:
                effects = _sent_away(message, datagram, gateway, path)
                self._came_to_nothing(charge, Unserved.REDIRECTED, now)
                return None, effects
            candidates = self._registry.connection_match.candidates(path)
            if not candidates and self._names.under_way(now):
                self._came_to_nothing(charge, Unserved.NAME, now)
                text = f"{mismatch.no_connection_for(path)} yet: peers' names are being looked up"
                return None, [Log(Level.INFO, str(remote), text, "names", remote.address)]
            if not candidates:
                raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, mismatch.no_connection_for(path))
            sa = IkeSa(
                self._registry,
                candidates.connections[0],
                path,
                spi_i=header.spi_i,
                spi_r=self._registry.ike_spi(),
                initiator=False,
            )
            sa.connecting.candidates = candidates
            sa.connecting.expected = charge.budget is self._own_budget
            effects = first_request.accept(sa, message, datagram, now)
        except WireError as error:
            self._came_to_nothing(charge, Unserved.MALFORMED_INIT, now)
            text = f"dropped a malformed IKE_SA_INIT: {error}"
            return None, [Log(Level.INFO, str(remote), text, "malformed", remote.address)]
        except PeerError as error:
            self._came_to_nothing(charge, Unserved.REFUSED_INIT, now)
            refused = stateless.refusal(header, NotifyPayload(error.notify, error.data), path)
            text = f"{error.notify.name}: {error}"
            log = Log(Level.INFO, str(remote), text, error.notify.name, remote.address)
            told = IkeSetUpFailed(None, path, End.REFUSED, failure_of(error), text)
            return None, stateless.no_larger([told, log, refused], datagram)
        self._registry.add(sa)
        self._half_open.add(sa, charge, datagram)
        return sa, effects

    def _came_to_nothing(self, charge: Charge, reason: Unserved, now: float) -> None:
        """Count a request that was refused before the key exchange, and charge only the OVERHEAD for it."""
        self._registry.tally[reason] += 1
        self._half_open.failed(charge.remote.address, now)
        charge.refund(now)
        charge.budget.charge(charge.remote, OVERHEAD, now)


def _sent_away(message: Message, datagram: bytes, gateway: Address | DnsName, path: Path) -> list[Effect]:
    """Answer an IKE_SA_INIT request with REDIRECT and the client's nonce, without state (RFC 5685 3).

    WireError if it has no nonce.
    """
    nonce = query.maybe(message.payloads, NoncePayload)
    if nonce is None:
        raise WireError("no nonce")
    remote = path.remote
    log = Log(Level.INFO, str(remote), f"sent to {gateway}", "redirect", remote.address)
    answer = stateless.refusal(message.header, redirecting.notify_of(gateway, nonce.data), path)
    return stateless.no_larger([log, answer], datagram)
