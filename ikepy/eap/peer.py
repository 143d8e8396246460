"""The peer's end of an EAP conversation: answers whatever the authenticator asks (RFC 3748 2, 4).

EAP-Success counts only once the method has come to its end, so that nobody is accepted without a proof. A
request that repeats the one before it ends the conversation, as IKE delivers each message once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ikepy.eap.packet import Code, EapType, Packet, type_name
from ikepy.eap.turns import Accepted, Answer, Disproven, Message, PeerMove, Proven, Refused, Say, Trust, Turn
from ikepy.errors import WireError

MOST_NAKS = 2  # methods that we don't have, one after the other


class PeerMethod(Protocol):
    """The peer's end of an EAP method."""

    @property
    def type(self) -> int: ...

    def begin(self, message: Message) -> PeerMove:
        """Answer the first request."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Answers for `user` by one of `methods`, which the authenticator chooses."""

    user: str
    methods: tuple[PeerMethod, ...]

    def receive(self, octets: bytes) -> Turn:
        """Answer the first packet."""
        return _Conversation(self).receive(octets)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """`type`: of the method under way, 0 before it. `following`: of that; None if no request may come.

    `proven`: the method has come to its end. `why`: why we have refused. `last`: the packet before.
    """

    peer: Peer
    type: int = 0
    following: Callable[[Message], PeerMove] | None = None
    proven: Proven | None = None
    why: str = ""
    identified: bool = False
    naks: int = 0
    last: bytes = b""

    def receive(self, octets: bytes) -> Turn:
        try:
            packet = Packet.decode(octets)
        except WireError as error:
            return _refused(str(error))
        match packet.code:
            case Code.REQUEST:
                if octets == self.last:
                    return _refused("an EAP request that repeats the one before it")
                return replace(self, last=octets)._request(packet)
            case Code.SUCCESS:
                return self._success()
            case Code.FAILURE:
                return _refused(
                    self.why or "the authenticator refuses us (EAP-Failure): see its log for the reason"
                )
        return _refused("an EAP response in place of a request")

    def _success(self) -> Turn:
        if self.proven is None:
            return _refused("an early EAP-Success: nothing is proven yet")
        return Accepted(b"", self.peer.user, self.type, self.proven.msk)

    def _request(self, packet: Packet) -> Turn:
        type = packet.type or 0
        if type == EapType.NOTIFICATION:
            return self._say(packet, EapType.NOTIFICATION, b"")
        if type == EapType.IDENTITY:
            if self.type or self.identified:
                return _refused("an EAP request for the identity, out of order")
            return replace(self, identified=True)._say(packet, EapType.IDENTITY, self.peer.user.encode())
        message = Message(packet.identifier, packet.data)
        if not self.type:
            for method in self.peer.methods:
                if method.type == type:
                    return replace(self, type=type)._move(packet, method.begin(message))
            return self._nak(packet)
        if type != self.type or self.following is None:
            return _refused(f"{type_name(type)} out of order, after {type_name(self.type)}")
        return self._move(packet, self.following(message))

    def _nak(self, packet: Packet) -> Turn:
        """Say which methods we have (5.3.1)."""
        if self.naks == MOST_NAKS:
            return _refused(f"{type_name(packet.type or 0)}, and other methods that we don't have")
        wanted = bytes(method.type for method in self.peer.methods)
        return replace(self, naks=self.naks + 1)._say(packet, EapType.NAK, wanted)

    def _move(self, packet: Packet, move: PeerMove) -> Turn:
        match move:
            case Answer(data, following, proven, why):
                then = replace(self, following=following, proven=proven, why=why)
                return then._say(packet, self.type, data)
            case Trust(certificates, user, then):
                return Trust(certificates, user, lambda why: self._move(packet, then(why)))
            case Disproven(why):
                return _refused(why)

    def _say(self, packet: Packet, type: int, data: bytes) -> Turn:
        response = Packet(Code.RESPONSE, packet.identifier, type, data)
        return Say(response.encode(), self.receive)


def _refused(why: str) -> Refused:
    return Refused(b"", why)
