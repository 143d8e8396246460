"""The authenticator's end of an EAP conversation (RFC 3748 2, 4; with RFC 7296 2.16 as its lower layer).

IKE delivers each message once and in order, so that nothing is retransmitted here, and a response that does
not belong to the request before it ends the conversation. It takes a bounded number of rounds: the lower
layer counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ikepy.crypto.secret import Secret
from ikepy.eap.packet import Code, EapType, Packet, type_name
from ikepy.eap.turns import Accepted, Ask, Disproven, Message, Move, Proven, Refused, Say, Trust, Turn
from ikepy.errors import WireError

MAX_IDENTITY = 253  # octets, of a network access identifier (RFC 7542 2.3)
Begin = Callable[[str, int], Turn]  # with the user and the identifier of the next request


class ServerMethod(Protocol):
    """The authenticator's end of an EAP method."""

    @property
    def type(self) -> int: ...

    def begin(self, user: str, identifier: int) -> Move:
        """The first request. `identifier`: of the packet that carries it. `user`: the EAP identity."""
        ...


def ask_identity(identifier: int, begin: Begin) -> Turn:
    """Ask for the EAP identity first (RFC 3748 5.1). `identifier`: by chance, 0 to 255."""
    request = Packet(Code.REQUEST, identifier, EapType.IDENTITY)
    return Say(request.encode(), partial(_identified, identifier, begin))


def _identified(identifier: int, begin: Begin, octets: bytes) -> Turn:
    response = response_to(octets, identifier)
    if isinstance(response, str):
        return _refused(identifier, response, "")
    if response.type != EapType.IDENTITY:
        why = f"{type_name(response.type or 0)} in answer to a request for the identity"
        return _refused(identifier, why, "")
    user = read_identity(response.data)
    if user is None:
        return _refused(identifier, "an EAP identity that is empty, too long or no UTF-8", "")
    return begin(user, _next(identifier))


@dataclass(frozen=True, slots=True)
class Server:
    """An authenticator that lets a user in by one of `methods`, which it proposes in their order."""

    methods: tuple[ServerMethod, ...]

    def begin(self, user: str, identifier: int) -> Turn:
        """Begin with the method, as the identity is known. `identifier`: of the first request, 0 to 255."""
        conversation = _Conversation(user, self.methods[0].type, self.methods[1:])
        return conversation.begin(self.methods[0], identifier)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """`type`: of the method under way; `others`: those that a Nak may still ask for."""

    user: str
    type: int
    others: tuple[ServerMethod, ...]

    def begin(self, method: ServerMethod, identifier: int) -> Turn:
        return self._turn(identifier, method.begin(self.user, identifier), begun=False)

    def _turn(self, identifier: int, move: Move, *, begun: bool = True) -> Turn:
        """`identifier`: of the request to send, or of the last one if none follows."""
        match move:
            case Ask(data, following):
                request = Packet(Code.REQUEST, identifier, self.type, data)
                return Say(request.encode(), partial(self._answered, identifier, following, begun))
            case Trust(certificates, user, then):
                return Trust(certificates, user, lambda why: self._turn(identifier, then(why)))
            case Proven(msk):
                return self._accepted(identifier, msk)
            case Disproven(why):
                return _refused(identifier, why, self.user)

    def _answered(
        self, identifier: int, following: Callable[[Message], Move], begun: bool, octets: bytes
    ) -> Turn:
        response = response_to(octets, identifier)
        if isinstance(response, str):
            return _refused(identifier, response, self.user)
        if response.type == self.type:
            return self._turn(_next(identifier), following(Message(identifier, response.data)))
        if response.type == EapType.NAK and not begun:
            return self._other(_next(identifier), response.data)
        why = f"{type_name(response.type or 0)} in answer to {type_name(self.type)}"
        return _refused(identifier, why, self.user)

    def _other(self, identifier: int, wanted: bytes) -> Turn:
        """Take the method that a Nak asks for, if it is one of ours (5.3.1); no method comes twice."""
        for method in self.others:
            if method.type in wanted:
                left = tuple(other for other in self.others if other is not method)
                return _Conversation(self.user, method.type, left).begin(method, identifier)
        names = ", ".join(type_name(one) for one in wanted[:8] if one) or "no method at all"
        return _refused(identifier, f"it wants {names} in place of {type_name(self.type)}", self.user)

    def _accepted(self, identifier: int, msk: Secret | None) -> Turn:
        success = Packet(Code.SUCCESS, identifier).encode()
        return Accepted(success, self.user, self.type, msk)


def read_identity(data: bytes) -> str | None:
    """An EAP identity as text; None if it is empty, too long, no UTF-8, or has control characters. What
    follows a NUL are options."""
    octets = data.partition(b"\0")[0]
    try:
        name = octets.decode()
    except UnicodeDecodeError:
        return None
    return name if name.isprintable() and 0 < len(octets) <= MAX_IDENTITY else None


def response_to(octets: bytes, identifier: int) -> Packet | str:
    """The response to the request of that identifier, or what is wrong with it."""
    try:
        packet = Packet.decode(octets)
    except WireError as error:
        return str(error)
    if packet.code is not Code.RESPONSE:
        return f"an EAP {packet.code.name.lower()} in place of a response"
    if packet.identifier != identifier:
        return f"an EAP response out of order: identifier {packet.identifier} in place of {identifier}"
    return packet


def _refused(identifier: int, why: str, user: str) -> Refused:
    return Refused(Packet(Code.FAILURE, identifier).encode(), why, user)


def _next(identifier: int) -> int:
    """A new request has another identifier than the one before it (4.1)."""
    return (identifier + 1) % 256
