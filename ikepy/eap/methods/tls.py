"""EAP-TLS (RFC 5216, with TLS 1.3 RFC 9190): both ends prove their identities by certificates.

    start                               ->
                                        <-  ClientHello
    ServerHello ... [Finished]          ->
                                        <-  Certificate ... Finished
    TLS 1.2: Finished; TLS 1.3: 0x00    ->
                                        <-  (empty)
    EAP-Success                         ->

Nothing of ours is sent, our own certificate as peer least of all, before the other end's chain is trusted.
In TLS 1.3 the octet 0 within TLS says that the server is content (RFC 9190 2.1.1): EAP-Success alone does
not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ikepy.crypto.secret import Secret
from ikepy.crypto.tls import TlsCredential, TlsEnd
from ikepy.eap.methods.tls_flights import ACKNOWLEDGEMENT, START, Flights
from ikepy.eap.packet import EapType
from ikepy.eap.turns import Answer, Ask, Disproven, Message, Move, PeerMove, Proven, Trust
from ikepy.errors import ConfigError

COMMITMENT = b"\0"
KEYS = 128  # octets of MSK and EMSK
MSK = 64
# Our certificate and key; ConfigError if OpenSSL can't have them. It may read files: `begin` calls it.
CredentialOf = Callable[[], TlsCredential]


@dataclass(frozen=True, slots=True)
class TlsServer:
    """The authenticator's end."""

    credential: CredentialOf
    type: ClassVar[int] = EapType.TLS

    def begin(self, user: str, identifier: int) -> Move:
        try:
            tls = TlsEnd(self.credential(), server=True)
        except ConfigError as error:
            return Disproven(str(error))
        flights: Flights[Move] = Flights(Ask, Disproven)
        return flights.start(_Server(user, tls, flights).handle)


@dataclass(frozen=True, slots=True)
class _Server:
    user: str
    tls: TlsEnd
    flights: Flights[Move]

    def handle(self, octets: bytes) -> Move:
        if not octets:
            return Disproven("EAP-TLS: a flight of zero length")
        own = self.tls.step(octets)
        if self.tls.error:
            return self._failed(own)
        if not self.tls.done:
            return self.flights.send(own, self.handle)
        if self.tls.data:
            return Disproven("EAP-TLS: data within TLS out of order")
        if self.tls.is_1_3:
            own += self.tls.write(COMMITMENT)
        return Trust(self.tls.peer_chain, self.user, partial(self._judged, own))

    def _judged(self, own: bytes, why: str | None) -> Move:
        if why is not None:
            return Disproven(f"EAP-TLS: {why}")
        return self.flights.send(own, self._confirmed)

    def _confirmed(self, octets: bytes) -> Move:
        if not octets:
            return Proven(_msk(self.tls))
        self.tls.step(octets)
        more = "it renegotiates, or sends data" if not self.tls.error else self.tls.error
        return Disproven(f"EAP-TLS: after the handshake: {more}")

    def _failed(self, alert: bytes) -> Move:
        """Let the peer know by an alert, and hear no more from it (RFC 5216 2.1.3)."""
        failed = Disproven(f"EAP-TLS: {self.tls.error}")
        return self.flights.send(alert, lambda octets: failed) if alert else failed


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """The peer's end."""

    credential: CredentialOf
    type: ClassVar[int] = EapType.TLS

    def begin(self, message: Message) -> PeerMove:
        if len(message.data) != 1 or not message.data[0] & START:
            return Disproven("EAP-TLS: no start, which comes first")
        try:
            tls = TlsEnd(self.credential(), server=False)
        except ConfigError as error:
            return Disproven(str(error))
        flights: Flights[PeerMove] = Flights(Answer, Disproven)
        peer = _Peer(tls, flights)
        return peer.flights.send(tls.step(b""), peer.handle)


@dataclass(frozen=True, slots=True)
class _Peer:
    """`trusted`: the server's chain was verified."""

    tls: TlsEnd
    flights: Flights[PeerMove]
    trusted: bool = False

    def handle(self, octets: bytes) -> PeerMove:
        if not octets:
            return Disproven("EAP-TLS: a flight of zero length")
        own = self.tls.step(octets)
        if self.tls.error:
            why = f"EAP-TLS: {self.tls.error}"
            return Answer(b"\0" + own, None, None, why) if own else Disproven(why)
        chain = self.tls.peer_chain
        if chain and not self.trusted:
            return Trust(chain, "", partial(self._judged, own))
        return self._go_on(own)

    def _judged(self, own: bytes, why: str | None) -> PeerMove:
        if why is not None:
            return Disproven(f"EAP-TLS: {why}")
        return _Peer(self.tls, self.flights, trusted=True)._go_on(own)

    def _go_on(self, own: bytes) -> PeerMove:
        if self.tls.done and self.trusted and self._is_confirmed:
            return Answer(ACKNOWLEDGEMENT + own, None, Proven(_msk(self.tls)))
        if self.tls.data:
            return Disproven("EAP-TLS: data within TLS that is no commitment")
        if not own:
            return Disproven("EAP-TLS: the server's flight is not complete")
        return self.flights.send(own, self.handle)

    @property
    def _is_confirmed(self) -> bool:
        return self.tls.data == (COMMITMENT if self.tls.is_1_3 else b"")


def _msk(tls: TlsEnd) -> Secret:
    """RFC 9190 2.3 for TLS 1.3, RFC 5216 2.3 before."""
    if tls.is_1_3:
        keys = tls.export(b"EXPORTER_EAP_TLS_Key_Material", KEYS, bytes([EapType.TLS]))
    else:
        keys = tls.export(b"client EAP encryption", KEYS)
    msk, rest = keys.split(MSK, KEYS - MSK)
    keys.wipe()
    rest.wipe()
    return msk
