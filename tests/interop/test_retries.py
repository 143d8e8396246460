"""IKE_SA_INIT that has to be repeated with a real strongSwan: COOKIE and INVALID_KE_PAYLOAD, both ways."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import Namespace
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag, KeGroup, Prf, ProtocolId, TransformType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform
from tests.interop.bed import OURS, THEIRS, Bed, Side, daemon, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

_TRANSFORMS = (
    Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),
    Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
    Transform(TransformType.KE, KeGroup.CURVE_25519),
)


def ike_sa_init(number: int) -> bytes:
    """A request that is fine in itself, from somebody who will never go on."""
    header = IkeHeader(number.to_bytes(8, "big"), bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    return encode_message(
        header,
        [
            SaPayload((Proposal(1, ProtocolId.IKE, b"", _TRANSFORMS),)),
            KePayload(KeGroup.CURVE_25519, b"\x09" + bytes(31)),
            NoncePayload(number.to_bytes(32, "big")),
        ],
    )


@contextmanager
def half_open(namespace: Namespace, target: str, number: int) -> Iterator[list[bytes]]:
    """That many IKE_SAs begun with `target`, from one address: what it answered to each."""
    with namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.settimeout(5)
        answers = []
        for one in range(1, number + 1):
            stranger.sendto(ike_sa_init(one), (target, 500))
            answers.append(stranger.recv(4096))
        yield answers


def test_strongswan_wants_a_cookie(bed: Bed) -> None:
    """Three half-open IKE_SAs from our address are enough for it (cookie_threshold_ip)."""
    bed.start()
    with half_open(bed.pair.left, pair.RIGHT, 3):
        bed.initiate("ikepy")
    bed.wait_for_log(
        "strongSwan",
        r"received packet: from 192.0.2.1\[500\].*\n.*parsed IKE_SA_INIT request 0 \[ N\(COOKIE\) SA",
    )
    bed.wait_for_log("ikepy", "the peer asks for a cookie")
    bed.expect_traffic()


def test_we_want_a_cookie(bed: Bed) -> None:
    bed.start(replace(OURS, daemon=daemon(cookie_threshold=2)))
    with half_open(bed.pair.right, pair.LEFT, 2):
        bed.initiate("strongSwan")
    bed.wait_for_log("strongSwan", r"parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]")
    bed.expect_traffic()


@either_side_initiates
def test_other_group(bed: Bed, initiator: Side) -> None:
    """The initiator's first group is none of the responder's: INVALID_KE_PAYLOAD, and again."""
    several, one = "aes128gcm16-prfsha256-x25519-ecp384-modp2048", "aes128gcm16-prfsha256-ecp384"
    ours, theirs = (several, one) if initiator == "ikepy" else (one, several)
    bed.start(replace(OURS, proposals=(ours,)), replace(THEIRS, proposals=theirs))
    bed.up(by=initiator)
    way = "generating" if initiator == "ikepy" else "parsed"
    bed.wait_for_log("strongSwan", rf"{way} IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]")
    assert bed.our_sa["suite"] == "AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_384"
    bed.expect_traffic()


def test_cookie_and_other_group_when_we_ask(bed: Bed) -> None:
    """First the cookie, then the group; the second repetition still has the cookie."""
    bed.start(
        replace(OURS, proposals=("aes128gcm16-prfsha256-ecp384-x25519",)),
        replace(THEIRS, proposals="aes128gcm16-prfsha256-x25519"),
    )
    with half_open(bed.pair.left, pair.RIGHT, 3):
        bed.initiate("ikepy")
    bed.wait_for_log("ikepy", "the peer asks for a cookie")
    bed.wait_for_log("strongSwan", r"generating IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]")
    bed.expect_traffic()


def test_cookie_and_other_group_when_strongswan_asks(bed: Bed) -> None:
    bed.start(
        replace(OURS, proposals=("aes128gcm16-prfsha256-x25519",), daemon=daemon(cookie_threshold=2)),
        replace(THEIRS, proposals="aes128gcm16-prfsha256-ecp384-x25519"),
    )
    with half_open(bed.pair.right, pair.LEFT, 2):
        bed.initiate("strongSwan")
    bed.wait_for_log("strongSwan", r"parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]")
    bed.wait_for_log("strongSwan", r"parsed IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]")
    bed.expect_traffic()
