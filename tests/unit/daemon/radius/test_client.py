"""What is sent to RADIUS servers, how often, and which answers are believed."""

from __future__ import annotations

from time import monotonic

import pytest

from ikepy.daemon.radius.answers import ACCESS_ACCEPT, ACCESS_REJECT, NoAnswer
from ikepy.daemon.radius.attributes import REPLY_MESSAGE, USER_NAME, Attributes
from ikepy.daemon.radius.client import RadiusClient

from .server import SECRET, Respond, Server, answer, settings

MESSAGE_AUTHENTICATOR = 80
SHORT, LONG = 0.2, 30.0  # seconds: where no answer is to come, and where that is not waited for
ALICE: Attributes = [(USER_NAME, b"alice")]


def accept(request: bytes) -> list[bytes]:
    return [answer(request, ACCESS_ACCEPT, attributes={REPLY_MESSAGE: [b"hello"]})]


def nothing(request: bytes) -> list[bytes]:
    return []


def test_an_answer_is_taken() -> None:
    with Server(accept) as server:
        found = RadiusClient(settings(server.port)).access(ALICE)
    assert (found.code, found.values[REPLY_MESSAGE], found.server) == (ACCESS_ACCEPT, [b"hello"], "s0")
    (request,) = server.requests
    assert request[20] == MESSAGE_AUTHENTICATOR, "it comes first, against CVE-2024-3596"


def test_a_request_is_sent_again_as_it_was() -> None:
    answers = iter([nothing, accept])
    with Server(lambda request: next(answers)(request)) as server:
        RadiusClient(settings(server.port)).access(ALICE)
    first, second = server.requests
    assert first == second


FORGERIES: dict[str, Respond] = {
    "no Message-Authenticator": lambda request: [answer(request, ACCESS_ACCEPT, signed=False)],
    "another secret": lambda request: [answer(request, ACCESS_ACCEPT, secret=b"a guess")],
    "of another request": lambda request: [answer(bytes([1, request[1] ^ 1]) + request[2:], ACCESS_ACCEPT)],
    "a request": lambda request: [answer(request, 1)],
    "noise": lambda request: [b"", b"\x02", b"\xff" * 4097, request],
    "a changed attribute": lambda request: [accept(request)[0].replace(b"hello", b"hullo")],
}


@pytest.mark.parametrize("respond", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_is_no_answer(respond: Respond) -> None:
    with Server(respond) as server, pytest.raises(NoAnswer):
        RadiusClient(settings(server.port, tries=0, timeout=SHORT)).access(ALICE)


@pytest.mark.parametrize("respond", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_does_not_hide_the_answer(respond: Respond) -> None:
    with Server(lambda request: [*respond(request), answer(request, ACCESS_REJECT)]) as server:
        assert RadiusClient(settings(server.port)).access(ALICE).code == ACCESS_REJECT


def test_a_flood_of_forgeries_is_bounded() -> None:
    begins = monotonic()
    with Server(lambda request: [b"\x02" * 40] * 200) as server, pytest.raises(NoAnswer):
        RadiusClient(settings(server.port, tries=0, timeout=LONG)).access(ALICE)
    assert monotonic() - begins < LONG / 2, "it is not listened to for all that time"


def test_another_server_is_asked_and_the_silent_one_rests() -> None:
    with Server(nothing) as silent, Server(accept) as other:
        client = RadiusClient(settings(silent.port, other.port, tries=0))
        assert client.access(ALICE).server == "s1"
        asked = len(silent.requests)
        assert client.access(ALICE).server == "s1"
        assert len(silent.requests) == asked, "it is not asked first again"


def test_a_conversation_stays_with_its_server() -> None:
    with Server(accept) as first, Server(accept) as second:
        client = RadiusClient(settings(first.port, second.port))
        assert client.access(ALICE, "s1").server == "s1"
        assert not first.requests


def test_a_closed_port_is_no_answer() -> None:
    with Server(nothing) as server:
        port = server.port
    with pytest.raises(NoAnswer, match="s0"):
        RadiusClient(settings(port, tries=0, timeout=SHORT)).access(ALICE)


def test_accounting_needs_no_message_authenticator() -> None:
    """RFC 2866: its answers have none, as FreeRADIUS's."""

    def respond(request: bytes) -> list[bytes]:
        from pyrad.packet import AcctPacket

        asked = AcctPacket(packet=request, secret=SECRET)
        return [asked.CreateReply().ReplyPacket()]

    with Server(respond) as server:
        assert RadiusClient(settings(server.port)).account(ALICE).code == 5


def test_no_secret_is_in_errors() -> None:
    with pytest.raises(NoAnswer) as caught:
        RadiusClient(settings(9, tries=0, timeout=SHORT)).access(ALICE)
    assert SECRET.decode() not in str(caught.value)
