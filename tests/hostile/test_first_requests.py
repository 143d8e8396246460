"""IKE_SA_INIT from strangers: what a first request is, when it is the same one, when nothing new is begun."""

import pytest

from ikepy.sa.api.commands import Initiate, Shutdown
from ikepy.sa.api.effects import Send
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import NoncePayload
from tests.exchange.network import Network, Options
from tests.hostile.attacker import send, target


def first_request(seed: str = "stranger") -> bytes:
    """A good IKE_SA_INIT request of somebody's."""
    other = Network(Options(), seed=seed)
    effects = other.a.manager.request(Initiate("ab", "net"), other.now)
    return next(effect.data for effect in effects if isinstance(effect, Send))


def nonces(data: bytes) -> list[NoncePayload]:
    return [one for one in decode_message(data).payloads if isinstance(one, NoncePayload)]


def half_open(net: Network) -> int:
    return len(net.b.manager.list_sas(net.now))


def with_octets(data: bytes, at: int, octets: bytes) -> bytes:
    return data[:at] + octets + data[at + len(octets) :]


@pytest.mark.parametrize(
    ("at", "octets"),
    [
        (8, b"\0\0\0\0\0\0\0\1"),  # a responder's SPI
        (19, b"\x00"),  # not from the initiator
        (19, b"\x28"),  # a response
        (20, b"\0\0\0\1"),  # message ID 1
    ],
    ids=["SPI", "flags", "response", "message ID"],
)
def test_what_is_no_first_request_begins_nothing(at: int, octets: bytes) -> None:
    net = target()
    answers = send(net, with_octets(first_request(), at, octets))
    assert half_open(net) == 0
    assert not any(nonces(one) for one in answers)


def test_nothing_new_is_begun_while_we_end() -> None:
    net = target()
    net.command("b", Shutdown())
    assert send(net, first_request()) == []
    assert half_open(net) == 0


def test_a_request_that_comes_again_gets_the_same_answer() -> None:
    net = target()
    (answer,) = send(net, first_request())
    net.run(1)
    assert send(net, first_request()) == [answer]
    assert half_open(net) == 1


def test_another_request_under_the_same_spi_is_another_one() -> None:
    """It has its own nonce and public value: the first one's answer would be of no use to it."""
    net = target()
    first = first_request()
    (answer,) = send(net, first)
    other = first[:8] + first_request("another")[8:]
    assert other != first
    (another,) = send(net, other)
    assert another != answer
    assert decode_message(another).header.spi_r != decode_message(answer).header.spi_r
    assert half_open(net) == 2
