"""Who may import whom: the imports of every module, read from its syntax tree, against one table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ikepy", "esp", "tun")
OURS = frozenset(PACKAGES)

IMPURE = frozenset({"asyncio", "socket", "time", "os", "secrets", "random"})
FOR_TESTS_ALONE = frozenset({"scapy", "hypothesis", "pytest", "tests", "benchmarks"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Modules in `within`, less those in `beside`, import nothing of `never`, and of `of` only `only`.

    All are module names; a package stands for what is in it.
    """

    name: str
    within: frozenset[str]
    beside: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def forbids(self, module: str, imported: str) -> bool:
        if not _inside(module, self.within) or _inside(module, self.beside):
            return False
        return _inside(imported, self.never) or (
            _inside(imported, self.of) and not _inside(imported, self.only)
        )


RULES = [
    Rule(
        "sa sees the wire, the crypto and the model alone",
        within=frozenset({"ikepy.sa"}),
        of=OURS,
        only=frozenset(
            {
                *(
                    "ikepy.sa",
                    "ikepy.eap",
                    "ikepy.wire",
                    "ikepy.crypto",
                    "ikepy.errors",
                    "ikepy.config.auth_method",
                    "ikepy.config.difference",
                    "ikepy.config.model",
                    "ikepy.config.identity",
                    "ikepy.config.pools",
                ),
                *("esp.packet.selectors", "esp.sa.suites"),
            }
        ),
    ),
    Rule("wire and sa do no I/O", within=frozenset({"ikepy.wire", "ikepy.sa"}), never=IMPURE),
    Rule(
        "eap sees the wire and the crypto alone",
        within=frozenset({"ikepy.eap"}),
        of=OURS,
        only=frozenset({"ikepy.eap", "ikepy.wire", "ikepy.crypto", "ikepy.errors"}),
    ),
    Rule("eap does no I/O", within=frozenset({"ikepy.eap"}), never=IMPURE),
    Rule(
        "OpenSSL and MD4 only in the crypto",
        within=OURS,
        beside=frozenset({"ikepy.crypto"}),
        never=frozenset({"OpenSSL", "Crypto"}),
    ),
    Rule(
        "wire knows no keys, no policy and no state",
        within=frozenset({"ikepy.wire"}),
        of=OURS,
        only=frozenset({"ikepy.wire", "ikepy.errors"}),
    ),
    Rule("esp stands alone", within=frozenset({"esp"}), of=OURS, only=frozenset({"esp"})),
    Rule(
        "esp.packet uses no other room",
        within=frozenset({"esp.packet"}),
        of=frozenset({"esp"}),
        only=frozenset({"esp.packet"}),
    ),
    *(
        Rule(
            f"esp.{room} uses esp.packet alone",
            within=frozenset({f"esp.{room}"}),
            of=frozenset({"esp"}),
            only=frozenset({"esp.packet", f"esp.{room}"}),
        )
        for room in ("sa", "net")
    ),
    Rule(
        "esp.ipc uses no data path",
        within=frozenset({"esp.ipc"}),
        never=frozenset({"esp.datapath"}),
    ),
    Rule(
        "esp.packet and esp.sa do no I/O", within=frozenset({"esp.packet", "esp.sa"}), never=IMPURE - {"os"}
    ),
    Rule("tun stands alone", within=frozenset({"tun"}), of=OURS, only=frozenset({"tun"})),
    Rule(
        "pyroute2 only in tun and the lab",
        within=OURS,
        beside=frozenset({"tun", "ikepy.lab"}),
        never=frozenset({"pyroute2"}),
    ),
    Rule(
        "cryptography only behind its doors",
        within=OURS,
        beside=frozenset({"ikepy.crypto", "ikepy.pki", "esp.sa.ciphers", "esp.sa.macs"}),
        never=frozenset({"cryptography"}),
    ),
    Rule(
        "nothing below the daemon and the lab knows them",
        within=frozenset(
            {"ikepy.wire", "ikepy.crypto", "ikepy.eap", "ikepy.sa", "ikepy.config", "ikepy.errors"}
        ),
        never=frozenset({"ikepy.daemon", "ikepy.control", "ikepy.dissect", "ikepy.lab", "ikepy.cli", "tun"}),
    ),
    Rule(
        "the model does not know its checks, its reference and its sources",
        within=frozenset({"ikepy.config"}),
        beside=frozenset(
            {
                *("ikepy.config.checks", "ikepy.config.reference", "ikepy.config.sources"),
                "ikepy.config.toml_source",
            }
        ),
        never=frozenset(
            {
                *("ikepy.config.checks", "ikepy.config.reference", "ikepy.config.sources"),
                "ikepy.config.toml_source",
            }
        ),
    ),
    Rule(
        "the daemon does not know its clients",
        within=frozenset({"ikepy.daemon"}),
        never=frozenset({"ikepy.control", "ikepy.lab", "ikepy.cli"}),
    ),
    Rule(
        "clients share VICI's codec with the daemon, and nothing else; what shows certificates is pki's",
        within=frozenset({"ikepy.control"}),
        of=OURS,
        only=frozenset(
            {
                *("ikepy.control", "ikepy.listing", "ikepy.errors", "ikepy.__version__"),
                *("ikepy.daemon.vici.message", "ikepy.daemon.vici.packets", "ikepy.pki.showing"),
                "ikepy.option_types",
            }
        ),
    ),
    Rule(
        "the dissector takes part in nothing",
        within=frozenset({"ikepy.dissect"}),
        beside=frozenset({"ikepy.dissect.cli"}),
        of=OURS,
        only=frozenset(
            {
                *("ikepy.dissect", "ikepy.wire", "ikepy.crypto", "ikepy.eap.packet", "ikepy.errors"),
                *("ikepy.sa.api", "ikepy.sa.message.int_auth", "ikepy.sa.message.fragments", "esp.sa"),
                "ikepy.sa.auth.signed_auth",
            }
        ),
    ),
    Rule("the dissector does no I/O", within=frozenset({"ikepy.dissect"}), never=IMPURE),
    Rule("impairments do no I/O", within=frozenset({"ikepy.impair"}), never=IMPURE),
    Rule(
        "an impaired machine is the machine, and what only a daemon for tests loads",
        within=OURS,
        beside=frozenset(
            {
                *("ikepy.impair", "ikepy.cli", "ikepy.daemon.impaired", "ikepy.daemon.checks"),
                "ikepy.daemon.workers.worker_main",
            }
        ),
        never=frozenset({"ikepy.impair"}),
    ),
    Rule(
        "no runtime module needs what only tests have",
        within=OURS,
        beside=frozenset({"ikepy.probe.pytest_plugin"}),  # which pytest loads
        never=FOR_TESTS_ALONE,
    ),
]


# The rooms of the IKE machine, lowest first: each may import from itself and from those before it.
SA_ROOMS = (
    "api",
    "message",
    "negotiation",
    "admission",
    "auth",
    "state",
    "takeover",
    "exchange",
    "tasks",
    "driver",
    "setup",
    "lifecycle",
    "manager",
)
# The daemon's, alike. Log, errors and interfaces are below them, checks and service above.
DAEMON_ROOMS = (
    "log_writer",
    "log_format",
    "log",
    "log_limit",
    "errors",
    "in_thread",
    "supervision",
    "interfaces",
    "bus",
    "credentials",
    "to_the_end",
    "farewell",
    "desired_config",
    "reload_requests",
    "config_watch",
    "process",
    "signer",
    "probe",
    "net",
    "device",
    "workers",
    "effects",
    "radius",
    "router",
    "control",
    "diagnosis",
    "http",
    "vici",
    "events",
    "privileged",
    "checks",
    "host_checks",
    "core",
    "services",
    "reconfiguration",
    "service",
    "impaired",
    "main",
)
RULES += [
    Rule(
        f"{package}.{room} knows nothing above it",
        within=frozenset({f"ikepy.{package}.{room}"}),
        never=frozenset(f"ikepy.{package}.{above}" for above in rooms[height + 1 :]),
    )
    for package, rooms in (("sa", SA_ROOMS), ("daemon", DAEMON_ROOMS))
    for height, room in enumerate(rooms)
]


def _inside(module: str, packages: frozenset[str]) -> bool:
    """Whether the module is one of the packages or in one."""
    parts = module.split(".")
    return any(".".join(parts[:length]) in packages for length in range(1, len(parts) + 1))


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def imports(module: str, path: Path) -> tuple[tuple[int, str], ...]:
    """As `_imports`, read once: most rules look at every module."""
    return tuple(_imports(module, path))


def _imports(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that the module imports, wherever in it the import stands.

    `from a import b` is `a.b`: the name may be a module's.
    """
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def violations(root: Path, rule: Rule) -> list[str]:
    return [
        f"{path.relative_to(root)}:{line}: {imported}"
        for module, path in modules(root)
        for line, imported in imports(module, path)
        if rule.forbids(module, imported)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_is_held(rule: Rule) -> None:
    assert violations(ROOT, rule) == []


def circle(root: Path) -> list[str]:
    """Modules that import each other in a circle, `TYPE_CHECKING` or not; none if there is no circle."""
    known = dict(modules(root))
    arrows = {
        module: {
            name
            for _, imported in imports(module, path)
            for name in (imported, imported.rpartition(".")[0])
            if name in known and name != module
        }
        for module, path in known.items()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_circle() -> None:
    assert circle(ROOT) == []


def test_circle_is_found(tmp_path: Path) -> None:
    texts = {
        "esp/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from esp.b import B",
        "esp/b.py": "from . import c",
        "esp/c.py": "import esp.a",
        "esp/d.py": "import esp.a",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert set(circle(tmp_path)) == {"esp.a", "esp.b", "esp.c"}


@pytest.mark.parametrize(("package", "rooms"), [("sa", SA_ROOMS), ("daemon", DAEMON_ROOMS)])
def test_every_room_stands_in_the_order(package: str, rooms: tuple[str, ...]) -> None:
    prefix = f"ikepy.{package}."
    found = {module.split(".")[2] for module, _ in modules(ROOT) if module.startswith(prefix)}
    assert found == set(rooms)


def test_all_packages_are_read() -> None:
    found = {module for module, _ in modules(ROOT)}
    assert {"ikepy.wire.constants", "ikepy.sa", "ikepy.errors", "esp.packet.selectors", "tun.device"} <= found


BREACHES = [
    ("ikepy/sa/a.py", "import time", "wire and sa do no I/O"),
    ("ikepy/wire/a.py", "def f():\n    from os import urandom", "wire and sa do no I/O"),
    ("ikepy/wire/a.py", "import os.path", "wire and sa do no I/O"),
    (
        "ikepy/sa/a.py",
        "from ikepy.config import toml_source",
        "sa sees the wire, the crypto and the model alone",
    ),
    ("ikepy/sa/tasks/a.py", "from ...daemon import x", "sa sees the wire, the crypto and the model alone"),
    (
        "ikepy/sa/a.py",
        "from esp.datapath.worker import Worker",
        "sa sees the wire, the crypto and the model alone",
    ),
    (
        "ikepy/wire/a.py",
        "from ikepy.crypto.secret import Secret",
        "wire knows no keys, no policy and no state",
    ),
    ("ikepy/crypto/a.py", "from ikepy import daemon", "nothing below the daemon and the lab knows them"),
    ("ikepy/sa/state/a.py", "from ikepy.sa.tasks import init", "sa.state knows nothing above it"),
    ("ikepy/sa/api/a.py", "from ..state.ike_sa import IkeSa", "sa.api knows nothing above it"),
    ("ikepy/daemon/net/a.py", "from ikepy.daemon.effects import runner", "daemon.net knows nothing above it"),
    ("esp/a.py", "import ikepy.errors", "esp stands alone"),
    ("esp/a.py", "from tun import device", "esp stands alone"),
    ("esp/packet/a.py", "from esp.sa.suites import Suite", "esp.packet uses no other room"),
    ("esp/sa/a.py", "from esp.net import cmsg", "esp.sa uses esp.packet alone"),
    ("esp/net/a.py", "def f():\n    from esp.ipc import messages", "esp.net uses esp.packet alone"),
    ("esp/ipc/a.py", "from esp.datapath.limits import RateLimit", "esp.ipc uses no data path"),
    ("esp/sa/a.py", "import time", "esp.packet and esp.sa do no I/O"),
    ("tun/__init__.py", "from esp.packet.selectors import Selector", "tun stands alone"),
    ("esp/b.py", "from pyroute2 import IPRoute", "pyroute2 only in tun and the lab"),
    ("ikepy/daemon/a.py", "import pyroute2.netns", "pyroute2 only in tun and the lab"),
    (
        "esp/datapath/worker.py",
        "from cryptography.exceptions import InvalidTag",
        "cryptography only behind its doors",
    ),
    ("ikepy/lab/a.py", "import scapy.all", "no runtime module needs what only tests have"),
]


@pytest.mark.parametrize(("file", "source", "name"), BREACHES)
def test_breach_is_found(tmp_path: Path, file: str, source: str, name: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert name in [rule.name for rule in RULES if violations(tmp_path, rule)]


ALLOWED = [
    (
        "ikepy/sa/a.py",
        "from ikepy.config.model import Child\nfrom esp.sa.suites import Suite\nfrom . import path",
    ),
    ("ikepy/sa/tasks/a.py", "from ..window import Window\nfrom ikepy.crypto import prf\nimport dataclasses"),
    ("ikepy/daemon/a.py", "import os, asyncio\nfrom tun.device import TunDevice\nimport esp.datapath.worker"),
    ("ikepy/lab/a.py", "import pyroute2\nimport ikepy.daemon.run"),
    ("tun/a.py", "from pyroute2 import IPRoute\nfrom tun.mss import clamp"),
    ("esp/datapath/a.py", "from esp.ipc import messages\nfrom esp.net import cmsg\nimport time"),
    ("esp/ipc/a.py", "from esp.sa.suites import Suite\nfrom esp.net.sockets import SocketKind"),
    ("esp/sa/ciphers.py", "from cryptography.hazmat.primitives.ciphers.aead import AESGCM"),
    ("ikepy/crypto/a.py", "import cryptography\nimport os"),
]


@pytest.mark.parametrize(("file", "source"), ALLOWED)
def test_permitted_is_not_reported(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert [found for rule in RULES for found in violations(tmp_path, rule)] == []
