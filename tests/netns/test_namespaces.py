"""The fixtures' own promise: what they make is gone afterwards, whatever happened."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.netns.namespaces import (
    NAMESPACES,
    MakeNamespace,
    Namespace,
    connect,
    factory,
    ip,
    remove_stale,
    wait_until,
)

pytestmark = pytest.mark.root


def test_gone_with_its_processes_also_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), factory() as make:
        one, other = make("one"), make("other")
        process = one.start("sh", "-c", "sleep 1000 & sleep 1000")
        wait_until(lambda: len(one.run("pgrep", "sleep", check=False).stdout.split()) >= 2, "two sleepers")
        inside = [int(pid) for pid in ip("netns", "pids", one.name).split()]
        raise ZeroDivisionError
    assert process.returncode is not None
    assert not any((NAMESPACES / gone.name).exists() for gone in (one, other))
    assert len(inside) == 3
    wait_until(lambda: not any(running(pid) for pid in inside), "their end")


def running(pid: int) -> bool:
    """Whether the process does anything: one that nobody has waited for yet has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_two_of_one_label(make_namespace: MakeNamespace) -> None:
    assert make_namespace("one").name != make_namespace("one").name


def test_call(namespace: Namespace) -> None:
    own_namespace = Path("/proc/thread-self/ns/net")
    before = own_namespace.readlink()
    assert namespace.call(lambda: [name for _, name in socket.if_nameindex()]) == ["lo"]
    assert namespace.call(int, "12", base=3) == 5
    with pytest.raises(ZeroDivisionError):
        namespace.call(divmod, 1, 0)
    assert namespace.call(own_namespace.readlink) != before
    assert own_namespace.readlink() == before


def test_run(namespace: Namespace) -> None:
    assert namespace.run("cat", text="hello").stdout == "hello"
    with pytest.raises(AssertionError, match="status 1\nout\nerr"):
        namespace.run("sh", "-c", "echo out; echo err >&2; exit 1")
    assert namespace.run("false", check=False).returncode == 1
    with pytest.raises(subprocess.TimeoutExpired):
        namespace.run("sleep", "10", timeout=0.1)


def test_connect(make_namespace: MakeNamespace) -> None:
    one, other = make_namespace("one"), make_namespace("other")
    connect(one, other, "eth0", "wan0", ["192.0.2.1/24", "fd00::1/64"], ["192.0.2.2/24", "fd00::2/64"], 1400)
    for target in ("192.0.2.2", "fd00::2"):
        one.run("ping", "-c1", "-W5", target)
    assert "mtu 1400" in other.ip("link", "show", "wan0")


def test_wait_until() -> None:
    answers = iter([False, False, True])
    wait_until(lambda: next(answers), "the third")
    with pytest.raises(AssertionError, match=r"not within 0.05 s: never"):
        wait_until(lambda: False, "never", 0.05)


def test_stale_namespaces_are_removed(namespace: Namespace) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    stale = f"ikt-{dead.pid}-one-0000"
    ip("netns", "add", stale)
    left = subprocess.Popen(["ip", "netns", "exec", stale, "sleep", "1000"])
    wait_until(lambda: str(left.pid) in ip("netns", "pids", stale), "it runs there")
    remove_stale()
    assert left.wait(10) == -signal.SIGKILL
    assert not (NAMESPACES / stale).exists()
    assert (NAMESPACES / namespace.name).exists()
