"""ikepy.sa.negotiation.nat: NAT detection, each end's view (RFC 7296 2.23)."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address

import pytest

from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.negotiation.nat import Nat, detect, notify_payloads
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

SPI_I, SPI_R = b"initiatr", b"respondr"
INSIDE = Endpoint(IPv4Address("192.168.1.2"), 500)
OUTSIDE = Endpoint(IPv4Address("203.0.113.1"), 31000)
SERVER = Endpoint(IPv4Address("198.51.100.7"), 500)
DIRECT = Path(INSIDE, SERVER)


def sent(path: Path) -> list[Payload]:
    return notify_payloads(SPI_I, SPI_R, path, None)


def reverse(path: Path) -> Path:
    return Path(path.remote, path.local)


def test_the_hash_is_of_spis_address_and_port() -> None:
    source, destination = sent(DIRECT)
    assert source == NotifyPayload(
        NotifyType.NAT_DETECTION_SOURCE_IP,
        sha1(b"initiatrrespondr" + bytes([192, 168, 1, 2]) + b"\x01\xf4").digest(),
    )
    assert destination == NotifyPayload(
        NotifyType.NAT_DETECTION_DESTINATION_IP,
        sha1(b"initiatrrespondr" + bytes([198, 51, 100, 7]) + b"\x01\xf4").digest(),
    )


@pytest.mark.parametrize("version", [4, 6])
def test_no_nat(version: int) -> None:
    path = DIRECT
    if version == 6:
        path = Path(Endpoint(IPv6Address("2001:db8::1"), 500), Endpoint(IPv6Address("2001:db8::2"), 500))
    assert detect(sent(path), SPI_I, SPI_R, reverse(path)) == Nat(supported=True)


def test_a_nat_before_the_sender_is_the_remote_one() -> None:
    found = detect(sent(DIRECT), SPI_I, SPI_R, Path(SERVER, OUTSIDE))
    assert found == Nat(supported=True, remote=True)
    assert found.found


def test_a_nat_before_the_receiver_is_the_local_one() -> None:
    """The sender aims at the outer address; the message arrives at the inner one."""
    found = detect(sent(Path(SERVER, OUTSIDE)), SPI_I, SPI_R, Path(INSIDE, SERVER))
    assert found == Nat(supported=True, local=True)
    assert found.found


def test_a_changed_port_alone_is_a_nat() -> None:
    seen = Path(SERVER, replace(INSIDE, port=1024))
    assert detect(sent(DIRECT), SPI_I, SPI_R, seen) == Nat(supported=True, remote=True)


def test_one_of_several_sources_may_match() -> None:
    """A sender that does not know which address it will use sends one notify for each (2.23)."""
    source, destination = sent(DIRECT)
    payloads = [replace_data(source, bytes(20)), source, destination]
    assert detect(payloads, SPI_I, SPI_R, reverse(DIRECT)) == Nat(supported=True)


def replace_data(payload: Payload, data: bytes) -> Payload:
    assert isinstance(payload, NotifyPayload)
    return replace(payload, data=data)


@pytest.mark.parametrize("kept", [0, 1])
def test_without_both_notifies_the_peer_does_not_support_it(kept: int) -> None:
    assert detect([sent(DIRECT)[kept]], SPI_I, SPI_R, Path(SERVER, OUTSIDE)) == Nat()
    assert not Nat().found


def test_a_feigned_nat_is_before_us() -> None:
    """Encapsulation is forced: the peer sees a NAT before us, and none before itself."""
    payloads = notify_payloads(SPI_I, SPI_R, DIRECT, bytes)
    assert detect(payloads, SPI_I, SPI_R, reverse(DIRECT)) == Nat(supported=True, remote=True)


def test_other_spis_match_no_address() -> None:
    found = detect(sent(DIRECT), SPI_R, SPI_I, reverse(DIRECT))
    assert found == Nat(supported=True, local=True, remote=True)
