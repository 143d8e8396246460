"""ikepy.sa.message.final_responses: the last response of an IKE_SA that is gone (RFC 7296 2.1)."""

from __future__ import annotations

from ikepy.sa.message.final_responses import KEPT, SECONDS, FinalResponses

SPI, REQUEST, REPLY = b"12345678", b"request", (b"reply", b"fragment")


def test_exactly_the_same_request_is_answered() -> None:
    responses = FinalResponses()
    responses.add(SPI, REQUEST, REPLY, 10.0)
    assert responses.reply(SPI, REQUEST, 11.0) == REPLY
    assert responses.reply(SPI, b"other", 11.0) == ()
    assert responses.reply(b"87654321", REQUEST, 11.0) == ()
    assert responses.reply(b"87654321", b"", 11.0) == ()


def test_for_a_while() -> None:
    responses = FinalResponses()
    responses.add(SPI, REQUEST, REPLY, 10.0)
    assert responses.reply(SPI, REQUEST, 10.0 + SECONDS) == REPLY
    assert responses.reply(SPI, REQUEST, 10.5 + SECONDS) == ()


def spi(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_no_more_than_so_many_are_kept_the_newest() -> None:
    responses = FinalResponses()
    for number in range(KEPT + 2):
        responses.add(spi(number), REQUEST, REPLY, 10.0)
    found = [number for number in range(KEPT + 2) if responses.reply(spi(number), REQUEST, 10.0)]
    assert found == list(range(2, KEPT + 2))


def test_old_ones_make_room_before_that() -> None:
    """Even asked about with an earlier time, they are gone."""
    responses = FinalResponses()
    for number, at in enumerate((0.0, 1.0, SECONDS + 1.0)):
        responses.add(spi(number), REQUEST, REPLY, at)
    assert [responses.reply(spi(number), REQUEST, 1.0) != () for number in range(3)] == [False, True, True]
