"""The ikepy daemon in a network namespace."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ikepy import listing
from ikepy.control import queries
from ikepy.control.client import ClientError, Message, ask
from ikepy.daemon.vici.message import Value
from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.process import Process


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection with one child and its device, in the words of the configuration file.

    `extra`, `child_extra`, `vti_extra` and `daemon` are further lines of TOML for the connection, the child,
    the device and `[daemon]`; `local_auth`, `remote_auth`: those of both sides about authentication; `more`:
    further sections. One suite is proposed unless others are given, without ML-KEM; the gateway's default
    would prefer that (`pq`).
    """

    name: str = "net"
    local_addrs: tuple[str, ...] = ("%any",)
    remote_addrs: tuple[str, ...] = ("%any",)
    local_id: str = "gwa"
    remote_id: str = "gwb"
    proposals: tuple[str, ...] = ("aes128gcm16-prfsha256-x25519",)
    esp_proposals: tuple[str, ...] = ("aes128gcm16",)
    local_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    remote_ts: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    start_action: str = "none"
    child: str = "net"
    secret: str = field(default="s3cr3t", repr=False)
    device: str = "vti0"
    addresses: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    routes: tuple[str, ...] | None = None
    mobike: bool = True
    extra: str = ""
    child_extra: str = ""
    vti_extra: str = ""
    daemon: str = ""
    local_auth: str = 'auth = "psk"'
    remote_auth: str = 'auth = "psk"'
    more: str = ""

    def text(self) -> str:
        """The TOML file: the connection, its secret and the daemon's settings."""
        return document([self], self.daemon)

    def tables(self) -> str:
        """The file's tables for this connection and its secret."""
        words = json.dumps  # a list of JSON strings is a TOML array of strings
        routes = "" if self.routes is None else f"routes = {words(self.routes)}"
        return f"""\
[connections.{self.name}]
local_addrs = {words(self.local_addrs)}
remote_addrs = {words(self.remote_addrs)}
proposals = {words(self.proposals)}
mobike = {words(self.mobike)}
{self.extra}
[connections.{self.name}.local]
{self.local_auth}
id = {words(self.local_id)}
[connections.{self.name}.remote]
{self.remote_auth}
id = {words(self.remote_id)}
[connections.{self.name}.children.{self.child}]
local_ts = {words(self.local_ts)}
remote_ts = {words(self.remote_ts)}
esp_proposals = {words(self.esp_proposals)}
start_action = {words(self.start_action)}
{self.child_extra}
[connections.{self.name}.vti]
name = {words(self.device)}
addresses = {words(self.addresses)}
peers = {words(self.peers)}
{routes}
{self.vti_extra}
[secrets.ike-{self.name}]
ids = {words((self.local_id, self.remote_id))}
secret = {words(self.secret)}
{self.more}
"""


def document(connections: Iterable[Connection], daemon: str = "") -> str:
    """The TOML file of several connections; `daemon` are the lines of `[daemon]`."""
    return "".join([*(connection.tables() for connection in connections), f"[daemon]\n{daemon}\n"])


class Gateway:
    """An ikepy in `namespace`, its files in `run_directory` (made, and removed by `stop`).

    Use it as a context manager around `start`, or call `start` and `stop`.
    """

    def __init__(self, namespace: Namespace, run_directory: Path) -> None:
        self.namespace = namespace
        self.run_directory = run_directory
        self.socket = run_directory / "ikepy.sock"
        self._config = run_directory / "ikepy.toml"
        self._process = Process(namespace, run_directory)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        config: str | Connection,
        patience: float = 15.0,
        environment: Mapping[str, str] | None = None,
    ) -> Gateway:
        """Start the daemon, with further variables in its `environment`, and wait until its control socket
        answers (seconds). LabError with the log."""
        self.run_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._config.touch(mode=0o600)
        self._config.write_text(config.text() if isinstance(config, Connection) else config)
        command = (
            sys.executable,
            "-m",
            "ikepy",
            "run",
            "-c",
            str(self._config),
            "--socket",
            str(self.socket),
        )
        self._process.start(*command, environment={"PYTHONUNBUFFERED": "1", **(environment or {})})
        try:
            self._wait_for_socket(patience)
        except BaseException:
            self.stop(keep_files=True)
            raise
        return self

    def _wait_for_socket(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running:
            if self.socket.exists():
                try:
                    self.list_sas()
                except LabError:
                    pass
                else:
                    return
            time.sleep(0.02)
        raise LabError(f"ikepy in {self.namespace.name} does not start:\n{self.log()[-2000:]}")

    @property
    def running(self) -> bool:
        """Is the process there?"""
        return self._process.running

    @property
    def pid(self) -> int | None:
        """The control process while it runs."""
        return self._process.pid

    def ask(
        self, command: str, arguments: Mapping[str, Value] | None = None, timeout: float = 30.0
    ) -> Message:
        """One VICI command: its answer. LabError with the daemon's words when it fails."""
        try:
            return ask(self.socket, command, arguments, timeout=timeout)
        except ClientError as error:
            raise LabError(f"ikepy in {self.namespace.name}: {error}") from None

    def list_sas(self) -> list[listing.IkeSa]:
        """One dictionary an IKE_SA, as `ikepy list-sas --json` gives them."""
        try:
            return queries.list_sas(self.socket)
        except ClientError as error:
            raise LabError(f"ikepy in {self.namespace.name}: {error}") from None

    def children(self) -> list[listing.ChildSa]:
        """The children of every IKE_SA."""
        return [child for sa in self.list_sas() for child in sa["children"]]

    @property
    def established(self) -> bool:
        """Is a child installed?"""
        return any(child["state"] == "INSTALLED" for child in self.children())

    def initiate(self, child: str = "net", timeout: float = 15.0) -> None:
        """Bring a child up; LabError with the daemon's words when it fails."""
        self.ask("initiate", {"child": child, **_milliseconds(timeout)}, timeout + 5)

    def terminate(
        self, *, ike: str | None = None, child: str | None = None, force: bool = False, timeout: float = 15.0
    ) -> None:
        """Delete the SAs named."""
        named = {key: value for key, value in (("ike", ike), ("child", child)) if value is not None}
        options = {"force": "yes" if force else "no", **_milliseconds(timeout)}
        self.ask("terminate", {**named, **options}, timeout + 5)

    def rekey(
        self,
        *,
        ike: str | None = None,
        child: str | None = None,
        reauth: bool = False,
        timeout: float = 15.0,
    ) -> None:
        """Rekey the SAs named; LabError with the daemon's words when it fails."""
        named = {key: value for key, value in (("ike", ike), ("child", child)) if value is not None}
        options = {"reauth": "yes" if reauth else "no", **_milliseconds(timeout)}
        self.ask("rekey", {**named, **options}, timeout + 5)

    @property
    def config(self) -> str:
        """The configuration file's text."""
        return self._config.read_text()

    def reload(self, config: str) -> str:
        """Give it another configuration file; what changed, in its words. LabError if it refuses that."""
        self._config.write_text(config)
        return str(self.ask("reload").get("changed", ""))

    def describe(self) -> str:
        """The SAs for people, as `ikepy list-sas` prints them."""
        return "\n".join(listing.sas(self.list_sas()))

    def log(self) -> str:
        """The daemon's log so far."""
        return self._process.log()

    def stop(self, *, keep_files: bool = False, patience: float = 6.0) -> bool:
        """End the daemon (it deletes its SAs at the peers), and remove its files. Did it end by itself?

        May be called twice.
        """
        in_time = self._process.stop(patience)
        if not keep_files:
            shutil.rmtree(self.run_directory, ignore_errors=True)
        return in_time

    def kill(self) -> None:
        """End the daemon's control process at once (SIGKILL): its peers get no DELETE."""
        self._process.kill()


def _milliseconds(timeout: float) -> dict[str, int]:
    """VICI's timeout of seconds."""
    return {"timeout": round(timeout * 1000)}
