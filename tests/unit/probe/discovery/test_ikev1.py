"""IKEv1: what is asked, and what answers mean."""

from __future__ import annotations

import random
import struct

import pytest

from ikepy.probe.discovery import ikev1

SPI = b"\3" * 8
HEADER = struct.Struct("!8s8sBBBBII")


def answer(first: int, body: bytes, exchange: int = ikev1.MAIN, version: int = ikev1.VERSION) -> bytes:
    payload = struct.pack("!BBH", 0, 0, 4 + len(body)) + body
    return HEADER.pack(SPI, b"\4" * 8, first, version, exchange, 0, 0, 28 + len(payload)) + payload


def accepted(*attributes: tuple[int, int]) -> bytes:
    """An SA payload's body with one transform."""
    values = b"".join(struct.pack("!HH", 0x8000 | kind, value) for kind, value in attributes)
    transform = struct.pack("!BBHBBH", 0, 0, 8 + len(values), 1, 1, 0) + values
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transform), 1, 1, 0, 1) + transform
    return struct.pack("!II", 1, 1) + proposal


def test_main_mode_is_taken() -> None:
    found = ikev1.read(answer(1, accepted((1, 7), (14, 128), (2, 2), (3, 1), (4, 2))))
    assert found.alive
    assert found.accepted == "AES-128, SHA-1, MODP_1024, pre-shared key"
    assert ikev1.group_of(found.accepted) == 2


def test_unknown_numbers_are_shown() -> None:
    found = ikev1.read(answer(1, accepted((1, 99), (2, 98), (3, 97), (4, 96))))
    assert found.accepted == "encryption 99, hash 98, group 96, authentication 97"


def test_a_refusal_says_that_it_is_alive() -> None:
    found = ikev1.read(answer(11, struct.pack("!IBBH", 1, 1, 0, 14), exchange=5))
    assert (found.alive, found.accepted, found.words) == (True, "", "NO-PROPOSAL-CHOSEN")


def test_an_answer_by_ikev2() -> None:
    found = ikev1.read(answer(41, bytes(4), exchange=37, version=0x20))
    assert (found.alive, found.words) == (False, "answers by IKEv2")


@pytest.mark.parametrize("seed", range(30))
def test_whatever_comes_is_a_value(seed: int) -> None:
    noise = random.Random(seed)
    octets = bytearray(answer(1, accepted((1, 7), (14, 128), (2, 2), (3, 1), (4, 2))))
    for _ in range(3):
        octets[noise.randrange(16, len(octets))] = noise.randrange(256)
    assert isinstance(ikev1.read(bytes(octets[: noise.randrange(28, len(octets))])), ikev1.Answer)


def test_requests_have_right_lengths() -> None:
    for message in (ikev1.main_mode(SPI), ikev1.aggressive_mode(SPI, 14, random.Random(1).randbytes)):
        assert HEADER.unpack_from(message)[-1] == len(message) < 1400
        assert ikev1.belongs(SPI, message)
