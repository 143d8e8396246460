"""What VICI loads into a whole control process: a fake machine, fake devices, everything else real."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Config
from ikepy.daemon.events.addresses import AddressFollower
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.vici.test_commands import OK, Vici

GWA, GWB = Identity.parse("gwa"), Identity.parse("gwb")
SECRET = "LzU0vX3nRkq9TfWm7cYh"


def section(child: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {
        "local_addrs": ["127.0.0.1"],
        "remote_addrs": ["127.0.0.9"],
        "encap": "yes",
        "local": {"auth": "psk", "id": "gwa"},
        "remote": {"auth": "psk", "id": "gwb"},
        "children": {"net": {"remote_ts": ["10.2.0.0/16"], **(child or {})}},
        **keys,
    }


def devices(bed: Bed) -> list[str]:
    return [tun.name for tun in bed.tuns if not tun.closed]


def config(bed: Bed) -> Config:
    return bed.machine.config


async def names(client: Vici) -> list[str]:
    answer, _ = await client.ask("get-conns")
    found: list[str] = answer["conns"]
    return found


def test_a_connection_comes_changes_and_goes(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed, "list-conn")
        before = config(bed).connections["a"]
        assert await names(client) == []
        assert await client.ask("load-conn", site=section()) == (OK, [])
        assert await names(client) == ["site"]
        assert devices(bed) == ["vti-a", "site"]
        loaded = config(bed)
        assert loaded.connections["a"] is before
        _, events = await client.ask("list-conns")
        assert [list(event) for event in events] == [["a"], ["site"]]

        assert await client.ask("load-conn", site=section()) == (OK, [])
        assert config(bed).connections["site"] is loaded.connections["site"]
        assert await client.ask("load-conn", site=section(dpd_delay="30")) == (OK, [])
        assert config(bed).connections["site"].dpd_delay == 30
        assert config(bed).connections["a"] is before
        assert devices(bed) == ["vti-a", "site"]

        assert await client.ask("unload-conn", name="site") == (OK, [])
        assert await names(client) == [] and list(config(bed).connections) == ["a"]
        assert devices(bed) == ["vti-a"]
        client.writer.close()

    run(Bed(control), scenario)


def test_what_a_missing_library_is_needed_for_is_refused(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        monkeypatch.setitem(sys.modules, "OpenSSL", None)
        users = {"auth": "eap-tls", "eap_id": "%any"}
        said = await client.fails("load-conn", site=section(remote=users))
        assert "connections.site.remote.auth" in said and 'extra "eap"' in said
        assert devices(bed) == ["vti-a"] and list(config(bed).connections) == ["a"]
        client.writer.close()

    run(Bed(control), scenario)


def test_one_of_the_files_name_stands_in_its_place(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        before = config(bed).connections["a"]
        assert "in the configuration file" in await client.fails("unload-conn", name="a")
        await client.ask("load-conn", a=section(dpd_delay="7"))
        assert config(bed).connections["a"].dpd_delay == 7
        await client.ask("unload-conn", name="a")
        assert config(bed).connections["a"] == before
        client.writer.close()

    run(Bed(control), scenario)


def test_a_bad_one_changes_nothing(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        before = config(bed)
        said = await client.fails("load-conn", good=section(), bad=section(mode="beet"))
        assert said.startswith("VICI: connections.bad.mode: unknown key")
        said = await client.fails("load-conn", site=section(vti={"name": "vti-a"}))
        assert "connections.site.vti.name: connections.a.vti has the same name" in said
        assert await client.fails("unload-conn", name="site") == "unload: connection 'site' not found"
        assert await client.fails("unload-conn") == "unload: missing connection name"
        assert "must be a section" in await client.fails("load-conn", name="site")
        assert config(bed) is before
        assert await names(client) == []
        assert devices(bed) == ["vti-a"]
        client.writer.close()

    run(Bed(control), scenario)


def test_secrets_come_and_go(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)

        def psk() -> bytes | None:
            found = config(bed).psk(GWA, GWB)
            return None if found is None else bytes(found.expose())

        shared = {"type": "IKE", "owners": ["gwa", "gwb"]}
        assert await client.ask("load-shared", id="ike-site", data=SECRET, **shared) == (OK, [])
        assert psk() == SECRET.encode()
        assert await client.ask("load-shared", id="ike-site", data=b"0x\xff", **shared) == (OK, [])
        assert psk() == b"0x\xff"  # as it is
        assert (await client.ask("get-shared"))[0] == {"keys": ["ike-site"]}
        assert await client.ask("unload-shared", id="ike-site") == (OK, [])
        assert psk() is None
        assert await client.ask("unload-shared", id="ike-site") == (OK, [])

        for _ in range(2):
            await client.ask("load-shared", type="ike", data=SECRET)
        await client.ask("load-shared", type="ike", data="another", owners=["gwa", "gwb"])
        assert (await client.ask("get-shared"))[0] == {"keys": []}
        assert len(config(bed).secrets) == 2 and psk() == b"another"
        assert await client.ask("clear-creds") == (OK, [])
        assert psk() is None and not config(bed).secrets
        client.writer.close()

    run(Bed(control), scenario)


def test_users_passwords_and_hashes_are_used(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        hash = "0123456789abcdef"
        for kind, data in (("EAP", "x"), ("NTLM", hash)):
            asked = await client.ask("load-shared", id=kind, type=kind, data=data, owners=[f"u{kind}"])
            assert asked == (OK, [])
        assert "16 octets" in (await client.ask("load-shared", id="b", type="NTLM", data="x"))[0]["errmsg"]
        found = {name: config(bed).user(f"u{name}") for name in ("EAP", "NTLM")}
        assert [one and (one.kind, one.secret.expose()) for one in found.values()] == [
            ("eap", b"x"),
            ("ntlm", hash.encode()),
        ]
        assert config(bed).psk(None, None) is None
        client.writer.close()

    run(Bed(control), scenario)


def test_secrets_of_xauth_are_kept(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        for name in ("XAUTH", "another"):
            assert await client.ask("load-shared", id=name, type="XAUTH", data="x", owners=["u"]) == (OK, [])
        assert await client.ask("load-shared", type="XAUTH", data="x") == (OK, [])
        assert not config(bed).secrets
        assert (await client.ask("get-shared"))[0] == {"keys": ["XAUTH", "another"]}
        await client.ask("load-shared", id="XAUTH", type="IKE", data="x")  # the id is another's now
        await client.ask("unload-shared", id="another")
        assert (await client.ask("get-shared"))[0] == {"keys": ["XAUTH"]}
        await client.ask("load-shared", id="XAUTH", type="XAUTH", data="x")
        assert not config(bed).secrets
        await client.ask("clear-creds")
        assert (await client.ask("get-shared"))[0] == {"keys": []}
        client.writer.close()

    run(Bed(control), scenario)


def test_postquantum_preshared_key(control: Path) -> None:
    """By its own identity, whose octets are its PPK_ID (RFC 8784)."""

    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        assert await client.ask("load-shared", id="p", type="ppk", data=SECRET, owners=["ppk1"]) == (OK, [])
        found = config(bed).ppk(b"ppk1")
        assert found is not None
        assert found.expose() == SECRET.encode()
        assert config(bed).ppk(b"ppk2") is None
        await client.ask("unload-shared", id="p")
        assert config(bed).ppk(b"ppk1") is None
        client.writer.close()

    run(Bed(control), scenario)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": SECRET}, "shared key type missing"),
        ({"type": "rsa", "data": SECRET}, "invalid shared key type: 'rsa'; allowed: IKE, EAP"),
        ({"type": "ike"}, "shared key data missing"),
        ({"type": "ike", "data": ""}, "shared key data missing"),
        ({"type": "ike", "data": [SECRET]}, "shared key data missing"),
        ({"type": "ike", "data": SECRET, "owners": "gwa"}, "owners must be a list"),
        ({"type": "ike", "data": SECRET, "owners": ["CH=C"]}, "owners[0]: 'CH' is no"),
        ({"type": "ike", "data": SECRET, "owners": [b"\xff"]}, "an owner is no UTF-8 text"),
        ({"type": "ike", "data": SECRET, "id": "a\nb"}, "id must have printable characters"),
        ({"type": "ike", "data": SECRET, "id": "%unnamed-1"}, "id must have printable characters"),
        ({"type": "ike", "data": SECRET, "key": "x"}, "there is no argument 'key'"),
    ],
)
def test_secrets_that_are_none(control: Path, arguments: dict[str, Any], words: str) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        said = await client.fails("load-shared", **arguments)
        assert words in said and SECRET not in said
        assert not config(bed).secrets
        client.writer.close()

    run(Bed(control), scenario)


def test_a_client_that_comes_before_the_daemon_is_ready_is_served_then(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ikepy run & swanctl --load-all`: a command is not refused because parts of the daemon start yet."""
    bed = Bed(control)
    start = AddressFollower.start

    async def start_slowly(follower: AddressFollower) -> None:
        await asyncio.sleep(0.3)
        await start(follower)

    monkeypatch.setattr(AddressFollower, "start", start_slowly)

    async def inside() -> None:
        serving = asyncio.create_task(bed.daemon.serve())
        async with asyncio.timeout(20):
            while not control.exists():  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.01)
            client = await Vici.connect(bed)
            assert not bed.daemon.ready.is_set()
            assert await client.ask("load-conn", site=section()) == (OK, [])
            assert await names(client) == ["site"]
            client.writer.close()
        bed.daemon.stop()
        await serving

    asyncio.run(inside())
