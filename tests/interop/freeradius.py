"""A FreeRADIUS in a namespace or on this machine: users, what they are granted, and what it is told."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.lab.netns import LabError

RADIUSD = "/usr/sbin/freeradius"
LIBRARIES = "/usr/lib/freeradius"
DICTIONARY = "/usr/share/freeradius"
SECRET = "a secret of RADIUS alone"

_CONFIG = """\
prefix = /usr
name = freeradius
logdir = {files}
run_dir = {files}
raddbdir = {files}
libdir = {libraries}
pidfile = {files}/freeradius.pid
max_request_time = 10
security {{
    require_message_authenticator = yes
    limit_proxy_state = yes
    allow_vulnerable_openssl = yes
}}
client any {{
    ipaddr = 0.0.0.0/0
    secret = "{secret}"
}}
modules {{
    files {{
        filename = {files}/users
    }}
    mschap {{
    }}
    detail {{
        filename = {files}/accounting
        permissions = 0600
        header = "%t"
    }}
    eap {{
        default_eap_type = {method}
        timer_expire = 60
        ignore_unknown_eap_types = no
        md5 {{
        }}
        mschapv2 {{
        }}
{tls}
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = {address}
        port = {auth_port}
    }}
    listen {{
        type = acct
        ipaddr = {address}
        port = {acct_port}
    }}
    authorize {{
        files
        eap {{
            ok = return
        }}
    }}
    authenticate {{
        Auth-Type MS-CHAP {{
            mschap
        }}
        eap
    }}
    accounting {{
        detail
    }}
    post-auth {{
    }}
}}
"""

_TLS = """\
        tls-config tls-common {{
            private_key_file = {key}
            certificate_file = {certificate}
            ca_file = {ca}
            tls_min_version = "1.2"
            tls_max_version = "{version}"
            fragment_size = 1024
        }}
        tls {{
            tls = tls-common
        }}
"""


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the server's certificate with its chain, its key, the CAs that it trusts."""

    certificate: Path
    key: Path
    ca: Path
    version: str = "1.3"


@dataclass
class FreeRadius:
    """Use it as a context manager. `users`: lines of its users file. `command`: what runs it elsewhere, as
    "ip netns exec NAME"."""

    files: Path
    address: str = "127.0.0.1"
    auth_port: int = 1812
    acct_port: int = 1813
    method: str = "mschapv2"
    users: str = ""
    secret: str = SECRET
    tls: Tls | None = None
    command: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> FreeRadius:
        self.files.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.files / "users").write_text(self.users)
        shutil.copy("/etc/freeradius/3.0/dictionary", self.files / "dictionary")
        tls = self.tls
        config = _CONFIG.format(
            files=self.files,
            libraries=LIBRARIES,
            secret=self.secret,
            method=self.method,
            address=self.address,
            auth_port=self.auth_port,
            acct_port=self.acct_port,
            tls=""
            if tls is None
            else _TLS.format(key=tls.key, certificate=tls.certificate, ca=tls.ca, version=tls.version),
        )
        (self.files / "radiusd.conf").write_text(config)
        with (self.files / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self.command, RADIUSD, "-X", "-d", str(self.files), "-n", "radiusd"],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 20
        while "Ready to process requests" not in self.log():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise LabError(f"FreeRADIUS does not start:\n{self.log()[-3000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def log(self) -> str:
        return (self.files / "log").read_text(errors="replace")

    def accounting(self) -> str:
        """What it was told, in its "detail" form; empty if nothing."""
        path = self.files / "accounting"
        return path.read_text(errors="replace") if path.exists() else ""
