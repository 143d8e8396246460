"""A real libreswan (pluto, whack) in a network namespace: a peer that can be made to misbehave.

Debian's package conflicts with strongSwan's, so `.ci/set-up` unpacks it into the virtual environment. pluto
finds its helpers under /usr/libexec/ipsec only: its mount namespace has a symlink there. It needs XFRM
in the kernel to start, and kernel ESP to install a CHILD_SA: without that, only its IKE_SA comes up.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from ikepy.lab.netns import LabError, Namespace, run
from ikepy.lab.process import Process

ROOT = Path(sys.prefix) / "libreswan"
LIBEXEC = ROOT / "usr/libexec/ipsec"
CERTUTIL = "certutil"
_START = """\
mount -t tmpfs tmpfs /usr/libexec && ln -s "$1" /usr/libexec/ipsec && shift || exit
exec /usr/libexec/ipsec/pluto "$@"
"""
_STATE = re.compile(r'^\d+ #(\d+): "([^"]+)"\S*? (STATE_\w+)', re.MULTILINE)


def missing() -> str | None:
    """Why a libreswan can't be started here (for a test's skip reason), or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not (LIBEXEC / "pluto").exists():
        return "needs Debian's libreswan, unpacked by .ci/set-up"
    if shutil.which(CERTUTIL) is None:
        return "needs Debian's libnss3-tools"
    if not Path("/proc/sys/net/core/xfrm_acq_expires").exists():
        return "needs XFRM in the kernel"
    return None


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection in ipsec.conf's words; `left` is libreswan. `options` are further keys."""

    name: str = "net"
    left: str = "192.0.2.2"
    right: str = "192.0.2.1"
    left_id: str = "gwb"
    right_id: str = "gwa"
    ike: str = "aes_gcm128-sha2_256-dh31"
    esp: str = "aes_gcm128"
    left_subnet: str = "10.2.0.0/24"
    right_subnet: str = "10.1.0.0/24"
    secret: str = field(default="s3cr3t", repr=False)
    options: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """ipsec.conf."""
        options = "".join(f"    {key}={value}\n" for key, value in self.options.items())
        return f"""\
config setup

conn {self.name}
    ikev2=insist
    authby=secret
    left={self.left}
    right={self.right}
    leftid={_identity(self.left_id)}
    rightid={_identity(self.right_id)}
    leftsubnet={self.left_subnet}
    rightsubnet={self.right_subnet}
    ike={self.ike}
    esp={self.esp}
    auto=add
{options}"""

    def secrets(self) -> str:
        """ipsec.secrets."""
        secret = self.secret if self.secret.startswith("0x") else f'"{self.secret}"'
        return f"{_identity(self.left_id)} {_identity(self.right_id)} : PSK {secret}\n"


def _identity(text: str) -> str:
    """An address as it is, a name behind an @."""
    try:
        ip_address(text)
    except ValueError:
        return f"@{text}"
    return text


class Libreswan:
    """A pluto in `namespace`, its files in `run_directory` (made, and removed by `stop`)."""

    def __init__(self, namespace: Namespace, run_directory: Path) -> None:
        self.namespace = namespace
        self.run_directory = run_directory
        self._process = Process(namespace, run_directory)

    def start(self, connection: Connection) -> None:
        """Start pluto with one connection and wait until it answers and listens. LabError with the log."""
        directory = self.run_directory
        nss = directory / "nss"
        nss.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(nss.iterdir()):  # started again after it has died, it is there, and certutil would ask
            run(CERTUTIL, "-N", "-d", f"sql:{nss}", "--empty-password")
        self._write(connection)
        arguments = (
            *("--nofork", "--stderrlog", "--use-xfrm", "--no-dnssec"),
            *("--rundir", directory, "--ipsecdir", directory, "--dumpdir", directory),
            *("--nssdir", nss, "--secretsfile", directory / "ipsec.secrets"),
        )
        self._process.start("sh", "-c", _START, "pluto", str(LIBEXEC), *map(str, arguments))
        try:
            self._wait_until_it_answers(10.0)
            self._add(connection)
            self.whack("--listen")
        except BaseException:
            self.stop(keep_files=True)
            raise

    def replace(self, connection: Connection) -> None:
        """Take another connection in the place of the one of its name, whose SAs end."""
        self._write(connection)
        self.whack("--delete", "--name", connection.name)
        self.whack("--rereadsecrets")
        self._add(connection)

    def _write(self, connection: Connection) -> None:
        secrets = self.run_directory / "ipsec.secrets"
        secrets.touch(mode=0o600)
        secrets.write_text(connection.secrets())
        (self.run_directory / "ipsec.conf").write_text(connection.text())

    def _add(self, connection: Connection) -> None:
        self._run("addconn", "--config", str(self.run_directory / "ipsec.conf"), connection.name)

    def _wait_until_it_answers(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running:
            try:
                self.whack("--briefstatus")
            except LabError:
                time.sleep(0.05)
            else:
                return
        raise LabError(f"libreswan in {self.namespace.name} does not start:\n{self.log()[-2000:]}")

    @property
    def running(self) -> bool:
        """Is the process there?"""
        return self._process.running

    def whack(self, *arguments: str, timeout: float = 30.0) -> str:
        """Run whack against this pluto and give what it prints."""
        return self._run("whack", *arguments, timeout=timeout)

    def _run(self, program: str, *arguments: str, timeout: float = 30.0) -> str:
        socket = str(self.run_directory / "pluto.ctl")
        return run(str(LIBEXEC / program), "--ctlsocket", socket, *arguments, timeout=timeout)

    def initiate(self, name: str = "net") -> None:
        """Start the connection without waiting for it; `states` and `log` show the outcome."""
        self.whack("--initiate", "--asynchronous", "--name", name)

    def rekey_ike(self, name: str = "net") -> None:
        """Begin to rekey the IKE_SA."""
        self.whack("--rekey-ike", "--asynchronous", "--name", name)

    def terminate(self, name: str = "net") -> None:
        """Delete the connection's SAs at the peer."""
        self.whack("--terminate", "--name", name)

    def impair(self, *behaviours: str) -> None:
        """Misbehave (`whack --impair help`): "replay-duplicates", "ke-payload:EMPTY", ..."""
        for behaviour in behaviours:
            self.whack("--impair", behaviour)

    def states(self) -> dict[int, str]:
        """The states of its SAs by their numbers: STATE_V2_ESTABLISHED_IKE_SA and its like."""
        return {int(number): state for number, _, state in _STATE.findall(self.whack("--showstates"))}

    def established(self) -> list[int]:
        """The numbers of its established IKE_SAs."""
        return [number for number, state in self.states().items() if state == "STATE_V2_ESTABLISHED_IKE_SA"]

    def log(self) -> str:
        """pluto's log so far."""
        return self._process.log()

    def stop(self, *, keep_files: bool = False, patience: float = 5.0) -> None:
        """End pluto (it deletes its SAs at the peers), and remove its files. May be called twice."""
        self._process.stop(patience)
        if not keep_files:
            shutil.rmtree(self.run_directory, ignore_errors=True)
