"""A real strongSwan (charon-systemd, swanctl) in a network namespace, with its own userspace ESP.

Its `kernel-libipsec` plugin makes a TUN device `ipsec0` and forces UDP encapsulation, so that it needs no ESP
in the kernel. Several can run side by side: each has a run directory, a VICI socket and a log of its own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.lab.netns import LabError, Namespace, run
from ikepy.lab.process import Process
from ikepy.lab.vici_text import Section, parse_events

CHARON = "charon-systemd"
SWANCTL = "swanctl"
DEVICE = "ipsec0"
DEBIAN_PACKAGES = (
    "charon-systemd",
    "strongswan-swanctl",
    "libcharon-extra-plugins",  # kernel-libipsec
    "libstrongswan-standard-plugins",  # openssl, aesni
)

PUBKEY_PLUGINS = "pem pkcs1 pkcs8 x509 pubkey constraints revocation curve25519"  # certificates in files
EAP_PLUGINS = f"{PUBKEY_PLUGINS} eap-identity eap-mschapv2 md4"
# Everything the suites need is in libstrongswan and its standard plugins: nothing else is loaded, so that
# what passes here passes on a machine with DEBIAN_PACKAGES alone. aesni before openssl, as Debian has it.
_PLUGINS = (
    "aesni aes sha1 sha2 random nonce openssl hmac kdf gmp drbg gcm "
    "kernel-libipsec kernel-netlink socket-default vici"
)

_SETTINGS = """\
charon {{
    load_modular = no
    load = {plugins}
    install_routes = {install_routes}
    install_virtual_ip = no
    retransmit_timeout = {retransmit_timeout}
    retransmit_base = {retransmit_base}
    retransmit_tries = {retransmit_tries}
    fragment_size = {fragment_size}
{options}
    plugins {{
        vici {{
            socket = unix://{run}/vici
        }}
    }}
    filelog {{
        file {{
            path = {run}/charon.log
            flush_line = {flush}
            append = yes
            time_format = %H:%M:%S
            default = 1
            ike = {level}
            cfg = {level}
            esp = 1
        }}
    }}
}}
swanctl {{
    load = nonce random openssl
}}
charon-systemd {{
    journal {{
        default = -1
    }}
}}
"""


def missing() -> str | None:
    """Why a strongSwan can't be started here (for a test's skip reason), or None."""
    if os.geteuid() != 0:
        return "needs root"
    if any(shutil.which(program) is None for program in (CHARON, SWANCTL)):
        return f"needs Debian's {' '.join(DEBIAN_PACKAGES)}"
    if not Path("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so").exists():
        return "needs Debian's libcharon-extra-plugins (kernel-libipsec)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    return None


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection with one child, in swanctl.conf's words. The defaults are a PSK responder for anyone.

    `options` and `child_options` are further keys of the connection and of the child (`rekey_time`, ...);
    `local_auth`, `remote_auth`: lines of both sides that say how they authenticate; `secrets`: further ones.
    """

    name: str = "net"
    local_addrs: str = "%any"
    remote_addrs: str = "%any"
    local_id: str = "gwb"
    remote_id: str = "gwa"
    proposals: str = "aes128gcm16-prfsha256-x25519"
    esp_proposals: str = "aes128gcm16"
    local_ts: str = "10.2.0.0/24"
    remote_ts: str = "10.1.0.0/24"
    child: str = "net"
    secret: str = field(default="s3cr3t", repr=False)
    options: dict[str, str] = field(default_factory=dict)
    child_options: dict[str, str] = field(default_factory=dict)
    local_auth: str = "auth = psk"
    remote_auth: str = "auth = psk"
    secrets: str = ""

    def text(self) -> str:
        """swanctl.conf: the connection and its secret."""
        options = "\n".join(f"        {key} = {value}" for key, value in self.options.items())
        child_options = "\n".join(
            f"                {key} = {value}" for key, value in self.child_options.items()
        )
        return f"""\
connections {{
    {self.name} {{
        version = 2
        local_addrs = {self.local_addrs}
        remote_addrs = {self.remote_addrs}
        proposals = {self.proposals}
{options}
        local {{
            {self.local_auth}
            id = {self.local_id}
        }}
        remote {{
            {self.remote_auth}
            id = {self.remote_id}
        }}
        children {{
            {self.child} {{
                local_ts = {self.local_ts}
                remote_ts = {self.remote_ts}
                esp_proposals = {self.esp_proposals}
{child_options}
            }}
        }}
    }}
}}
secrets {{
    ike-{self.name} {{
        id-1 = {self.local_id}
        id-2 = {self.remote_id}
        secret = "{self.secret}"
    }}
{self.secrets}
}}
"""


class StrongSwan:
    """A charon in `namespace`, its files in `run_directory` (made, and removed by `stop`).

    Use it as a context manager, or call `start` and `stop`. `config` is the text of swanctl.conf.
    """

    device = DEVICE

    def __init__(
        self,
        namespace: Namespace,
        run_directory: Path,
        *,
        install_routes: bool = True,
        retransmit_timeout: float = 4.0,
        retransmit_base: float = 1.8,
        retransmit_tries: int = 5,
        fragment_size: int = 1280,
        quick_log: bool = False,
        options: Mapping[str, str] | None = None,
        plugins: str = "",
    ) -> None:
        """`quick_log`: no more than charon's default level, written when it likes. `options`: further keys of
        `charon` in strongswan.conf. `plugins`: further ones of libstrongswan's, by name."""
        self.namespace = namespace
        self.run_directory = run_directory
        self._settings = _SETTINGS.format(
            plugins=f"{_PLUGINS} {plugins}",
            run=run_directory,
            install_routes="yes" if install_routes else "no",
            retransmit_timeout=retransmit_timeout,
            retransmit_base=retransmit_base,
            retransmit_tries=retransmit_tries,
            fragment_size=fragment_size,
            flush="no" if quick_log else "yes",
            level=1 if quick_log else 2,
            options="\n".join(f"    {key} = {value}" for key, value in (options or {}).items()),
        )
        self._process = Process(namespace, run_directory)

    def __enter__(self) -> StrongSwan:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, config: str | Connection = "") -> StrongSwan:
        """Start charon, wait until it answers, and load `config` if there is one. LabError with the log."""
        self.run_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = self.run_directory / "strongswan.conf"
        settings.write_text(self._settings)
        self._process.start(CHARON, environment={"STRONGSWAN_CONF": str(settings)})
        try:
            self._wait_for_vici(10.0)
            if config:
                self.load(config)
        except BaseException:
            self.stop(keep_files=True)
            raise
        return self

    def _wait_for_vici(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running:
            try:
                self.swanctl("--stats")
            except LabError:
                time.sleep(0.05)
            else:
                return
        raise LabError(f"strongSwan in {self.namespace.name} does not start:\n{self.log()[-2000:]}")

    @property
    def running(self) -> bool:
        """Is the process there?"""
        return self._process.running

    @property
    def pid(self) -> int | None:
        """charon's process ID while it runs."""
        return self._process.pid

    def swanctl(self, *arguments: str, timeout: float = 30.0) -> str:
        """Run swanctl against this charon and give what it prints."""
        # Unix sockets know no network namespace, so swanctl itself needn't be in one.
        environment = f"SWANCTL_DIR={self.run_directory}"
        settings = f"STRONGSWAN_CONF={self.run_directory / 'strongswan.conf'}"
        uri = f"unix://{self.run_directory}/vici"
        return run("env", environment, settings, SWANCTL, *arguments, "--uri", uri, timeout=timeout)

    def load(self, config: str | Connection) -> None:
        """Replace the configuration (`swanctl --load-all`)."""
        text = config.text() if isinstance(config, Connection) else config
        path = self.run_directory / "swanctl.conf"
        path.touch(mode=0o600)
        path.write_text(text)
        self.swanctl("--load-all", "--noprompt", "--file", str(path))

    def initiate(self, child: str = "net", timeout: float = 15.0) -> None:
        """Bring a child up; LabError with charon's own words when it fails."""
        self.swanctl("--initiate", "--child", child, "--timeout", str(int(timeout)), timeout=timeout + 5)

    def terminate(self, *, ike: str | None = None, child: str | None = None, force: bool = False) -> None:
        """Delete the SAs named."""
        self.swanctl("--terminate", *_selection(ike, child), *(["--force"] if force else []))

    def rekey(self, *, ike: str | None = None, child: str | None = None) -> None:
        """Start to rekey the SAs named without waiting for the end; wait with `wait_for`."""
        self.swanctl("--rekey", *_selection(ike, child))

    def list_sas(self) -> list[Section]:
        """One section an IKE_SA, keys as in VICI's list-sa event; `name` holds the connection's name."""
        sas = []
        for event in parse_events(self.swanctl("--list-sas", "--pretty"), "list-sa"):
            for name, section in event.items():
                if isinstance(section, dict):
                    sas.append({"name": name, **section})
        return sas

    def children(self) -> list[Section]:
        """The children of every IKE_SA, as VICI gives them."""
        found = []
        for sa in self.list_sas():
            children = sa.get("child-sas", {})
            if isinstance(children, dict):
                found += [child for child in children.values() if isinstance(child, dict)]
        return found

    @property
    def established(self) -> bool:
        """Is a child installed?"""
        return any(child.get("state") == "INSTALLED" for child in self.children())

    def log(self) -> str:
        """charon's log so far, and what it wrote to its standard error."""
        path = self.run_directory / "charon.log"
        return self._process.log() + (path.read_text(errors="replace") if path.exists() else "")

    def stop(self, *, keep_files: bool = False, patience: float = 5.0) -> None:
        """End charon (it deletes its SAs at the peers), and remove its files. May be called twice."""
        self._process.stop(patience)
        if not keep_files:
            shutil.rmtree(self.run_directory, ignore_errors=True)

    def kill(self) -> None:
        """End charon at once (SIGKILL): its peers get no DELETE."""
        self._process.kill()


def _selection(ike: str | None, child: str | None) -> list[str]:
    words = []
    if ike is not None:
        words += ["--ike", ike]
    if child is not None:
        words += ["--child", child]
    return words
