"""Which settings of the kernel are looked at, for which configuration, and what becomes of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.device.sysctls import lacking, look
from tests.unit.daemon.fakes import connection

V4, V6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
OFF = {
    V4: "0",
    V6: "0",
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/accept_ra": "1",
    "net/ipv6/conf/eth0/accept_ra": "1",
    "net/ipv6/conf/eth0.7/accept_ra": "1",
    "net/ipv6/conf/eth1/accept_ra": "0",
    "net/ipv6/conf/lo/accept_ra": "1",
}
NETWORKS = {"local_ts": ["0.0.0.0/0", "::/0"], "remote_ts": ["0.0.0.0/0", "::/0"]}
ALONE = {"local_ts": ["dynamic"], "remote_ts": ["10.2.0.0/24"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in OFF.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.set_up("info", stream)
    yield stream
    log.close()


def configured(child: dict[str, Any], sysctls: str = "check", *, several: bool = False) -> Config:
    names = ("a", "b") if several else ("a",)
    connections = {name: connection(name, {"name": f"vti-{name}"}, child) for name in names}
    return Config.model_validate({"connections": connections, "daemon": {"sysctls": sysctls}})


def names(config: Config, root: Path) -> list[str]:
    return [one.name for one in lacking(config, root)]


def test_what_networks_behind_this_host_need(root: Path) -> None:
    assert names(configured(NETWORKS), root) == [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.eth0.accept_ra",
        "net/ipv6/conf/eth0.7/accept_ra",
        "net.ipv6.conf.all.forwarding",
    ]
    one_host = {"local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.1/32"]}
    assert names(configured(one_host), root) == ["net.ipv4.ip_forward"]


@pytest.mark.parametrize(
    "child",
    [
        ALONE,
        {"local_ts": ["10.1.0.1/32"], "remote_ts": ["10.2.0.0/24"]},
        {"local_ts": ["10.1.0.0/24"], "remote_ts": ["fd02::/64"]},
    ],
)
def test_what_nobody_needs(root: Path, child: dict[str, Any]) -> None:
    assert not names(configured(child), root)


def test_several_tunnels_and_a_strict_filter(root: Path) -> None:
    assert names(configured(ALONE, several=True), root) == ["net.ipv4.conf.default.rp_filter"]
    for value in ("0", "2"):
        (root / "net/ipv4/conf/all/rp_filter").write_text(value)
        assert not names(configured(ALONE, several=True), root)


def test_they_are_set(root: Path, written: io.StringIO) -> None:
    look(configured(NETWORKS, "set", several=True), root)
    assert {name: (root / name).read_text().strip() for name in OFF} == {
        **OFF,
        V4: "1",
        V6: "1",
        "net/ipv4/conf/default/rp_filter": "2",
        "net/ipv6/conf/eth0/accept_ra": "2",
        "net/ipv6/conf/eth0.7/accept_ra": "2",
    }
    log.drain()
    assert written.getvalue().count(" from now on") == 5
    assert not names(configured(NETWORKS, several=True), root)


def test_warnings_have_the_command(root: Path, written: io.StringIO) -> None:
    look(configured(NETWORKS), root)
    look(configured(NETWORKS, "ignore"), root)
    log.drain()
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    accept = "net.ipv6.conf.eth0.accept_ra=2 net/ipv6/conf/eth0.7/accept_ra=2"
    assert lines[1].endswith(f": sysctl -w {accept} net.ipv6.conf.all.forwarding=1")
    assert lines[0].endswith("into the tunnels is dropped: sysctl -w net.ipv4.ip_forward=1")
    assert (root / V6).read_text() == "0\n"


def test_what_can_not_be_set(root: Path, written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    look(configured({"local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.0/24"]}, "set"), root)
    log.drain()
    assert (
        "and it can't be set (Read-only file system): sysctl -w net.ipv4.ip_forward=1" in written.getvalue()
    )


def test_what_can_not_be_read(tmp_path: Path, written: io.StringIO) -> None:
    look(configured(NETWORKS, "set", several=True), tmp_path)
    log.drain()
    assert written.getvalue() == ""
