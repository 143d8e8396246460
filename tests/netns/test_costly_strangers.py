"""Strangers ask for the dearest key exchange, with every limit on them switched off: peers don't notice.

What is computed for strangers is computed beside the event loop, and they wait behind everybody else.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ikepy.config.proposals import parse
from ikepy.crypto.kex.modp_groups import GROUPS
from ikepy.lab import pair
from ikepy.lab.gateway import Connection, Gateway
from ikepy.lab.pair import Pair
from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import ExchangeType, HeaderFlag, KeGroup, ProtocolId
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, SaPayload

pytestmark = pytest.mark.root

RATE = 200.0  # requests a second, of which each costs two powers modulo 8192 bits
SECONDS = 4.0
GROUP, SUITE = KeGroup.MODP_8192, "aes256-sha384-modp8192"
PROPOSALS = ("aes128gcm16-prfsha256-x25519", SUITE)
BOUNDLESS = """
cookie_threshold = 0
cookie_threshold_ip = 0
block_threshold = 0
init_limit_half_open = 0
strangers_cpu = 0
"""


def request(public: bytes) -> bytes:
    """An IKE_SA_INIT with an SPI of its own, and a value that no cheap check finds wrong."""
    header = IkeHeader(os.urandom(8), bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    offered = proposals.numbered(parse(SUITE, ProtocolId.IKE), b"")
    return encode_message(
        header, [SaPayload(offered), KePayload(GROUP, public), NoncePayload(os.urandom(32))]
    )


def ask(stop: threading.Event) -> None:
    public = b"\x11" * GROUPS[GROUP].size
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        while not stop.wait(1 / RATE):
            sock.sendto(request(public), (pair.RIGHT, 500))


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def test_peers_do_not_notice(tmp_path: Path) -> None:
    lively, pfs = "dpd_delay = 1", ("aes128gcm16-x25519",)
    with (
        Pair("ikt-costly-") as bed,
        Gateway(bed.left, tmp_path / "left") as left,
        Gateway(bed.right, tmp_path / "right") as right,
    ):
        right.start(
            Connection(
                local_addrs=(pair.RIGHT,), local_id="gwb", remote_id="gwa", proposals=PROPOSALS,
                esp_proposals=pfs, routes=(), extra=lively, daemon=BOUNDLESS,
            )
        )  # fmt: skip
        left.start(
            Connection(
                local_addrs=(pair.LEFT,), remote_addrs=(pair.RIGHT,), proposals=PROPOSALS,
                esp_proposals=pfs, extra=lively,
            )
        )  # fmt: skip
        left.initiate()
        stop = threading.Event()
        strangers = threading.Thread(target=bed.left.inside, args=(lambda: ask(stop),))
        strangers.start()
        try:
            listings: list[float] = []
            rekeys: list[float] = []
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                listings.append(seconds_of(right.list_sas))
                rekeys.append(seconds_of(lambda: left.rekey(child="net")))
                time.sleep(0.2)
        finally:
            stop.set()
            strangers.join()
        half_open = [sa for sa in right.list_sas() if sa["state"] == "CONNECTING"]
        assert len(half_open) > 10, "the strangers were served"
        assert max(listings) < 1.0
        assert max(rekeys) < 2.0
        assert "retransmit" not in left.log()
        assert "IKE_SA ended" not in left.log()
