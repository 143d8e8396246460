"""Implementations under test as responders, configured as the probe prints it, or for the extensions' cases.

left (probe) ==== right (under test) -- right_host, which answers echo requests
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.lab import gateway, libreswan, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.libreswan import LIBEXEC, Libreswan
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import PUBKEY_PLUGINS, StrongSwan
from ikepy.probe import peer_config
from ikepy.probe.target import Limits, Target
from tests.interop import probing
from tests.interop.probing import Family

PATIENCE_S = 60.0  # several daemons start at once
EXTENSIONS_IKE, EXTENSIONS_ESP = "aes128-sha256-modp2048", "aes128-sha256"


@dataclass(frozen=True, slots=True)
class Started:
    """An implementation that runs: how the probe is to see it, and what it says."""

    target: Target
    daemon: Gateway | StrongSwan | Libreswan


# -- SGW.R: the configuration that the probe prints ---------------------------------------------------


@contextlib.contextmanager
def ikepy(ends: Pair, files: Path, family: Family) -> Iterator[Started]:
    """Ours. Over IPv6 ESP is protocol 50, over IPv4 it is in UDP."""
    with Gateway(ends.right, files) as daemon:

        def rekey(kind: str, name: str) -> list[str]:
            return [sys.executable, "-m", "ikepy", "rekey", kind, name, "--socket", str(daemon.socket)]

        under_test = probing.target(
            family,
            "native" if family is probing.IPV6 else "udp",
            rekey_child=rekey("--child", "net"),
            rekey_ike=rekey("--ike", "probe"),
        )
        probing.write_certificates(family, files)
        daemon.start(probing.with_secret(peer_config.ikepy(under_test)), PATIENCE_S)
        yield Started(under_test, daemon)


@contextlib.contextmanager
def charon(ends: Pair, files: Path, family: Family) -> Iterator[Started]:
    """strongSwan, with its userspace ESP."""
    vici = f"unix://{files}/vici"
    under_test = probing.target(
        family,
        rekey_child=("swanctl", "--rekey", "--child", "net", "--uri", vici),
        rekey_ike=("swanctl", "--rekey", "--ike", "probe", "--uri", vici),
    )
    with StrongSwan(ends.right, files, install_routes=False, plugins=PUBKEY_PLUGINS) as daemon:
        probing.write_certificates(family, files)
        daemon.load(probing.with_secret(peer_config.swanctl(under_test)))
        ends.right.ip(
            f"route add {family.left_net} dev {daemon.device}",
            f"route add {peer_config.pool(under_test)} dev {daemon.device}",
        )
        yield Started(under_test, daemon)


@dataclass(frozen=True, slots=True)
class _Printed(libreswan.Connection):
    """The configuration that the probe prints."""

    name: str = "probe"
    target: Target | None = None

    def text(self) -> str:
        assert self.target is not None
        return f"config setup\n\n{peer_config.libreswan(self.target)}"

    def secrets(self) -> str:
        line = re.search(r"# ipsec.secrets: (.*)", self.text())
        assert line is not None
        return probing.with_secret(line[1]).replace(f'"{probing.SECRET}"', probing.SECRET) + "\n"


@contextlib.contextmanager
def pluto(ends: Pair, files: Path, family: Family) -> Iterator[Started]:
    """libreswan: its IKE_SAs alone, for the kernel of the tests has no ESP."""
    whack = (str(LIBEXEC / "whack"), "--ctlsocket", f"{files}/pluto.ctl")
    rekey = (*whack, "--rekey-ike", "--asynchronous", "--name", "probe")
    under_test = probing.target(family, rekey_ike=rekey).but(childless=True, credentials=None)
    with _libreswan(ends, files, _Printed(target=under_test)) as daemon:
        daemon.impair("omit-v2-ike-auth-child:yes")
        yield Started(under_test, daemon)


@contextlib.contextmanager
def _libreswan(ends: Pair, files: Path, connection: libreswan.Connection) -> Iterator[Libreswan]:
    daemon = Libreswan(ends.right, files)
    try:
        daemon.start(connection)
        yield daemon
    finally:
        daemon.stop(keep_files=True)


# -- IKEPY: a configuration with more extensions ------------------------------------------------------


def _extensions(rekey: Sequence[str] = ()) -> Target:
    """`rekey`: the command that makes the peer rekey, less what."""
    local, remote = Identity.parse("gwa"), Identity.parse("gwb")
    assert local is not None
    assert remote is not None
    return Target(
        ip_address(pair.RIGHT),
        ip_address(pair.LEFT),
        Secret(b"s3cr3t"),
        local,
        remote,
        ip_network(pair.LEFT_NET),
        ip_network(pair.RIGHT_NET),
        ip_address(pair.LEFT_HOST),
        ip_address(pair.RIGHT_HOST),
        limits=Limits(interval_s=0, quiet_s=0.2),
        triggers={f"rekey-{what}": (*rekey, f"--{what}", "net") for what in ("child", "ike") if rekey},
    )


@contextlib.contextmanager
def ikepy_extensions(ends: Pair, files: Path, _: Family) -> Iterator[Started]:
    """Ours, with ML-KEM."""
    connection = gateway.Connection(
        local_addrs=(pair.RIGHT,),
        remote_addrs=(pair.LEFT,),
        local_id="gwb",
        remote_id="gwa",
        local_ts=(pair.RIGHT_NET,),
        remote_ts=(pair.LEFT_NET,),
        proposals=(EXTENSIONS_IKE, f"{EXTENSIONS_IKE}-ke1_mlkem768"),
        esp_proposals=(f"{EXTENSIONS_ESP}-noesn",),
        extra='unique = "never"\n',
        daemon="retransmit_timeout = 0.5\n",
    )
    with Gateway(ends.right, files) as daemon:
        daemon.start(connection, PATIENCE_S)
        rekey = (sys.executable, "-m", "ikepy", "rekey", "--socket", str(daemon.socket))
        yield Started(_extensions(rekey), daemon)


@contextlib.contextmanager
def charon_extensions(ends: Pair, files: Path, _: Family) -> Iterator[Started]:
    """strongSwan."""
    connection = strongswan.Connection(
        local_addrs=pair.RIGHT,
        remote_addrs=pair.LEFT,
        proposals=EXTENSIONS_IKE,
        esp_proposals=EXTENSIONS_ESP,
        local_ts=pair.RIGHT_NET,
        remote_ts=pair.LEFT_NET,
        options={"unique": "never"},
    )
    with StrongSwan(ends.right, files, retransmit_timeout=0.5) as daemon:
        daemon.load(connection)
        rekey = ("swanctl", "--rekey", "--uri", f"unix://{files}/vici")
        yield Started(_extensions(rekey), daemon)


@contextlib.contextmanager
def pluto_extensions(ends: Pair, files: Path, _: Family) -> Iterator[Started]:
    """libreswan: its IKE_SAs alone."""
    connection = libreswan.Connection(
        ike="aes128-sha2_256-dh14", esp="aes128-sha2_256", options={"pfs": "no"}
    )
    with _libreswan(ends, files, connection) as daemon:
        yield Started(_extensions().but(childless=True), daemon)
