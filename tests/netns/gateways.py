"""Real daemons in namespaces, with a host's addresses behind each, for tests that carry traffic."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ikepy.control import queries
from ikepy.control.client import ClientError, ask
from tests.netns.namespaces import Namespace, wait_until

SETTLED = 0.05  # seconds without a further line of the log
RELOADED = "configuration: reloaded"
T = TypeVar("T")
IN_ALL = 15.0  # seconds: how long a daemon may take to end


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a tunnel: what its configuration says of itself."""

    identity: str
    outer: str
    vti: str
    networks: tuple[str, ...]


LEFT = Side("gwa", "192.0.2.1", "169.254.10.1", ("10.1.0.0/24", "fd01::/64"))
RIGHT = Side("gwb", "192.0.2.2", "169.254.10.2", ("10.2.0.0/24", "fd02::/64"))


def configuration(
    own: Side,
    peer: Side,
    *,
    name: str = "tunnel",
    device: str = "vti0",
    remote: str | None = None,
    connection: str = "",
    child: str = 'start_action = "none"',
    selectors: bool = False,
    vti: str | None = None,
) -> str:
    """The TOML of one connection; `connection`, `child` and `vti` are further lines of these sections.

    `selectors`: the networks are negotiated and so become routes; otherwise it is 0/0 with configured routes.
    One suite is proposed, without ML-KEM; the product's default would prefer that (`pq`).
    """
    everything = ("0.0.0.0/0", "::/0")
    routes = "" if selectors else f"routes = {json.dumps(peer.networks)}"
    addressing = f'addresses = ["{own.vti}/30"]\npeers = ["{peer.vti}"]'
    return f"""\
[connections.{name}]
local_addrs = ["{own.outer}"]
remote_addrs = ["{peer.outer if remote is None else remote}"]
proposals = ["aes128gcm16-prfsha256-x25519"]
{connection}
[connections.{name}.local]
id = "{own.identity}"
[connections.{name}.remote]
id = "{peer.identity}"
[connections.{name}.children.net]
local_ts = {json.dumps(own.networks if selectors else everything)}
remote_ts = {json.dumps(peer.networks if selectors else everything)}
esp_proposals = ["aes128gcm16"]
{child}
[connections.{name}.vti]
name = "{device}"
{addressing}
{routes if vti is None else vti}
[secrets.ike-{name}]
ids = ["{own.identity}", "{peer.identity}"]
secret = "s3cr3t"
"""


class Gateway:
    """A daemon in a namespace; its files are in `directory`."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        directory.mkdir(exist_ok=True)
        self._config = directory / "ikepy.toml"
        self._log = directory / "log"
        self.socket = directory / "s"
        self.process: subprocess.Popen[str] | None = None

    def start_file(self, path: Path, *options: str) -> None:
        """As `start`, with a file that is there."""
        self._config = path
        self._wait_for_answers(self._launch(*options))

    def launch(
        self, config: str, *options: str, before: str = "", through: str = ""
    ) -> subprocess.Popen[str]:
        """Start it without waiting for anything.

        `before`: what its shell does first; `through`: a command that becomes it.
        """
        self._config.write_text(config)
        return self._launch(*options, before=before, through=through)

    def _launch(self, *options: str, before: str = "", through: str = "") -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "ikepy", "run", "-c", self._config, "--socket", self.socket, *options]
        command = f"{before}\nexec {through} {shlex.join(map(str, words))} 2>'{self._log}'"
        self.process = self.namespace.start("sh", "-c", command)
        return self.process

    def start(self, config: str, *options: str, before: str = "", through: str = "") -> None:
        """Start it, with further `options` of "ikepy run", and wait until it answers."""
        self._wait_for_answers(self.launch(config, *options, before=before, through=through))

    def start_from_environment(self, variables: dict[str, str]) -> None:
        """Start it with `--env` and these variables, and wait until it answers."""
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        command = f"{given} exec '{sys.executable}' -m ikepy run --env --socket '{self.socket}'"
        self.process = self.namespace.start("sh", "-c", f"{command} 2>'{self._log}'")
        self._wait_for_answers(self.process)

    def _wait_for_answers(self, process: subprocess.Popen[str]) -> None:
        def answers() -> bool:
            assert process.poll() is None, self.log()
            try:
                queries.list_sas(self.socket)
            except ClientError:
                return False
            return True

        wait_until(answers, "the daemon answers", 30)

    def reload(self, config: str) -> None:
        """Give it another configuration, and wait until it has taken it."""
        assert self.process is not None
        before = self._log.read_text().count(RELOADED)
        self.rewrite(config)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._log.read_text().count(RELOADED) > before, "it is reloaded", 20)

    def rewrite(self, config: str) -> None:
        """Put another configuration in place, of which the daemon is told nothing."""
        new = self._config.with_suffix(".new")
        new.write_text(config)
        new.rename(self._config)  # the daemon may be reading: never a part of it

    def log(self) -> str:
        """What the daemon has written; its thread may write a line a moment after what the line tells."""
        before, text = None, self._log.read_text()
        while text != before:
            time.sleep(SETTLED)
            before, text = text, self._log.read_text()
        return text

    def ask(self, command: str, *, timeout: float = 0, **arguments: str | int) -> Any:
        """The answer of a command of VICI; AssertionError with the daemon's words if it fails.

        `timeout` is in seconds, 0: until it is done.
        """
        if command in ("initiate", "terminate", "rekey"):
            arguments["timeout"] = round(timeout * 1000)
        return self._answered(lambda: ask(self.socket, command, arguments, timeout=20))

    def list_sas(self) -> list[dict[str, Any]]:
        """As `ikepy list-sas --json` gives them."""
        return self._answered(lambda: [dict(sa) for sa in queries.list_sas(self.socket)])

    def drops(self) -> dict[str, dict[str, int]]:
        """As `ikepy drops --json` gives them."""
        return self._answered(lambda: queries.drops(self.socket))

    def _answered(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except ClientError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def children(self) -> list[dict[str, Any]]:
        """The installed children of all IKE_SAs."""
        found = [child for sa in self.list_sas() for child in sa["children"]]
        return [child for child in found if child["state"] == "INSTALLED"]

    def workers(self) -> list[int]:
        """The worker processes, whoever started them."""
        return [pid for pid in self.processes() if b"worker_main" in _command_line(pid)]

    def privileged(self) -> int:
        """The privileged process."""
        (pid,) = [pid for pid in self.processes() if b"privileged.main" in _command_line(pid)]
        return pid

    def processes(self) -> list[int]:
        """All processes of the daemon, control first."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(FileNotFoundError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End it with a signal; the seconds that it took. It must end by itself, and well."""
        assert self.process is not None
        start = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(IN_ALL) == 0, self.log()
        return time.monotonic() - start

    def kill(self) -> None:
        """End it without a word to its peers."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(IN_ALL)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


class Pair(NamedTuple):
    """Two gateways on one link: the fixture `pair`."""

    left: Gateway
    right: Gateway


def give_host(namespace: Namespace, side: Side) -> None:
    """Number the loopback device with the first host of each of the side's networks."""
    for network in side.networks:
        nodad = ["nodad"] if ":" in network else []
        namespace.ip("addr", "add", host(network, with_prefix=True), "dev", "lo", *nodad)


def host(network: str, *, with_prefix: bool = False) -> str:
    """The first host of a network that ends in zero."""
    address, prefix = network.split("/")
    first = f"{address}1" if ":" in address else f"{address[:-1]}1"
    return f"{first}/{prefix}" if with_prefix else first


def ping(
    namespace: Namespace, own: Side, peer: Side, *options: str, version: int = 4, count: int = 3
) -> bool:
    """Whether every one of `count` pings from host to host is answered.

    One at a time: after the last of several, ping waits for no longer than twice the RTT that it saw.
    """
    index = 0 if version == 4 else 1
    command = ["ping", f"-{version}", "-n", "-q", "-W", "2", "-c", "1", *options]
    command += ["-I", host(own.networks[index]), host(peer.networks[index])]
    return all([namespace.run(*command, check=False).returncode == 0 for _ in range(count)])  # noqa: C419  all are sent


def device_flags(namespace: Namespace, device: str) -> list[str]:
    """The flags of a device as ip shows them; empty if there is none."""
    found = namespace.run("ip", "-j", "link", "show", "dev", device, check=False)
    return list(json.loads(found.stdout)[0]["flags"]) if found.returncode == 0 else []


def has_carrier(namespace: Namespace, device: str = "vti0") -> bool:
    return "LOWER_UP" in device_flags(namespace, device)
