"""EAP between an IKE_SA and a RADIUS server that a test plays."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

import pytest

from ikepy.config.radius import Radius
from ikepy.daemon.radius import attributes
from ikepy.daemon.radius.answers import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, Answer, NoAnswer
from ikepy.daemon.radius.attributes import (
    EAP_MESSAGE,
    MPPE_RECV_KEY,
    MPPE_SEND_KEY,
    STATE,
    USER_NAME,
    Attributes,
    Key,
)
from ikepy.daemon.radius.relay import NO_SERVER, RadiusRelay
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.turns import Accepted, Refused, Say, Turn
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.auth.relay import Relayed

from .server import settings

ABOUT = Relayed(
    7,
    "users",
    Path(Endpoint(IPv4Address("192.0.2.2"), 4500), Endpoint(IPv4Address("192.0.2.1"), 4500)),
    "gwa",
)
CHALLENGE = Packet(Code.REQUEST, 9, EapType.MD5, b"\x01x" + b"y" * 600)
RESPONSE = Packet(Code.RESPONSE, 9, EapType.MD5, b"\x10" + bytes(16))


@dataclass
class Script:
    """Gives these answers, one after the other, and keeps what it was asked."""

    answers: list[Answer | NoAnswer]
    asked: list[tuple[Attributes, str | None]] = field(default_factory=list)
    settings: Radius = field(default_factory=lambda: settings(1812))

    def access(self, attributes: Attributes, server: str | None = None) -> Answer:
        self.asked.append((attributes, server))
        found = self.answers.pop(0)
        if isinstance(found, NoAnswer):
            raise found
        return found

    def account(self, attributes: Attributes) -> Answer:
        raise NotImplementedError


def challenge(packet: bytes = CHALLENGE.encode()) -> Answer:
    parts = [value for _, value in attributes.eap_messages(packet)]
    return Answer(ACCESS_CHALLENGE, {EAP_MESSAGE: parts, STATE: [b"state 1"]}, "s1")


def begun(*answers: Answer | NoAnswer) -> tuple[Script, Turn]:
    script = Script(list(answers))
    return script, RadiusRelay(script).begin(ABOUT, "alice", 8)


def of(asked: Attributes, key: Key) -> bytes:
    return b"".join(value for one, value in asked if one == key)


def test_a_conversation() -> None:
    accept: dict[Key, list[bytes]] = {
        EAP_MESSAGE: [Packet(Code.SUCCESS, 10).encode()],
        MPPE_RECV_KEY: [b"r" * 32],
        MPPE_SEND_KEY: [b"s" * 32],
        USER_NAME: [b"Alice"],
    }
    script, turn = begun(challenge(), Answer(ACCESS_ACCEPT, accept, "s1"))
    assert isinstance(turn, Say)
    assert turn.octets == CHALLENGE.encode()
    last = turn.following(RESPONSE.encode())
    assert isinstance(last, Accepted)
    assert last.msk is not None and last.msk.expose() == b"r" * 32 + b"s" * 32
    assert (last.octets, last.method, last.granted.user) == (b"\x03\x0a\x00\x04", EapType.MD5, "Alice")
    (first, no_server), (second, server) = script.asked
    assert of(first, EAP_MESSAGE) == Packet(Code.RESPONSE, 8, EapType.IDENTITY, b"alice").encode()
    assert (of(first, STATE), no_server) == (b"", None)
    assert (of(second, STATE), server, of(second, EAP_MESSAGE)) == (b"state 1", "s1", RESPONSE.encode())
    assert of(second, attributes.CALLING_STATION) == b"192.0.2.1[4500]"
    assert of(second, attributes.NAS_IP_ADDRESS) == IPv4Address("192.0.2.2").packed
    assert all(len(value) <= 253 for _, value in second)


def test_a_packet_is_handed_on_once_however_often_it_is_handled() -> None:
    script, turn = begun(challenge(), Answer(ACCESS_REJECT, {}, "s1"))
    assert isinstance(turn, Say)
    assert turn.following(RESPONSE.encode()) is turn.following(RESPONSE.encode())
    assert len(script.asked) == 2
    assert isinstance(turn.following(b"another"), Refused)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (
            [Answer(ACCESS_REJECT, {attributes.REPLY_MESSAGE: [b"go\naway\x1b[2J"]}, "s1")],
            r"'go\\naway\\x1b\[2J'",
        ),
        ([Answer(ACCESS_REJECT, {}, "s1")], "refuses the user 'alice'"),
        ([NoAnswer("no RADIUS server answers")], "no RADIUS server answers"),
        ([challenge(b"")], "sends no EAP"),
        ([challenge(b"\x01\x00\x00")], "sends no EAP"),
        ([challenge(Packet(Code.SUCCESS, 1).encode())], "sends an EAP success as a challenge"),
    ],
)
def test_refusals(answers: list[Answer | NoAnswer], why: str) -> None:
    _, turn = begun(*answers)
    assert isinstance(turn, Refused)
    assert turn.octets == Packet(Code.FAILURE, 8).encode()
    assert re.search(why, turn.why)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "."),
        (RESPONSE.encode() + b"x", "of length 22 in 23 octets"),
        (Packet(Code.RESPONSE, 10, EapType.MD5, b"\x10").encode(), "out of order"),
        (Packet(Code.REQUEST, 9, EapType.MD5, b"\x10").encode(), "an EAP request in place of a response"),
        (Packet(Code.RESPONSE, 9, EapType.TLS, bytes(4000)).encode(), "an EAP response of 4005 octets"),
        (Packet(Code.RESPONSE, 9, EapType.TLS, bytes(24000)).encode(), "24005 octets"),
    ],
)
def test_what_a_server_would_drop_is_not_handed_on(packet: bytes, why: str) -> None:
    """It would keep a thread waiting, and the server would be taken for gone by all others."""
    script, turn = begun(challenge())
    assert isinstance(turn, Say)
    refused = turn.following(packet)
    assert isinstance(refused, Refused)
    assert re.search(why, refused.why)
    assert len(script.asked) == 1


@pytest.mark.parametrize("user", ["", "x" * 254, "ä" * 127, "a\0b", "a\nb", "@#" + "00" * 24000])
def test_a_name_that_a_server_would_not_take(user: str) -> None:
    script = Script([])
    assert isinstance(RadiusRelay(script).begin(ABOUT, user, 8), Refused)
    assert not script.asked


def test_acceptance_without_a_packet_and_without_keys() -> None:
    _, turn = begun(Answer(ACCESS_ACCEPT, {}, "s1"))
    assert isinstance(turn, Accepted)
    assert turn.msk is None
    assert turn.octets == Packet(Code.SUCCESS, 8).encode()


def test_without_servers_nobody_is_let_in() -> None:
    relay = RadiusRelay()
    relay.configure(None)
    turn = relay.begin(ABOUT, "alice", 8)
    assert isinstance(turn, Refused)
    assert turn.why == NO_SERVER


def test_servers_are_exchanged_by_a_reload() -> None:
    relay = RadiusRelay()
    relay.configure(settings(1812))
    client = relay.client
    relay.configure(settings(1812))
    assert relay.client is client, "what did not change stays, with what it knows of silent servers"
    relay.configure(settings(1645))
    assert relay.client is not client


# -- what is granted -------------------------------------------------------------------------------


def test_what_an_acceptance_grants() -> None:
    values: dict[Key, list[bytes]] = {
        attributes.FRAMED_IP_ADDRESS: [IPv4Address("10.9.0.5").packed],
        attributes.FRAMED_IPV6_ADDRESS: [IPv6Address("2001:db8::5").packed],
        attributes.PRIMARY_DNS: [IPv4Address("10.0.0.53").packed],
        attributes.SESSION_TIMEOUT: [attributes.number(600)],
        attributes.ACCT_INTERIM_INTERVAL: [attributes.number(1)],
        attributes.CLASS: [b"gold"] * 40,
    }
    granted = attributes.granted(values)
    assert [str(one) for one in granted.addresses] == ["10.9.0.5", "2001:db8::5"]
    assert [str(one) for one in granted.dns_servers] == ["10.0.0.53"]
    assert (granted.session_timeout, granted.interim) == (600.0, 60.0)
    assert len(granted.classes) == 16
    long: dict[Key, list[bytes]] = {attributes.CLASS: [bytes(attributes.MAX_VALUE)] * 16}
    assert sum(map(len, attributes.granted(long).classes)) == 8 * attributes.MAX_VALUE, "they fit a packet"


@pytest.mark.parametrize(
    "octets",
    [b"", b"\x01", b"\xff" * 4, b"\xff\xff\xff\xfe", bytes(4), b"\xe0\x00\x00\x01", b"\x7f\x00\x00\x01"],
)
def test_addresses_that_are_none_are_left_out(octets: bytes) -> None:
    assert attributes.granted({attributes.FRAMED_IP_ADDRESS: [octets]}).addresses == ()


@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b""])
def test_a_name_that_is_none_is_left_out(name: bytes) -> None:
    assert attributes.granted({USER_NAME: [name]}).user == ""
