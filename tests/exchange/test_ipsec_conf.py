"""Two gateways with ipsec.conf, ipsec.secrets and ipsec.d alone, and signers, set up a tunnel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ikepy.config.model import Config
from ikepy.config.sources import recognise
from ikepy.daemon.credentials.collection import Collection
from ikepy.daemon.credentials.store import Store
from ikepy.daemon.signer import configured
from ikepy.daemon.signer.signer import Signer
from ikepy.sa.api.commands import Initiate
from tests.pki import Entity, chain

from .network import Network, Options, assert_joined

PKI, OTHER = chain(), chain("ecdsa", "other")
PASSWORD = "LzU0vX3nRkq9TfWm7cYh"
ADDRESSES = {"a": ("192.0.2.1", "192.0.2.2"), "b": ("192.0.2.2", "192.0.2.1")}
CONF = """config setup
{setup}
conn ab
	auto=add
	ike=aes128gcm16-prfsha256-x25519!
	esp=aes128gcm16!
	left={left}
	right={right}
	leftsubnet=0.0.0.0/0
	rightsubnet=0.0.0.0/0
	mark=42
	also=ends
conn ends
{ends}
"""


@dataclass(frozen=True, slots=True)
class Files(Options):
    """The configuration is in this directory."""

    at: Path = Path()

    def config(self, name: str) -> Config:
        return recognise.read(self.at / "ipsec.conf").config


@dataclass(frozen=True)
class End:
    """A gateway's files. `ends`, `setup`: of ipsec.conf, a line each; `secrets`: ipsec.secrets."""

    ends: tuple[str, ...]
    secrets: str = ""
    own: Entity | None = None
    cas: tuple[Entity, ...] = (PKI.root, PKI.ca)
    setup: tuple[str, ...] = ()
    crls: tuple[bytes, ...] = ()

    def write(self, at: Path, name: str) -> Files:
        left, right = ADDRESSES[name]
        for directory in ("certs", "cacerts", "crls", "private"):
            (at / "ipsec.d" / directory).mkdir(parents=True)
        ends, setup = ("\n".join(f"\t{one}" for one in lines) for lines in (self.ends, self.setup))
        text = CONF.format(left=left, right=right, ends=ends, setup=setup)
        files = {
            "ipsec.conf": text.encode(),
            "ipsec.secrets": self.secrets.encode(),
        }
        files |= {f"ipsec.d/cacerts/{number}.pem": one.pem for number, one in enumerate(self.cas)}
        if self.own is not None:
            files["ipsec.d/certs/own.pem"] = self.own.pem
            files["ipsec.d/private/own.key"] = self.own.pkcs8_pem
        files |= {f"ipsec.d/crls/{number}.crl": one for number, one in enumerate(self.crls)}
        for file, data in files.items():
            (at / file).touch(0o600)
            (at / file).write_bytes(data)
        return Files(at=at)


@contextmanager
def network(at: Path, a: End, b: End) -> Iterator[Network]:
    signers = Signer(), Signer()
    try:
        files, stores = [], []
        for name, end, signer in zip("ab", (a, b), signers, strict=True):
            files.append(end.write(at / name, name))
            config = files[-1].config(name)
            configured.load(signer, config)
            store = Store(keys=signer)
            Collection(store).configure(config)
            stores.append(store)
        net = Network(*files, credentials=(stores[0], stores[1]))
        net.command("a", Initiate("ab", "ab", ticket=1))
        net.run(5.0)
        yield net
    finally:
        for signer in signers:
            signer.close()


def gateway(own: Entity, peer: str, **more: object) -> End:
    ends = ("leftcert=own.pem", f"rightid={peer}")
    return End(ends, ": ECDSA own.key\n", own, **more)  # type: ignore[arg-type]


def told(net: Network) -> str:
    return "\n".join(log.text for log in (*net.a.logs, *net.b.logs))


def test_two_gateways_with_certificates(tmp_path: Path) -> None:
    moon, sun = (f'"{one.dn}"' for one in (PKI.moon, PKI.sun))
    with network(tmp_path, gateway(PKI.moon, sun), gateway(PKI.sun, moon)) as net:
        assert net.a.outcomes[1].ok, net.a.outcomes[1].text
        assert_joined(net)
        (sa,) = net.b.manager.list_sas(net.now)
        assert [str(sa.local_id), str(sa.remote_id)] == [PKI.sun.dn, PKI.moon.dn]


def test_another_ca_is_not_trusted(tmp_path: Path) -> None:
    moon, sun = (f'"{one.dn}"' for one in (PKI.moon, PKI.sun))
    with network(tmp_path, gateway(PKI.moon, sun, cas=(OTHER.root, OTHER.ca)), gateway(PKI.sun, moon)) as net:
        assert not net.a.outcomes[1].ok
        assert not net.a.plane.outbound


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ((PKI.crl(), PKI.crl(root=True)), ""),
        ((PKI.crl(PKI.moon), PKI.crl(root=True)), "revoked"),
        ((), 'revocation = "strict"'),
    ],
    ids=["good", "revoked", "no CRL"],
)
def test_strictcrlpolicy(tmp_path: Path, lists: tuple[bytes, ...], why: str) -> None:
    moon, sun = (f'"{one.dn}"' for one in (PKI.moon, PKI.sun))
    strict = gateway(PKI.sun, moon, setup=("strictcrlpolicy=yes",), crls=lists)
    with network(tmp_path, gateway(PKI.moon, sun), strict) as net:
        assert net.a.outcomes[1].ok is not bool(why)
        assert why in told(net)


def test_a_user_by_eap_and_the_gateway_by_its_certificate(tmp_path: Path) -> None:
    user = End(
        ("leftauth=eap-mschapv2", "leftid=alice", "eap_identity=alice", "rightid=sun.example.org"),
        f'alice : EAP "{PASSWORD}"\n',
    )
    server = End(
        (
            "leftcert=own.pem",
            "leftid=sun.example.org",
            "leftsendcert=always",
            "rightauth=eap-mschapv2",
            "rightid=%any",
            "eap_identity=%identity",
        ),
        f': PKCS8 own.key\nalice : EAP "{PASSWORD}"\n',
        PKI.sun,
    )
    with network(tmp_path, user, server) as net:
        assert net.a.outcomes[1].ok, net.a.outcomes[1].text
        assert_joined(net)
        (sa,) = net.b.manager.list_sas(net.now)
        assert (sa.eap_id, str(sa.local_id)) == ("alice", "sun.example.org")
