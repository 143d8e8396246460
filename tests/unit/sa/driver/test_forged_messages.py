"""ikepy.sa.driver.forged_messages: whose message it may be, by its header alone."""

from __future__ import annotations

import pytest

from ikepy.sa.driver.forged_messages import begins_protected, local_spi, named
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import IKE_VERSION, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import HEADER_SIZE

from ..state.test_registry import PATH, added, shared

OURS, THEIRS = b"initiatr", b"respondr"


def header(
    spi_i: bytes = OURS,
    spi_r: bytes = THEIRS,
    flags: int = 0,
    first: int = PayloadType.SK,
    version: int = IKE_VERSION,
) -> bytes:
    return (
        spi_i + spi_r + bytes((first, version, ExchangeType.INFORMATIONAL, flags)) + bytes(HEADER_SIZE - 20)
    )


def test_a_message_names_the_spi_of_its_receiver() -> None:
    """The initiator's messages go to the responder's SPI, requests and responses alike (RFC 7296 3.1)."""
    assert local_spi(header(flags=HeaderFlag.INITIATOR)) == THEIRS
    assert local_spi(header(flags=HeaderFlag.INITIATOR | HeaderFlag.RESPONSE)) == THEIRS
    assert local_spi(header(flags=HeaderFlag.RESPONSE)) == OURS
    assert local_spi(header()) == OURS


def test_what_is_too_short_names_nobody() -> None:
    assert len(header()) == HEADER_SIZE
    assert local_spi(header()[:-1]) == b""
    assert local_spi(b"") == b""


def initiated(spi_r: bytes) -> IkeSa:
    sa = added(shared(), "one")
    sa.spi_i, sa.spi_r = OURS, spi_r
    return sa


def responded() -> IkeSa:
    table = shared()
    connection = table.config.connections["one"]
    sa = IkeSa(table, connection, PATH, spi_i=OURS, spi_r=THEIRS, initiator=False)
    sa.enter(Phase.CONNECTING)
    return sa


@pytest.mark.parametrize(
    ("spi_r", "message", "found"),
    [
        (THEIRS, header(), True),
        (THEIRS, header(spi_r=b"somebody"), False),
        (THEIRS, header(spi_r=bytes(8)), False),
        (bytes(8), header(spi_r=b"somebody"), True),  # the first response tells the responder's SPI
        (bytes(8), header(spi_r=bytes(8)), True),
        (THEIRS, header(spi_i=b"somebody"), False),
    ],
)
def test_both_spis_count_for_an_initiator_that_knows_both(spi_r: bytes, message: bytes, found: bool) -> None:
    sa = initiated(spi_r)
    assert named({OURS: sa, b"somebody": sa}, message) is (sa if found else None)
    assert named({}, message) is None


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (header(flags=HeaderFlag.INITIATOR), True),
        (header(spi_i=b"somebody", flags=HeaderFlag.INITIATOR), False),
        (header(spi_r=bytes(8), flags=HeaderFlag.INITIATOR), False),
        (header(), False),
    ],
)
def test_both_spis_count_for_a_responder(message: bytes, found: bool) -> None:
    sa = responded()
    assert named({THEIRS: sa, bytes(8): sa}, message) is (sa if found else None)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (header(), True),
        (header(first=PayloadType.SKF), True),
        (header(version=IKE_VERSION | 1), True),  # a newer minor version
        (header(version=IKE_VERSION + 0x10), False),
        (header(version=0x10), False),
        (header(first=PayloadType.NOTIFY), False),
        (header(first=0), False),
    ],
)
def test_a_protected_message_begins_with_sk(message: bytes, expected: bool) -> None:
    assert begins_protected(message) is expected
