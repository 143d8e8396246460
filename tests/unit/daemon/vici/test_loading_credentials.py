"""Certificates, keys, authorities and pools that VICI loads into a whole control process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from vici.protocol import Message, Packet

from ikepy.daemon.credentials import collection
from ikepy.daemon.signer import signer
from ikepy.daemon.vici import load_pools, load_secrets
from ikepy.daemon.vici.packets import MAX_PACKET
from tests import certificates
from tests.certificates import DER, PEM
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.vici.test_commands import OK, Vici

KEY = ec.generate_private_key(ec.SECP256R1())
CA = certificates.certificate("CA", KEY, KEY, ca=True).public_bytes(DER)
END = certificates.certificate("gwa", KEY, KEY).public_bytes(PEM)


class Binary(Vici):
    """A client that is told certificates: its texts are not decoded where they can't be."""

    async def receive(self) -> tuple[int, dict[str, Any]]:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        parsed = Packet.parse(await self._reader.readexactly(length))
        return parsed.response_type, _plain(Message.deserialize(parsed.payload))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode() if value.isascii() else value
    return (
        [_plain(one) for one in value]
        if isinstance(value, list)
        else {k: _plain(v) for k, v in value.items()}
    )


async def flags(client: Vici, **filters: str) -> list[tuple[str, str, str]]:
    _, events = await client.ask("list-certs", **filters)
    return [(one["type"], one.get("flag", ""), one.get("has_privkey", "")) for one in events]


def test_certificates_are_listed(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Binary.connect(bed, "list-cert")
        for message in (
            {"type": "X509CA", "data": CA},
            {"type": "x509", "data": END},
            {"type": "x509", "flag": "OCSP", "data": END},
            {"type": "pubkey", "data": certificates.public(KEY)},
            {"type": "x509crl", "data": certificates.crl(KEY, days_ago=1).public_bytes(DER)},
            {"type": "X509_CRL", "data": certificates.crl(KEY).public_bytes(DER)},
            {"type": "X509_CRL", "data": certificates.crl(KEY, days_ago=2).public_bytes(DER)},
        ):
            assert await client.ask("load-cert", **message) == (OK, [])
        assert await flags(client) == [
            ("X509", "CA", ""),
            ("X509", "OCSP", ""),
            ("PUBKEY", "", ""),
            ("X509_CRL", "", ""),
        ]
        _, (crl,) = await client.ask("list-certs", type="X509_CRL")
        answer, _ = await client.ask("load-key", type="ECDSA", data=certificates.traditional(KEY))
        assert answer["id"] == (await client.ask("get-keys"))[0]["keys"][0]
        assert await flags(client, type="X509", flag="CA") == [("X509", "CA", "yes")]
        assert await flags(client, type="PUBKEY") == [("PUBKEY", "", "yes")]
        assert await flags(client, subject="C=ch,O=ikepy,CN=gwa") == [("X509", "OCSP", "yes")]
        assert "invalid certificate type" in await client.fails("list-certs", type="no")
        assert "invalid certificate flag" in await client.fails("list-certs", flag="no")
        assert await client.ask("clear-creds") == (OK, [])
        assert await flags(client) == []
        assert (await client.ask("get-keys"))[0] == {"keys": []}
        assert crl["type"] == "X509_CRL"
        client.writer.close()

    run(Bed(control), scenario)


def test_no_answer_has_a_private_key(control: Path) -> None:
    """Nor has any attribute that is shown of the objects that hold it, nor the log."""

    async def scenario(bed: Bed) -> None:
        client = await Binary.connect(bed, "list-cert", "log")
        key = rsa.generate_private_key(65537, 2048)
        der = certificates.private(key)
        secret = key.private_numbers().d
        said = [
            await client.ask("load-key", type="rsa", data=der),
            await client.ask("load-key", type="ecdsa", data=der),
            await client.ask("load-key", type="rsa", data=der[:-1]),
            await client.ask("get-keys"),
            await client.ask("list-certs"),
        ]
        assert str(secret) not in repr(said) and der[100:120].hex() not in repr(said)
        client.writer.close()

    run(Bed(control), scenario)


def test_an_authority(control: Path, tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Binary.connect(bed, "list-cert", "list-authority")
        path = tmp_path / "ca.pem"
        path.write_bytes(CA)
        assert await client.ask("load-authority", one={"file": str(path)}) == (OK, [])
        assert (await client.ask("get-authorities"))[0] == {"authorities": ["one"]}
        _, (event,) = await client.ask("list-authorities")
        assert event == {"one": {"cacert": "C=CH, O=ikepy, CN=CA", "crl_uris": [], "ocsp_uris": []}}
        assert await flags(client) == [("X509", "CA", "")]
        await client.ask("clear-creds")
        assert await flags(client) == [("X509", "CA", "")]
        assert await client.ask("unload-authority", name="one") == (OK, [])
        assert await flags(client) == []
        client.writer.close()

    run(Bed(control), scenario)


AUTHORITIES: list[tuple[dict[str, Any], str]] = [
    ({}, "CA certificate missing: bad"),
    ({"cacert": [CA]}, "CA certificate missing: bad"),
    ({"cacert": "x"}, "parsing X509 certificate failed: authorities.bad.cacert"),
    ({"cacert": END}, "certificate without CA flag, rejected"),
    ({"cacert": CA, "crl_uris": "http://x"}, "invalid value for: crl_uris, authority discarded"),
    ({"cacert": CA, "ocsp_uris": ["\n"]}, "invalid value for: ocsp_uris, authority discarded"),
    ({"cacert": CA, "ocsp_uris": {}}, "invalid value for: ocsp_uris, authority discarded"),
    ({"cacert": CA, "other": "x"}, "unknown option: 'other', authority discarded"),
    ({"handle": "01"}, "authorities.bad.handle: tokens (PKCS#11) are not supported"),
    ({"file": "relative"}, "authorities.bad.file must be the absolute path of a file"),
    ({"file": "/dev/zero"}, "authorities.bad.file must be the absolute path of a file"),
    ({"file": "/a\0b"}, "authorities.bad.file"),
]


@pytest.mark.parametrize(("section", "words"), AUTHORITIES, ids=[words for _, words in AUTHORITIES])
def test_authorities_that_are_none(control: Path, section: dict[str, Any], words: str) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Binary.connect(bed)
        assert (await client.fails("load-authority", good={"cacert": CA}, bad=section)).startswith(words)
        assert (await client.ask("get-authorities"))[0] == {"authorities": []}
        client.writer.close()

    run(Bed(control), scenario)


def test_pools(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        assert await client.ask("load-pool", p={"addrs": "10.3.0.0/24", "dns": ["192.0.2.53"]}) == (OK, [])
        section = {"base": "10.3.0.0", "size": "254", "online": "0", "offline": "0"}
        assert (await client.ask("get-pools"))[0] == {"p": section}
        assert (await client.ask("get-pools", leases="yes"))[0] == {"p": {**section, "leases": {}}}
        assert (await client.ask("get-pools", name="q"))[0] == {}
        for bad, words in (
            ({}, "missing addrs for pool 'q'"),
            ({"addrs": ["10.3.0.0/24"]}, "addrs must be a value"),
            ({"addrs": "10.3.0.0/240"}, "invalid addrs value: pools.q.addrs"),
            ({"addrs": "10.3.0.0/24", "dns": ["x"]}, "invalid attribute value for dns"),
            ({"addrs": "10.3.0.0/24", "99999": ["x"]}, "invalid attribute: '99999'"),
        ):
            assert (await client.fails("load-pool", good=section_of(), q=bad)).startswith(words)
        assert list((await client.ask("get-pools"))[0]) == ["p"]
        assert await client.fails("unload-pool", name="q") == "q not found"
        assert await client.ask("unload-pool", name="p") == (OK, [])
        client.writer.close()

    run(Bed(control), scenario)


def section_of() -> dict[str, Any]:
    return {"addrs": "10.4.0.0/24"}


HOSTILE = ("load-conn", "load-authority", "load-pool", "load-cert", "load-key", "load-shared", "unload-conn")


@pytest.mark.parametrize("command", HOSTILE)
def test_messages_of_wrong_shapes_are_refused(control: Path, command: str) -> None:
    """Every element in the place of every other, names that nobody has, values as large as there are."""

    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        deep: dict[str, Any] = {}
        for _ in range(31):
            deep = {"x": deep}
        large = {f"k{number}": bytes(60000) for number in range(8)}
        before = bed.machine.config
        messages: tuple[dict[str, Any], ...] = (
            {"x": "y"},
            {"x": ["y"]},
            {"x": {"x": "y"}},
            {"x": deep},
            {"x": large},
            {"\x1b[2J": {"addrs": "10.3.0.0/24"}},
            {"x": {"\n": "y"}},
            {"type": {}, "data": {}, "name": {}, "id": {}},
            {"type": ["x"], "data": ["x"], "name": ["x"], "id": ["x"]},
            {"type": "x" * 60000, "data": "x", "name": "x" * 60000},
            {"type": "any", "data": bytes(60000)},
            {"type": "\xff", "data": b"\xff", "id": b"\xff", "name": b"\xff"},
        )
        for message in messages:
            said = await client.fails(command, **message)
            assert len(said) < 65536
        assert bed.machine.config is before
        assert (await client.ask("version"))[0]["daemon"] == "ikepy"
        client.send(b"\x00" + bytes((len(command),)) + command.encode() + bytes(MAX_PACKET))
        assert await client.closed()
        client.writer.close()

    run(Bed(control), scenario)


def test_what_is_kept_is_bounded(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (collection, signer, load_pools, load_secrets):
        monkeypatch.setattr(module, "MOST", 1)
    monkeypatch.setattr(collection, "MOST_AUTHORITIES", 1)

    async def scenario(bed: Bed) -> None:
        client = await Binary.connect(bed)
        key, other = (certificates.private(one) for one in (KEY, ec.generate_private_key(ec.SECP256R1())))
        for command, one, another in (
            ("load-cert", {"type": "x509", "data": CA}, {"type": "x509", "data": END}),
            ("load-key", {"type": "any", "data": key}, {"type": "any", "data": other}),
            ("load-authority", {"a": {"cacert": CA}}, {"b": {"cacert": CA}}),
            ("load-pool", {"a": section_of()}, {"b": section_of()}),
            ("load-shared", {"id": "a", "type": "ike", "data": "x"}, {"id": "b", "type": "ike", "data": "x"}),
            ("load-shared", {"id": "a", "type": "eap", "data": "x"}, {"id": "b", "type": "eap", "data": "x"}),
        ):
            for _ in range(2):
                assert (await client.ask(command, **one))[0]["success"] == "yes"
            said = await client.fails(command, **another)
            assert "there are 1 " in said, command
        client.writer.close()

    run(Bed(control), scenario)
