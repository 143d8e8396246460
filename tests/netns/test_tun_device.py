"""Real TUN devices: made, carrying packets, without carrier, gone."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6

from tests.netns.kernel import add_route, configure
from tests.netns.namespaces import MakeNamespace, Namespace, wait_until
from tun import network
from tun.device import PacketIo, TunDevice, TunError
from tun.frames import packet_io

pytestmark = pytest.mark.root


@pytest.fixture
def vti(namespace: Namespace) -> Iterator[TunDevice]:
    """vti0 with IPv4 and IPv6 addresses and routes, up."""
    with namespace.call(TunDevice.create, "vti0", False) as device:
        addresses = [ip_interface("169.254.10.1/30"), ip_interface("fd00::1/126")]
        peers = [ip_address("169.254.10.2"), ip_address("fd00::2")]
        namespace.call(configure, "vti0", addresses, peers, 1400, None)
        namespace.call(add_route, "vti0", ip_network("10.2.0.0/24"), None)
        namespace.call(add_route, "vti0", ip_network("fd02::/64"), 1000)
        yield device


def routes(namespace: Namespace) -> list[str]:
    """Every route of the namespace, IPv6's with its table, one a line."""
    lines = namespace.ip("route", "show", "table", "all") + namespace.ip(
        "-6", "route", "show", "table", "all"
    )
    return [line for line in lines.splitlines() if "vti0" in line]


@contextmanager
def answering(io: PacketIo) -> Iterator[None]:
    """Echo requests that come out of the device are answered meanwhile, as the far end would."""
    stop = threading.Event()

    def answer() -> None:
        while not stop.is_set():
            select.select([io], [], [], 0.02)
            io.write_batch([reply for packet in io.read_batch(64) if (reply := echo_reply(packet))])

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def echo_reply(packet: bytes) -> bytes | None:
    if packet[0] >> 4 == 4 and (request := IP(packet)).haslayer(ICMP):
        reply = IP(src=request.dst, dst=request.src) / ICMP(
            type=0, id=request[ICMP].id, seq=request[ICMP].seq
        )
        return bytes(reply / request[ICMP].payload)
    if (request := IPv6(packet)).haslayer(ICMPv6EchoRequest):
        echo = request[ICMPv6EchoRequest]
        return bytes(
            IPv6(src=request.dst, dst=request.src) / ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data)
        )
    return None


def announced(packets: Iterable[bytes]) -> Iterator[tuple[str, int]]:
    """Flags and MSS of the TCP handshakes among the packets."""
    for packet in packets:
        if packet[0] >> 4 == 4 and (whole := IP(packet)).haslayer(TCP) and "S" in whole[TCP].flags:
            yield str(whole[TCP].flags), dict(whole[TCP].options)["MSS"]


def test_create_and_close(namespace: Namespace) -> None:
    device = namespace.call(TunDevice.create, "vti0", False)
    assert device.name == "vti0"
    assert namespace.ip("-o", "link", "show", "vti0").startswith(f"{device.index}: vti0: <")
    assert not os.get_blocking(device.fd)
    assert not os.get_inheritable(device.fd)
    assert "vti0" in repr(device)
    device.close()
    device.close()
    assert namespace.run("ip", "link", "show", "vti0", check=False).returncode != 0


def test_name_is_taken(namespace: Namespace) -> None:
    namespace.ip("link", "add", "dummy0", "type", "bridge")
    with (
        namespace.call(TunDevice.create, "vti0", False),
        pytest.raises(TunError, match="cannot make vti0: a device of that name exists already") as caught,
    ):
        namespace.call(TunDevice.create, "vti0", False)
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(TunError, match="cannot make dummy0: a device of that name exists already"):
        namespace.call(TunDevice.create, "dummy0")


def test_persistent_device_of_somebody_else_is_not_taken(namespace: Namespace) -> None:
    namespace.ip("tuntap", "add", "vti0", "mode", "tun")
    with pytest.raises(TunError, match="exists already"):
        namespace.call(TunDevice.create, "vti0", False)


def test_no_permission(namespace: Namespace) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; from tun.device import TunDevice; TunDevice.create('vti0')"
    )
    done = namespace.run(
        *("setpriv", "--bounding-set=-net_admin", sys.executable, "-c", script, *sys.path), check=False
    )
    assert "TunError: [Errno 1] cannot make vti0: no permission" in done.stderr


def test_closing_takes_addresses_and_routes_along(namespace: Namespace, vti: TunDevice) -> None:
    assert len(routes(namespace)) >= 4
    vti.close()
    assert routes(namespace) == []
    assert "vti0" not in namespace.ip("addr")


def test_device_lives_as_long_as_a_copy_of_its_descriptor(namespace: Namespace, vti: TunDevice) -> None:
    copy = os.dup(vti.fd)
    vti.close()
    assert "vti0" in namespace.ip("link")
    os.close(copy)
    assert "vti0" not in namespace.ip("link")


def test_carrier(namespace: Namespace, vti: TunDevice) -> None:
    def flags() -> str:
        return namespace.ip("-o", "link", "show", "vti0")

    before_routes, before_addresses = (
        routes(namespace),
        namespace.ip("-br", "addr", "show", "vti0").split()[2:],
    )
    assert "LOWER_UP" in flags()
    assert not any("linkdown" in line for line in before_routes)
    vti.set_carrier(False)
    wait_until(lambda: "NO-CARRIER" in flags(), "no carrier")
    assert ",UP" in flags()
    assert namespace.ip("-br", "addr", "show", "vti0").split()[2:] == before_addresses
    through = [line for line in routes(namespace) if not line.startswith(("local", "anycast", "multicast"))]
    assert len(through) >= 4
    assert all("linkdown" in line for line in through if "table local" not in line)
    vti.set_carrier(True)
    wait_until(lambda: "LOWER_UP" in flags(), "carrier")
    wait_until(lambda: routes(namespace) == before_routes, "the routes as they were")
    assert namespace.ip("-br", "addr", "show", "vti0").split()[2:] == before_addresses


def test_packets_flow_after_the_carrier_is_back(namespace: Namespace, vti: TunDevice) -> None:
    io = PacketIo(vti.fd)
    vti.set_carrier(False)
    wait_until(lambda: "NO-CARRIER" in namespace.ip("link", "show", "vti0"), "no carrier")
    namespace.run("ping", "-c1", "-W1", "10.2.0.1", check=False, timeout=5)
    assert io.read_batch(10) == []
    vti.set_carrier(True)
    wait_until(lambda: namespace.call(network.has_link, "vti0"), "the kernel sends through it again")
    with answering(io):
        namespace.run("ping", "-c1", "-W5", "10.2.0.1")


def test_configured_without_carrier(namespace: Namespace) -> None:
    """As the daemon does: addresses come first, carrier with the first child."""
    with namespace.call(TunDevice.create, "vti0", False) as device:
        device.set_carrier(False)
        addresses = [ip_interface("169.254.10.1/30"), ip_interface("fd00::1/126")]
        namespace.call(configure, "vti0", addresses, [ip_address("fd00::2")], 1400, None)
        namespace.call(add_route, "vti0", ip_network("fd02::/64"), None)
        wait_until(lambda: "NO-CARRIER" in namespace.ip("link", "show", "vti0"), "no carrier")
        device.set_carrier(True)
        wait_until(lambda: "LOWER_UP" in namespace.ip("link", "show", "vti0"), "carrier")
        shown = namespace.ip("addr", "show", "vti0")
        assert "fd00::1 peer fd00::2/126" in shown
        assert "tentative" not in shown
        assert "linkdown" not in "".join(routes(namespace))
        namespace.run("ping", "-c1", "-W1", "fd02::1", check=False)
        sources = [IPv6(packet)[IPv6].src for packet in PacketIo(device.fd).read_batch(100)]
        assert sources == ["fd00::1"]


def test_carrier_of_a_device_that_is_gone(vti: TunDevice, namespace: Namespace) -> None:
    namespace.ip("link", "del", "vti0")
    with pytest.raises(TunError, match="vti0: cannot set the carrier"):
        vti.set_carrier(True)
    with pytest.raises(TunError, match="cannot read"):
        PacketIo(vti.fd).read_batch(1)
    with pytest.raises(TunError, match="cannot write"):
        PacketIo(vti.fd).write_batch([bytes(IP() / ICMP())])


@pytest.mark.parametrize("target", ["169.254.10.2", "10.2.0.1", "fd00::2"])
def test_packets_both_ways(namespace: Namespace, vti: TunDevice, target: str) -> None:
    with answering(PacketIo(vti.fd)):
        namespace.run("ping", "-c3", "-i0.01", "-W5", target)


def test_batches(namespace: Namespace, vti: TunDevice) -> None:
    io = PacketIo(vti.fd)
    io.read_batch(100)
    namespace.run("ping", "-c8", "-i0.002", "-W0.1", "10.2.0.1", check=False)
    assert [IP(packet)[ICMP].seq for packet in io.read_batch(5)] == [1, 2, 3, 4, 5]
    assert [IP(packet)[ICMP].seq for packet in io.read_batch(5)] == [6, 7, 8]
    assert io.read_batch(5) == []


def test_refused_packets_dont_stop_a_batch(namespace: Namespace, vti: TunDevice) -> None:
    request = bytes(IP(src="10.2.0.1", dst="169.254.10.1") / ICMP())
    io = PacketIo(vti.fd)
    assert io.write_batch([request, b"", b"\x00nonsense", request]) == 2
    wait_until(lambda: len(io.read_batch(10)), "the replies")
    namespace.ip("link", "set", "vti0", "down")
    io.read_batch(10)
    assert io.write_batch([request, request]) == 0
    assert io.read_batch(10) == []
    namespace.ip("link", "set", "vti0", "up")
    assert io.write_batch([request, request]) == 2


@pytest.mark.parametrize("offload", [False, True])
def test_handshakes_are_clamped_both_ways(make_namespace: MakeNamespace, offload: bool) -> None:
    """Two namespaces joined by two TUN devices: both see the other's MSS lowered."""
    one, other = make_namespace("one"), make_namespace("other")
    with (
        one.call(TunDevice.create, "vti0", offload) as here,
        other.call(TunDevice.create, "vti0", offload) as there,
    ):
        one.call(configure, "vti0", [ip_interface("10.9.0.1/30")], [], 1400, None)
        other.call(configure, "vti0", [ip_interface("10.9.0.2/30")], [], 1400, None)
        outward, inward = packet_io(here.fd, mss4=1200), packet_io(there.fd, mss4=1100)
        server = "import socket; socket.create_server(('10.9.0.2', 80)).accept()"
        other.start(sys.executable, "-c", server)
        wait_until(lambda: "10.9.0.2:80" in other.run("ss", "-lnt").stdout, "the server")
        client = one.start(sys.executable, "-c", "import socket; socket.create_connection(('10.9.0.2', 80))")
        seen: set[tuple[str, int]] = set()

        def carry() -> bool:
            for source, target in ((outward, inward), (inward, outward)):
                packets = source.read_batch(10)
                target.write_batch(packets)
                seen.update(announced(packets))
            return client.poll() is not None

        wait_until(carry, "the connection")
        assert client.returncode == 0
        assert seen == {("S", 1200), ("SA", 1100)}
