"""The HTTP server of real daemons: readiness follows the tunnel, and counters what it carries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, ping
from tests.netns.namespaces import wait_until
from tests.scraped import Scraped

pytestmark = pytest.mark.root

PORT = 9427
HTTP = f'\n[daemon.http]\nlisten = "127.0.0.1:{PORT}"\nstrongswan_names = true\n'
CHILD = {"connection": "tunnel", "child": "net"}


def get(gateway: Gateway, path: str) -> tuple[int, str]:
    """Status and content, asked from within the gateway's namespace."""

    def ask() -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{PORT}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return gateway.namespace.call(ask)


def scrape(gateway: Gateway) -> Scraped:
    status, text = get(gateway, "/metrics")
    assert status == 200, text
    return Scraped(text)


def child_value(gateway: Gateway, name: str, **labels: str) -> float:
    return scrape(gateway).value(f"ikepy_child_{name}", **CHILD, **labels)


def is_ready(gateway: Gateway) -> bool:
    return get(gateway, "/readyz")[0] == 200


def test_readiness_and_counters(pair: Pair) -> None:
    left, right = pair
    left.start(configuration(LEFT, RIGHT, child='start_action = "start"') + HTTP)
    status, text = get(left, "/readyz")
    assert status == 503
    assert text.startswith("not ready: 0 of 1 children are up\ntunnel/net waits for ")
    assert get(left, "/healthz") == (200, "ok\n")
    assert scrape(left).value("ikepy_children_down") == 1

    right.start(configuration(RIGHT, LEFT))
    wait_until(lambda: is_ready(left), "it is ready", 20)
    assert ping(left.namespace, LEFT, RIGHT, count=5)
    wait_until(lambda: child_value(left, "sent_packets_total") >= 5, "what went out is counted", 5)
    wait_until(lambda: child_value(left, "received_packets_total") >= 5, "what came in is counted", 5)
    found = scrape(left)
    assert found.value("ikepy_ike_handshakes_total", connection="tunnel", outcome="established") == 1
    assert found.value("ikepy_ike_sas", state="ESTABLISHED") == 1
    assert found.value("ikepy_device_carrier", connection="tunnel", device="vti0") == 1
    assert found.value("strongswan_ike_count") == 1
    (sa,) = json.loads(get(left, "/sas")[1])
    assert (sa["connection"], sa["spi_i"]) == ("tunnel", left.list_sas()[0]["spi_i"])

    # A rekey begins an SA's own counters anew; the child's go on.
    before = child_value(left, "sent_bytes_total")
    left.ask("rekey", child="net")
    wait_until(lambda: child_value(left, "rekeys_total", outcome="done") == 1, "it is rekeyed", 5)
    wait_until(lambda: len(left.children()) == 1, "the old SA is gone", 20)
    assert child_value(left, "sent_bytes_total") >= before
    assert ping(left.namespace, LEFT, RIGHT)
    wait_until(lambda: child_value(left, "sent_bytes_total") > before, "the total goes on", 5)

    right.kill()
    left.ask("terminate", ike="tunnel", force="yes")
    wait_until(lambda: not is_ready(left), "it is not ready any more", 5)
    ended = {"connection": "tunnel", "reason": "deleted"}
    wait_until(lambda: scrape(left).find("ikepy_ike_ends_total", **ended) == 1, "its end is counted", 5)
    right.start(configuration(RIGHT, LEFT))
    left.ask("initiate", child="net")
    wait_until(lambda: is_ready(left), "it is ready again", 40)
    left.stop()
    right.stop()


async def ask_until(stop: threading.Event, *, request: bytes) -> int:
    """Ask again and again, or say nothing for as long as one is let. How often an answer came."""
    answered = 0
    while not stop.is_set():
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
                try:
                    writer.write(request)
                    answered += (await reader.read(-1)).startswith(b"HTTP/1.1 200")
                finally:
                    writer.transport.abort()
    return answered


async def besiege(stop: threading.Event) -> int:
    """Forty who ask for the dearest page, and sixty who stay silent."""
    dear = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    asking = [ask_until(stop, request=request) for request in [dear] * 40 + [b""] * 60]
    return sum(await asyncio.gather(*asking))


@contextlib.contextmanager
def siege(gateway: Gateway) -> Iterator[None]:
    """Clients that flood the server, while the test goes on."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(gateway.namespace.call, lambda: asyncio.run(besiege(stop)))
        try:
            yield
        finally:
            stop.set()
        assert answered.result() > 20


def resident(gateway: Gateway) -> float:
    return scrape(gateway).value("ikepy_control_resident_memory_bytes")


def test_a_flood_of_clients_costs_no_tunnel_anything(pair: Pair) -> None:
    """ESP goes on without a loss, rekeys and commands are done, memory does not grow."""
    left, right = pair
    right.start(configuration(RIGHT, LEFT))
    left.start(configuration(LEFT, RIGHT, child='start_action = "start"') + HTTP)
    wait_until(lambda: is_ready(left), "it is ready", 20)
    scrape(left)
    before = resident(left)
    with siege(left):
        assert ping(left.namespace, LEFT, RIGHT, count=30)
        left.ask("rekey", child="net", timeout=5)
        left.ask("rekey", ike="tunnel", timeout=5)
        assert ping(left.namespace, LEFT, RIGHT, count=10)
        status, text = get(left, "/readyz")  # whoever means well is served
        assert status == 200, text
    assert "retransmit" not in left.log() + right.log()
    assert resident(left) < before + 16 * 2**20
    left.stop()
    right.stop()
