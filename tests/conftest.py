"""Skips what this machine cannot run, and makes network namespaces for the tests that need some.

Markers: `@pytest.mark.root`, `strongswan`, `radvd`, `bird`, `freeradius`, `chromium` and `tshark` skip a
test, with the reason, where these are missing. Fixtures, for tests marked `root`; what they make is gone
after the test, also after a failure:

- `make_namespace`: a function; `make_namespace("site")` gives a `Namespace` called ikt-<pid>-site-<random>.
- `namespace`: one such, ready.

    @pytest.mark.root
    def test_ping(make_namespace: MakeNamespace) -> None:
        one, other = make_namespace("one"), make_namespace("other")
        connect(one, other, "eth0", "eth0", ["192.0.2.1/24"], ["192.0.2.2/24"])
        one.run("ping", "-c1", "192.0.2.2")               # a command inside, to its end
        daemon = other.start("ikepy", "run", "-c", path)  # one that stays; killed at the end
        device = one.call(TunDevice.create, "vti0")       # a function inside, in a thread of this process

`Namespace`, `MakeNamespace`, `connect` and `wait_until` stand in `tests.netns.namespaces`. Devices may have
whatever names they like inside.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.netns.namespaces import MakeNamespace, Namespace, factory, remove_stale

# The machine may be busy, and no test is about the speed of its examples.
settings.register_profile(
    "ikepy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("ikepy")

# A shell's jobs in the background have it ignored, and whatever tests start would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes stays: to look for garbage in it would take a quarter of its time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {
        "root": _no_root(),
        "strongswan": _no_strongswan(),
        "radvd": _no_command("radvd", "radvd"),
        "bird": _no_command("bird", "bird2"),
        "freeradius": _no_command("/usr/sbin/freeradius", "freeradius"),
        "tshark": _no_command("tshark", "tshark"),
        "chromium": _no_command("chromium", "chromium") or _no_command("chromedriver", "chromium-driver"),
    }
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """A variable that a test leaves changed would break others later, far from its cause."""
    before = _environment()
    yield
    assert _environment() == before


@pytest.fixture(scope="session")
def _no_stale_namespaces() -> None:
    remove_stale()


@pytest.fixture
def make_namespace(_no_stale_namespaces: None) -> Iterator[MakeNamespace]:
    """A function that makes a namespace with a label in its name."""
    with factory() as make:
        yield make


@pytest.fixture
def namespace(make_namespace: MakeNamespace) -> Namespace:
    """One network namespace with `lo` up and nothing else."""
    return make_namespace("one")


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _no_root() -> str:
    """Why network namespaces and TUN devices can't be made here, "" if they can."""
    if os.geteuid() != 0:
        return "needs root"
    if not _capable(CAP_NET_ADMIN) or not _capable(CAP_SYS_ADMIN):
        return "needs the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    if shutil.which("ip") is None:
        return "needs the command ip (Debian: iproute2)"
    return ""


def _no_strongswan() -> str:
    missing = [name for name in ("charon-systemd", "swanctl") if shutil.which(name) is None]
    return f"needs strongSwan: no {' nor '.join(missing)} found" if missing else ""


def _no_command(command: str, package: str) -> str:
    return "" if shutil.which(command) else f"needs the command {command} (Debian: {package})"


def _capable(capability: int) -> bool:
    """Whether this process has a capability (linux/capability.h) in its effective set."""
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next((line for line in status if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(effective.split()[1], 16) >> capability & 1)
