"""Can strangers keep a peer out, or take a tunnel down? Attacks of every kind, and what is felt of them.

    python -m benchmarks.flood                     everything, about ten minutes
    python -m benchmarks.flood --only guesses      attacks of one kind
    python -m benchmarks.flood --only spoofed --datagrams 20000

Spoofed: every datagram is a whole IKE_SA_INIT with an SPI, a nonce and a source address of its own (RFC 7296
2.6); printed is how long a legitimate set-up took before and during it. The others hear the answers, show
cookies, and come at a rate and at ten times that, from one address and from 1,000 of 250 networks; printed is
the longest of what an established tunnel, its operator and new peers felt, with what is still well on top.
Junk looks like IKE_AUTH under the SPIs of a half-open IKE_SA, or like INFORMATIONAL under those of the
established tunnel, from the attackers' addresses or from its peer's.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import usage
from benchmarks.interrupt import on_sigterm
from benchmarks.report import machine
from benchmarks.siege import Siege
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
# Requests a second of each kind of attack (benchmarks.attack); each comes at ten times that, too.
RATES = {
    "tiny-ke": 10,
    "zero-ke": 10,
    "modp3072": 300,
    "modp4096": 100,
    "half-open": 300,
    "guesses": 150,
    "refused": 300,
    "burst": 250,
    "junk-auth": 6_000,
    "junk-sk": 10_000,
    "junk-sk-spoofed": 10_000,
}
UNREAD = "refused"  # this one comes while nobody reads the log
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


def spoofed(datagrams: int, directory: Path) -> Table:
    """The table of a spoofed flood."""
    table = Table(title="A flood of spoofed IKE_SA_INIT", show_header=False)
    with flooded_pair(f"ikf{os.getpid()}-", directory) as (bed, left, right):
        for row in flooded(left, right, bed, datagrams):
            table.add_row(*row)
    return table


COLUMNS = (
    "attack",
    "rate",
    "from",
    "DPD 2 s",
    "rekey 0.5 s",
    "list-sas 1 s",
    "new peer 2 s",
    "neighbour 5 s",
    "half-open",
    "MiB",
    "log, KiB",
)


def besieged(kinds: Iterable[str], seconds: float, directory: Path) -> Table:
    """The table of all attacks of these kinds."""
    table = Table(*COLUMNS, title="Attacks, and the longest that was felt of them (seconds)")
    for kind in kinds:
        for rate in (RATES[kind], 10 * RATES[kind]):
            for sources in (1, 1000):
                with Siege(
                    f"ikf{os.getpid()}-", directory / f"{kind}{rate}{sources}", unread=kind == UNREAD
                ) as bed:
                    felt = bed.attacked(kind, rate, sources, seconds)
                table.add_row(kind, f"{rate:,}/s", f"{sources:,}", *felt.cells())
                click.echo(f"{kind} {rate}/s from {sources}: {felt.answer}", err=True)
    return table


@click.command()
@click.option("--datagrams", type=click.IntRange(1), default=100_000, show_default=True, help="Spoofed ones.")
@click.option(
    "--seconds", type=click.IntRange(3), default=12, show_default=True, help="Of each other attack."
)
@click.option("--only", type=click.Choice(["spoofed", *RATES]), multiple=True, help="Kinds of attacks.")
def main(datagrams: int, seconds: int, only: tuple[str, ...]) -> None:
    """Attacks of strangers, and what others notice of them."""
    on_sigterm()
    console = Console(highlight=False, width=130)
    kinds = [kind for kind in RATES if not only or kind in only]
    try:
        with tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory:
            if not only or "spoofed" in only:
                console.print(spoofed(datagrams, Path(directory)))
            if kinds:
                console.print(besieged(kinds, seconds, Path(directory)))
    except LabError as error:
        click.echo(f"benchmarks.flood: {error}", err=True)
        sys.exit(1)
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
