"""Hands EAP on between an IKE_SA and a RADIUS server (RFC 3579): each turn is an Access-Request and its
answer.

The server's word counts: what it accepts is accepted, with the keys that it sends (RFC 2548), and a refusal
looks as those of our own methods do. A server drops in silence what is no EAP (RFC 3579 2.2), and would seem
to be gone: that is not handed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ikepy.config.radius import Radius
from ikepy.daemon.radius import attributes
from ikepy.daemon.radius.answers import ACCESS_ACCEPT, ACCESS_CHALLENGE, Answer, Client, NoAnswer
from ikepy.daemon.radius.attributes import (
    MPPE_RECV_KEY,
    MPPE_SEND_KEY,
    STATE,
    USER_NAME,
    Attributes,
)
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.server import read_identity, response_to
from ikepy.eap.turns import Accepted, Once, Refused, Say, Turn
from ikepy.errors import WireError
from ikepy.sa.auth.relay import Relayed

MAX_RESPONSE = 3072  # octets of an EAP packet, which has to fit a RADIUS packet of 4,096 beside the others
NO_NAME = "an EAP identity that is empty, too long or not printable"
NO_SERVER = "auth = 'eap-radius', and no RADIUS server is configured: [radius.servers.NAME]"


@dataclass(slots=True)
class RadiusRelay:
    """Asks by `client`, None while no server is configured."""

    client: Client | None = None

    def configure(self, settings: Radius | None) -> None:
        """Ask these servers from now on; conversations that have begun go on with theirs."""
        if settings is None:
            self.client = None
        elif self.client is None or self.client.settings != settings:
            from ikepy.daemon.radius.client import RadiusClient  # its library is an extra

            self.client = RadiusClient(settings)

    def begin(self, about: Relayed, user: str, identifier: int) -> Turn:
        if read_identity(user.encode()) != user:
            return _refused(identifier, NO_NAME, "")
        identity = Packet(Code.RESPONSE, identifier, EapType.IDENTITY, user.encode())
        if self.client is None:
            return _refused(identifier, NO_SERVER, user)
        return _Talk(self.client, about, user).ask(identity.encode(), [], None)


@dataclass(frozen=True, slots=True)
class _Talk:
    """`type`: of the method, as far as the server has asked."""

    client: Client
    about: Relayed
    user: str
    type: int = EapType.IDENTITY

    def answered(self, identifier: int, state: list[bytes], server: str, packet: bytes) -> Turn:
        """Hand a response to the request of that identifier on."""
        response = response_to(packet, identifier)
        if isinstance(response, str):
            return _refused(identifier, response, self.user)
        if len(packet) > MAX_RESPONSE:
            return _refused(identifier, f"an EAP response of {len(packet)} octets", self.user)
        return self.ask(packet, state, server)

    def ask(self, packet: bytes, state: list[bytes], server: str | None) -> Turn:
        """Hand a packet on. `state`: what the server has sent to know the conversation again."""
        about = self.about
        request: Attributes = [
            (USER_NAME, attributes.text(self.user)),
            *attributes.of_nas(self.client.settings, about.ike_id, about.connection, about.path),
            *attributes.eap_messages(packet),
            *((STATE, one) for one in state),
        ]
        identifier = packet[1]
        try:
            answer = self.client.access(request, server)
        except NoAnswer as error:
            return _refused(identifier, str(error), self.user)
        return self._take(answer, identifier)

    def _take(self, answer: Answer, identifier: int) -> Turn:
        eap = b"".join(answer.values.get(attributes.EAP_MESSAGE, []))
        if answer.code == ACCESS_CHALLENGE:
            return self._challenged(answer, eap, identifier)
        if answer.code == ACCESS_ACCEPT:
            return self._accepted(answer, eap, identifier)
        told = attributes.message(answer.values)
        why = f"the RADIUS server {answer.server} refuses the user {self.user!a}"
        return _refused(identifier, f"{why}: {told}" if told else why, self.user)

    def _challenged(self, answer: Answer, eap: bytes, identifier: int) -> Turn:
        try:
            packet = Packet.decode(eap)
        except WireError as error:
            return _refused(identifier, f"the RADIUS server {answer.server} sends no EAP: {error}", self.user)
        if packet.code is not Code.REQUEST:
            why = f"the RADIUS server {answer.server} sends an EAP {packet.code.name.lower()} as a challenge"
            return _refused(identifier, why, self.user)
        following = partial(
            _Talk(self.client, self.about, self.user, packet.type or 0).answered,
            packet.identifier,
            answer.values.get(STATE, [])[:1],
            answer.server,
        )
        other = _refused(packet.identifier, "another EAP packet in place of the same one", self.user)
        return Say(eap, Once[bytes, Turn](following, other))

    def _accepted(self, answer: Answer, eap: bytes, identifier: int) -> Turn:
        """The packet may be missing: then EAP-Success is ours to make (RFC 3579 2.6.3)."""
        success = Packet(Code.SUCCESS, eap[1] if len(eap) > 1 else identifier).encode()
        keys = (answer.values.get(key, [b""])[0] for key in (MPPE_RECV_KEY, MPPE_SEND_KEY))
        granted = attributes.granted(answer.values)
        return Accepted(success, self.user, self.type, attributes.msk(*keys), granted)


def _refused(identifier: int, why: str, user: str) -> Refused:
    return Refused(Packet(Code.FAILURE, identifier).encode(), why, user)
