"""Can strangers keep a peer out? A flood of spoofed IKE_SA_INIT, and a legitimate set-up in the middle of it.

    python -m benchmarks.flood                     100,000 datagrams
    python -m benchmarks.flood --datagrams 20000

Every datagram is a whole IKE_SA_INIT with an SPI, a nonce and a source address of its own (RFC 7296 2.6).
Printed: how long the legitimate peer's IKE_SA and CHILD_SA took before and during the flood, and the resident
memory of the daemon before and after it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import usage
from benchmarks.interrupt import on_sigterm
from benchmarks.report import machine
from ikepy.lab import gateway, pair
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair
from ikepy.wire.constants import (
    Encr,
    ExchangeType,
    HeaderFlag,
    KeGroup,
    NotifyType,
    Prf,
    ProtocolId,
    TransformType,
)
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

FIRST_SOURCE = int(IPv4Address("198.18.0.0"))  # the block for benchmarks (RFC 2544)
SOURCES = 1 << 17
IN_A_ROW = 50  # datagrams between two short breaks: the daemon's socket must not be all that is tested


def template() -> bytes:
    """An IKE_SA_INIT that our responder would accept."""
    transforms = (
        Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),
        Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
        Transform(TransformType.KE, KeGroup.CURVE_25519),
    )
    header = IkeHeader(bytes([1] * 8), bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    return encode_message(
        header,
        [
            SaPayload((Proposal(1, ProtocolId.IKE, b"", transforms),)),
            KePayload(KeGroup.CURVE_25519, bytes([9] + [0] * 31)),
            NoncePayload(bytes(32)),
            NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
            NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20)),
        ],
    )


def spoof(destination: str, count: int) -> None:
    """Send `count` of them, each from another address, as fast as the system takes them."""
    message = template()
    target = IPv4Address(destination).packed
    udp = struct.pack("!HHHH", 500, 500, 8 + len(message), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in range(count):
            source = struct.pack("!I", FIRST_SOURCE + number % SOURCES)
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(message), 0, 0, 64, 17, 0) + source + target
            raw.sendto(ip + udp + struct.pack("!Q", number + 1) + message[8:], (destination, 0))
            if number % IN_A_ROW == 0:
                time.sleep(0.001)


def resident(gateway: Gateway) -> float:
    """MiB of the daemon's control process."""
    if gateway.pid is None:
        raise LabError("the daemon is gone")
    return usage.resident(gateway.pid)


def set_up(left: Gateway) -> float:
    """Seconds that the legitimate peer needs for IKE_SA and CHILD_SA."""
    begin = time.monotonic()
    left.initiate(timeout=60)
    took = time.monotonic() - begin
    left.terminate(ike="net")
    return took


def flooded(left: Gateway, right: Gateway, bed: Pair, datagrams: int) -> list[tuple[str, str]]:
    """Rows of the table."""
    before, memory_before = set_up(left), resident(right)
    flood = threading.Thread(target=bed.left.inside, args=(lambda: spoof(pair.RIGHT, datagrams),))
    begin = time.monotonic()
    flood.start()
    during = []
    while flood.is_alive():
        time.sleep(0.5)
        during.append(set_up(left))
    seconds = time.monotonic() - begin
    flood.join()
    memory_after = resident(right)
    return [
        ("spoofed IKE_SA_INIT", f"{datagrams:,} in {seconds:.1f} s"),
        ("set-up before, s", f"{before:.3f}"),
        ("set-ups during it, s, longest", f"{max(during):.3f} of {len(during)}"),
        ("memory of the daemon, MiB", f"{memory_before:.1f} before, {memory_after:.1f} after"),
    ]


@contextmanager
def flooded_pair(prefix: str, directory: Path) -> Iterator[tuple[Pair, Gateway, Gateway]]:
    """The bed, the legitimate initiator on the left and the responder for anybody on the right."""
    own = gateway.Connection(local_addrs=(pair.LEFT,), remote_addrs=(pair.RIGHT,))
    peer = gateway.Connection(local_addrs=(pair.RIGHT,), local_id="gwb", remote_id="gwa", routes=())
    with (
        Pair(prefix) as bed,
        Gateway(bed.left, directory / "left") as left,
        Gateway(bed.right, directory / "right") as right,
    ):
        bed.right.ip("route add blackhole 198.18.0.0/15")  # answers to addresses that nobody has
        right.start(peer)
        left.start(own)
        yield bed, left, right


@click.command()
@click.option("--datagrams", type=click.IntRange(1), default=100_000, show_default=True)
def main(datagrams: int) -> None:
    """A legitimate peer and a flood of spoofed IKE_SA_INIT."""
    on_sigterm()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory,
            flooded_pair(f"ikf{os.getpid()}-", Path(directory)) as (bed, left, right),
        ):
            rows = flooded(left, right, bed, datagrams)
    except LabError as error:
        click.echo(f"benchmarks.flood: {error}", err=True)
        sys.exit(1)
    table = Table(title="A flood of spoofed IKE_SA_INIT", show_header=False)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, width=100)
    console.print(table)
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
