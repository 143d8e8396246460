"""Look-ups in threads: what libc says in words, and resolvers that never answer."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from ikepy.config.model import DnsName
from ikepy.daemon.net import name_threads
from ikepy.daemon.net.name_threads import THREADS, LookUpError, NameThreads
from ikepy.sa.api.path import Address
from tests.unit.daemon.in_loop import in_loop

ADDRESS = ip_address("192.0.2.1")
LIMIT = 0.2


class Libc:
    """Names that begin with "hang" are answered when the test ends; counts the calls."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []

    def __call__(self, name: str) -> list[Address]:
        self.asked.append(name)
        if name.startswith("hang"):
            self.answers.wait(30)
        return [ADDRESS]


@pytest.fixture
def libc() -> Iterator[Libc]:
    made = Libc()
    yield made
    made.answers.set()


@in_loop
async def test_one_that_never_answers_costs_its_limit_and_no_other_name_anything(libc: Libc) -> None:
    threads = NameThreads(libc, LIMIT)
    hanging = [asyncio.create_task(threads.look_up(DnsName(f"hang{n}"))) for n in range(THREADS - 1)]
    await asyncio.sleep(0)
    begin = time.monotonic()
    assert await threads.look_up(DnsName("quick")) == [ADDRESS]
    assert time.monotonic() - begin < LIMIT
    results = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(one, LookUpError) and "no name server answers" in str(one) for one in results)


@in_loop
async def test_threads_that_hang_give_way_and_have_a_bound(libc: Libc) -> None:
    before = threading.active_count()
    threads = NameThreads(libc, LIMIT)
    for _ in range(3):
        names = [DnsName(f"hang{number}") for number in range(10 * THREADS)]
        await asyncio.gather(*(threads.look_up(name) for name in names), return_exceptions=True)
    assert threading.active_count() - before <= 2 * THREADS
    assert len(libc.asked) == len(set(libc.asked)), "a name has one thread at most"


@in_loop
async def test_a_name_is_found_though_others_hung_before(libc: Libc) -> None:
    threads = NameThreads(libc, LIMIT)
    hanging = [threads.look_up(DnsName(f"hang{number}")) for number in range(THREADS)]
    await asyncio.gather(*hanging, return_exceptions=True)
    assert await threads.look_up(DnsName("quick")) == [ADDRESS]


@in_loop
async def test_who_asks_meanwhile_gets_the_same_answer(libc: Libc) -> None:
    threads = NameThreads(libc, 5)
    tasks = [asyncio.create_task(threads.look_up(DnsName("hang"))) for _ in range(3)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    libc.answers.set()
    assert await tasks[1] == await tasks[2] == [ADDRESS]
    assert libc.asked == ["hang"]


@pytest.mark.parametrize(
    ("error", "text", "gone"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "no such name", True),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no name server answers", False),
        (socket.gaierror(socket.EAI_MEMORY, "out of memory"), "out of memory", False),
        (OSError(24, "Too many open files"), "Too many open files", False),
        (None, "the name has no address", True),
    ],
)
@in_loop
async def test_failures_in_words(error: OSError | None, text: str, gone: bool) -> None:
    def ask(name: str) -> list[Address]:
        if error is not None:
            raise error
        return []

    with pytest.raises(LookUpError) as caught:
        await NameThreads(ask).look_up(DnsName("a"))
    assert text in str(caught.value) and caught.value.gone is gone


def test_what_can_be_no_hosts_address_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["192.0.2.1", "0.0.0.0", "224.0.0.1", "::ffff:192.0.2.2", "fe80::1%eth0", "2001:db8::1"]
    found = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (one, 0)) for one in given]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **keys: found)
    assert list(map(str, name_threads.ask_libc("a"))) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


def test_libc_reads_the_hosts_file() -> None:
    assert ip_address("127.0.0.1") in name_threads.ask_libc("localhost")


@in_loop
async def test_where_no_thread_can_be_started(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the limit of a pod's processes is reached: once there is room, all is well again."""
    threads = NameThreads(libc, 20)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _fails)
        for _ in range(2):
            with pytest.raises(LookUpError, match="no room for another thread") as caught:
                await threads.look_up(DnsName("quick"))
            assert not caught.value.gone
    assert await threads.look_up(DnsName("quick")) == [ADDRESS]
    assert libc.asked == ["quick"]


@in_loop
async def test_names_that_wait_hear_of_it_too(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = NameThreads(libc, 20)
    hanging = [asyncio.create_task(threads.look_up(DnsName(f"hang{n}"))) for n in range(THREADS)]
    waiting = [asyncio.create_task(threads.look_up(DnsName(f"waits{n}"))) for n in range(2000)]
    await asyncio.sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _fails)
        libc.answers.set()
        assert await asyncio.gather(*hanging) == [[ADDRESS]] * THREADS
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(one) for one in found} == {"there is no room for another thread"}


def _fails(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
