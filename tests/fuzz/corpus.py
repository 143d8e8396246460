"""Seeds for the fuzzer, made by the project's own code: real messages, their insides, sealed ESP packets."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from esp.sa.suites import SUITES
from ikepy.config.model import Config
from ikepy.dissect import pcapng
from ikepy.dissect.datagrams import Datagram
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import ExchangeType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import SkPayload
from tests.exchange.network import Network, Options
from tests.fuzz import onlooker
from tests.unit.esp.packets import ipv4, ipv6, ports, sa_pair

RAW = 0x80  # in the first octet of ESP: a packet, not what is to be sealed


@cache
def _config(name: str) -> Config:
    return Options().config(name)


class _Parsed(Options):
    """The default options, read only once."""

    def config(self, name: str) -> Config:
        return _config(name)


def established() -> Network:
    """Two sites with an IKE_SA and a child: the same ones every time."""
    net = Network(_Parsed())
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    return net


def _conversation() -> tuple[list[bytes], list[bytes]]:
    """Every datagram of a long conversation; the insides of a's requests, with exchange and first type."""
    datagrams: list[bytes] = []
    insides: list[bytes] = []
    net = Network()

    def script(line: str, nth: int, data: bytes) -> list[float]:
        datagrams.append(data)
        message = decode_message(data)
        sk = message.payloads[-1]
        if isinstance(sk, SkPayload) and line.startswith("a -> b") and " request " in line:
            (sa,) = [sa for sa in sas(net) if (sa.spi_i, sa.spi_r) == (data[:8], data[8:16])]
            inside = sa.keys.cipher_in.open(data, len(data) - len(sk.body))
            exchange = list(ExchangeType).index(ExchangeType(message.header.exchange))
            insides.append(bytes([exchange, sk.first]) + inside)
        return [0.01]

    net.script = script
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.command("a", Rekey(child="net"))
    net.run(10)
    net.command("a", Rekey(ike="ab"))
    net.run(2)
    net.command("a", Terminate(child="net"))
    net.run(1)
    net.command("a", Terminate(ike="ab"))
    net.run(1)
    return datagrams, insides


def sas(net: Network) -> list[IkeSa]:
    """b's IKE_SAs."""
    found = (net.b.manager.find(snapshot.ike_id) for snapshot in net.b.manager.list_sas(net.now))
    return [sa for sa in found if sa is not None]


def _esp() -> list[bytes]:
    packets = [ipv4(payload=ports(1, 2, 20), protocol=17), ipv6(payload=b"x" * 64), b"", b"\x45"]
    found: list[bytes] = []
    for index, suite in enumerate(SUITES):
        for esn in (False, True):
            outbound, _ = sa_pair(suite, esn=esn)
            kind = 2 * index + esn
            found += [bytes([RAW | kind]) + bytes(row) for row in outbound.seal_batch(packets[:2])]
            found.append(bytes([kind]) + packets[0] + bytes(13) + bytes((13, 4)))
    return found + [bytes([first]) + packet + bytes((0, 4)) for packet in packets for first in (0, RAW)]


def _seen(datagrams: list[bytes], insides: list[bytes]) -> list[bytes]:
    """For `onlooker.DecodeTarget`: datagrams, what is inside of them, packets, and a capture of all."""
    packets = [ipv4(payload=ports(1, 2, 20), protocol=17), ipv6(payload=b"x" * 64)]
    capture = BytesIO()
    pcapng.write(capture, (Datagram(1.0, onlooker.A, onlooker.B, bytes(4) + one) for one in datagrams))
    return [
        *(bytes((onlooker.IKE, 0)) + one for one in datagrams),
        *(bytes((onlooker.IKE, 1)) + one for one in datagrams),
        *(bytes((onlooker.INSIDE, one[1])) + one[2:] for one in insides),
        *(bytes((onlooker.PACKET, 0)) + one for one in packets),
        *(bytes((onlooker.ESP, 0)) + bytes(7) + b"\1" + one + bytes((0, 4)) + bytes(12) for one in packets),
        bytes((onlooker.CAPTURE, 0)) + capture.getvalue(),
    ]


def _cut(inside: bytes, parts: int) -> bytes:
    """The inside of a request as the records of `targets.FragmentsTarget`, in order."""
    exchange, first, chain = inside[:1], inside[1], inside[2:]
    size = max(1, -(-len(chain) // parts))
    chunks = [chain[at : at + size] for at in range(0, len(chain), size)] or [b""]
    return exchange + b"".join(
        len(chunk).to_bytes(2, "big") + bytes((1, number, len(chunks), first)) + chunk
        for number, chunk in enumerate(chunks, 1)
    )


def write(target: str, directory: Path) -> int:
    """Put the seeds of a target into a directory; gives how many."""
    datagrams, insides = _conversation()
    seeds = {
        "message": datagrams,
        "sealed": insides,
        "fragments": [_cut(inside, parts) for inside in insides for parts in (1, 2, 5)],
        "esp": _esp(),
        "decode": _seen(datagrams, insides),
    }[target]
    for index, seed in enumerate(seeds):
        (directory / f"seed-{index:03}").write_bytes(seed)
    return len(seeds)
