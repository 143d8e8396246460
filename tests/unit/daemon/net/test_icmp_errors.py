"""ikepy.daemon.net.icmp_errors: what is read of an ICMP error, from whoever sends one."""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.net import icmp_errors
from ikepy.daemon.net.icmp_errors import IcmpError, IcmpErrors, parse
from ikepy.sa.api.path import Endpoint

PORTS = (500, 4500)
BY = ip_address("203.0.113.1")
OURS, THEIRS = ip_address("192.0.2.1"), ip_address("198.51.100.7")
OURS6, THEIRS6 = ip_address("2001:db8::1"), ip_address("2001:db8::7")
UDP = bytes.fromhex("01f4 1194 0030 0000")  # from port 500 to 4500


def v4(
    kind: int, code: int, *, protocol: int = 17, fragment: int = 0, udp: bytes = UDP, options: int = 0
) -> bytes:
    """An ICMP error with its IP header, as a raw socket has it; `options`: words behind the inner header."""
    inner = bytes([0x45 + options, 0, 0, 60, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0])
    inner += OURS.packed + THEIRS.packed + bytes(4 * options) + udp
    outer = bytes([0x46]) + bytes(19) + bytes(4)  # with an option
    return outer + bytes([kind, code, 0, 0, 0, 0, 0, 0]) + inner


def v6(kind: int, code: int, *, protocol: int = 17, udp: bytes = UDP) -> bytes:
    inner = bytes([0x60, 0, 0, 0, 0, 30, protocol, 64]) + OURS6.packed + THEIRS6.packed + udp
    return bytes([kind, code, 0, 0, 0, 0, 0, 0]) + inner


@pytest.mark.parametrize(
    ("version", "datagram", "kind"),
    [
        (4, v4(3, 0), "network unreachable"),
        (4, v4(3, 1), "host unreachable"),
        (4, v4(3, 3), "port unreachable"),
        (4, v4(3, 3, options=2), "port unreachable"),
        (4, v4(3, 13), "administratively prohibited"),
        (4, v4(11, 0), "time exceeded"),
        (6, v6(1, 0), "network unreachable"),
        (6, v6(1, 3), "host unreachable"),
        (6, v6(1, 4), "port unreachable"),
        (6, v6(1, 1), "administratively prohibited"),
        (6, v6(3, 0), "time exceeded"),
    ],
)
def test_each_kind(version: int, datagram: bytes, kind: str) -> None:
    error = parse(version, datagram, BY, PORTS)
    assert error is not None and error.meaning
    remote = Endpoint(THEIRS if version == 4 else THEIRS6, 4500)
    assert (error.kind, error.by, error.remote) == (kind, BY, remote)
    assert parse(version, datagram, BY, (501, 4500)) is None, "another program's"


@pytest.mark.parametrize(
    ("version", "datagram", "kind"),
    [
        (4, v4(3, 2, protocol=50), "protocol unreachable"),
        (4, v4(3, 13, protocol=50), "administratively prohibited"),
        (6, v6(4, 1, protocol=50), "protocol unreachable"),
        (6, v6(1, 1, protocol=50), "administratively prohibited"),
    ],
)
def test_of_esp(version: int, datagram: bytes, kind: str) -> None:
    error = parse(version, datagram, BY, ())
    assert error is not None and error.kind == kind
    assert error.remote == Endpoint(THEIRS if version == 4 else THEIRS6, 0)


@pytest.mark.parametrize(
    ("version", "datagram"),
    [
        (4, v4(3, 4)),  # fragmentation needed
        (4, v4(8, 0)),
        (4, v4(3, 3, protocol=6)),
        (4, v4(3, 3, fragment=100)),
        (4, v4(3, 3, udp=UDP[:3])),
        (4, v4(3, 3)[:30]),
        (4, b""),
        (6, v6(2, 0)),
        (6, v6(1, 4, protocol=44)),
        (6, v6(1, 4)[:45]),
        (6, v4(3, 3)[24:]),
    ],
)
def test_what_is_none(version: int, datagram: bytes) -> None:
    assert parse(version, datagram, BY, PORTS) is None


@given(st.sampled_from([4, 6]), st.binary(max_size=120), st.integers(0, 100))
def test_any_octets_whatever(version: int, octets: bytes, cut: int) -> None:
    parse(version, octets, BY, PORTS)
    whole = v4(3, 3) if version == 4 else v6(1, 4)
    parse(version, whole[:cut] + octets, BY, PORTS)


@pytest.mark.root
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_from_the_kernel(address: str) -> None:
    """A port of this host where nobody listens; only one's own ports count."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    async def heard() -> IcmpError:
        errors, told = IcmpErrors.open(), asyncio.Queue[IcmpError]()
        with (
            socket.socket(family, socket.SOCK_DGRAM) as own,
            socket.socket(family, socket.SOCK_DGRAM) as free,
        ):
            own.bind((address, 0))
            free.bind((address, 0))
            remote = free.getsockname()
            free.close()
            errors.start([own.getsockname()[1]], told.put_nowait)
            try:
                while told.empty():  # the kernel limits their rate
                    own.sendto(b"IKE", remote)
                    await asyncio.sleep(0.05)
                error = told.get_nowait()
            finally:
                errors.close()
        assert error.remote == Endpoint(ip_address(address), remote[1])
        return error

    error = asyncio.run(asyncio.wait_for(heard(), 20))
    assert (error.kind, error.by) == ("port unreachable", ip_address(address))


def test_without_the_right_to_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(version: int) -> socket.socket:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(icmp_errors, "open_icmp_errors", refused)

    async def run() -> None:
        errors = IcmpErrors.open()
        errors.start(PORTS, lambda error: None)
        errors.close()

    asyncio.run(run())


def test_a_flood_is_read_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def parsed(*_: object) -> None:
        nonlocal read
        read += 1

    monkeypatch.setattr(icmp_errors, "parse", parsed)
    monkeypatch.setattr(icmp_errors, "_PAUSE", 3600.0)

    async def run() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        monkeypatch.setattr(icmp_errors, "address_of", lambda source: BY)
        errors = IcmpErrors({4: ours})
        errors.start(PORTS, lambda error: None)
        with theirs:
            for _ in range(40):
                theirs.send(b"x")
            for _ in range(10):
                await asyncio.sleep(0)
            errors.close()

    asyncio.run(run())
    assert 0 < read <= 4
