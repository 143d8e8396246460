"""IKE_SA_INIT requests: who is let in, who has to show a COOKIE first, who is refused (RFC 7296 2.6)."""

from __future__ import annotations

from ikepy.crypto.cookie import CookieJar
from ikepy.errors import PeerError, WireError
from ikepy.wire.constants import NotifyType
from ikepy.wire.glance import look
from ikepy.wire.message import IkeHeader, Message
from ikepy.wire.payloads import NotifyPayload

from . import peers, stateless
from .cheap import COOKIE_RESPONSE, cookie_response, is_first_request
from .effects import Effect, Level, Log, Send
from .half_open import HalfOpen, Verdict
from .ike_sa import IkeSa
from .path import Address, Path
from .shared import Shared


class Strangers:
    """What peers may have that are not authenticated: as little as can be."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._cookies = CookieJar(shared.entropy.random)
        self._half_open = HalfOpen(shared.config.daemon)

    def update(self, sa: IkeSa) -> None:
        """Something happened to an IKE_SA, which may be one of theirs."""
        self._half_open.update(sa)

    def turn_away(self, datagram: bytes, header: IkeHeader, path: Path, now: float) -> list[Effect] | None:
        """What strangers get before anything is decoded: nothing, or a COOKIE. None: it may come in."""
        is_first = header.from_initiator and not header.message_id and header.spi_r == bytes(8)
        if not is_first or self._shared.stopping:
            return []
        known = self._half_open.known(header.spi_i, path.remote)
        if known is not None and known.init.request == datagram:
            return known.repeat_init(path)
        verdict = self._half_open.verdict(path.remote.address)
        if verdict is Verdict.DROP:
            return [Log(Level.DEBUG, str(path.remote), "dropped: too many half-open IKE_SAs from there")]
        if verdict is Verdict.SERVE:
            return None
        seen = look(datagram)
        address = path.remote.address
        if not seen.nonce:
            return []
        if self._cookies.valid(seen.cookie, header.spi_i, seen.nonce, address, now):
            return None
        cookie = self._cookies.make(header.spi_i, seen.nonce, address, now)
        return stateless.no_larger([Send(path, cookie_response(header.spi_i, cookie))], datagram)

    def refuse(self, datagram: bytes, address: Address, now: float) -> bytes | None:
        """What a stranger gets in a flood, at the least cost: a COOKIE, or nothing (b"").

        None: it is something else, or there is no flood.
        """
        spi_i = datagram[:8]
        if not is_first_request(datagram) or self._half_open.verdict(address) is not Verdict.COOKIE:
            return None
        if self._half_open.may_know(spi_i) or self._shared.stopping:
            return None
        try:
            seen = look(datagram)
        except WireError:
            return b""
        if seen.cookie:
            return None
        if not seen.nonce or len(datagram) < COOKIE_RESPONSE:
            return b""
        return cookie_response(spi_i, self._cookies.make(spi_i, seen.nonce, address, now))

    def accept(
        self, datagram: bytes, message: Message, path: Path, now: float
    ) -> tuple[IkeSa | None, list[Effect]]:
        """The half-open IKE_SA of a request that `turn_away` lets through, and the response."""
        header = message.header
        try:
            candidates = peers.candidates(self._shared.config, path)
            if not candidates:
                raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "no connection for these addresses")
            sa = IkeSa(
                self._shared,
                candidates[0],
                path,
                spi_i=header.spi_i,
                spi_r=self._shared.ike_spi(),
                initiator=False,
            )
            sa.candidates = candidates
            effects = sa.accept_init(message, datagram, now)
        except WireError as error:
            return None, [Log(Level.DEBUG, str(path.remote), f"dropped: {error}")]
        except PeerError as error:
            refused = stateless.refusal(header, NotifyPayload(error.notify, error.data), path)
            log = Log(Level.INFO, str(path.remote), f"{error.notify.name}: {error}")
            return None, stateless.no_larger([log, refused], datagram)
        self._shared.add(sa)
        self._half_open.add(sa)
        return sa, effects
