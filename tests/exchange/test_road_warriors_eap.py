"""The same clients with a password: the gateway shows its certificate, then asks by EAP-MSCHAPv2.

IDi, CP(CFG_REQUEST), SA, TSi, TSr, ...   ->
                                          <-  IDr, CERT, AUTH, EAP(identity)
EAP(alice)                                ->
                                          <-  EAP(challenge)
EAP(response)                             ->
                                          <-  EAP(success, with the gateway's proof)
EAP(success)                              ->
                                          <-  EAP-Success
AUTH, of the MSK                          ->
                                          <-  AUTH, CP(CFG_REPLY), SA, TSi, TSr
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ikepy.config.toml_source import read_table
from ikepy.crypto import mschapv2
from ikepy.crypto.auth import psk_auth
from ikepy.crypto.secret import Secret
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.sa.api.commands import Terminate
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, CertPayload, CpPayload, EapPayload, IdPayload, Payload
from tests.pki import Entity, chain
from tests.unit.docs.pages import DOCS, blocks

from .credentials import Memory
from .network import Network
from .test_road_warriors import CLIENTS, GATEWAY, RoadWarrior, assert_served

PASSWORD = b"open sesame"
CHALLENGE, OWN = 16, bytes(range(16))
WITH_EAP = replace(
    GATEWAY,
    connection=f'{GATEWAY.connection}\nsend_cert = "always"',
    local='auth = "pubkey"',
    remote='auth = "eap-mschapv2"\neap_id = "%any"',
    more=f"""{GATEWAY.more}
[secrets.eap-alice]
ids = ["alice"]
secret = "{PASSWORD.decode()}"
[secrets.eap-bob]
ids = ["bob"]
secret = "bobs"
""",
)
# None announces hash algorithms (RFC 7427): an RSA key signs with SHA-1 then, ECDSA as RFC 4754 has it.
KEYS = {name: "rsa" if name == "Windows, as it comes" else "ecdsa" for name in CLIENTS}


@cache
def certificate(kind: str) -> Entity:
    return chain(kind).issue("vpn", san=("vpn.example.org",), flags=("serverAuth",))


def gateway(kind: str = "ecdsa") -> Network:
    return Network(WITH_EAP, WITH_EAP, credentials=(Memory(), Memory(certificate(kind))))


class User(RoadWarrior):
    """One client with a name and a password. `last`: the response to its last request."""

    last: tuple[Payload, ...]

    def connect(self, name: bytes = b"alice", password: bytes = PASSWORD) -> tuple[Payload, ...]:
        """What is in the last response."""
        self.begin()
        answer = self.exchange(self.auth(None))
        id_r = query.must(answer, IdPayload)
        assert (id_r.type, id_r.data) == (PayloadType.ID_R, b"vpn.example.org")
        self._believe(answer, id_r)
        asked = _eap(answer)
        assert (asked.code, asked.type) == (Code.REQUEST, EapType.IDENTITY)
        asked = self._say(asked, EapType.IDENTITY, name)
        assert asked.type == EapType.MSCHAPV2
        challenge = asked.data[5 : 5 + CHALLENGE]
        assert asked.data[0] == 1
        hash = mschapv2.nt_hash(Secret(password))
        hashed = mschapv2.challenge_hash(OWN, challenge, name.rpartition(b"\\")[2])
        response = mschapv2.nt_response(hash, hashed)
        value = bytes([49]) + OWN + bytes(8) + response + b"\0" + name
        header = bytes([2, asked.data[1]]) + (4 + len(value)).to_bytes(2, "big")
        asked = self._say(asked, EapType.MSCHAPV2, header + value)
        if asked.code is Code.FAILURE:
            return self.last
        proof = mschapv2.authenticator_response(hash, response, hashed).hex().upper()
        assert asked.data[0] == 3
        assert asked.data[4:].startswith(f"S={proof}".encode())
        asked = self._say(asked, EapType.MSCHAPV2, b"\x03")
        assert asked.code is Code.SUCCESS
        msk = mschapv2.msk(hash, response)
        mic = AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(self.prf, msk, self.octets))
        self.last = self.exchange([mic])
        expected = psk_auth(self.prf, msk, self.gateways_octets(id_r))
        assert query.must(self.last, AuthPayload) == AuthPayload(AuthMethod.SHARED_KEY_MIC, expected)
        return self.last

    def _say(self, asked: Packet, kind: EapType, data: bytes) -> Packet:
        """Answer a request of the gateway's; what it says next."""
        said = Packet(Code.RESPONSE, asked.identifier, kind, data).encode()
        self.last = self.exchange([EapPayload(said)])
        return _eap(self.last)

    def _believe(self, answer: Sequence[Payload], id_r: IdPayload) -> None:
        """Verify the gateway's AUTH with its certificate, which nobody has asked for but Windows."""
        first = next(one for one in answer if isinstance(one, CertPayload))
        key = x509.load_der_x509_certificate(first.data).public_key()
        auth, octets = query.must(answer, AuthPayload), b"".join(self.gateways_octets(id_r).parts)
        if isinstance(key, rsa.RSAPublicKey):
            assert auth.method == AuthMethod.RSA_SIGNATURE
            key.verify(auth.data, octets, padding.PKCS1v15(), SHA1())
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            assert auth.method == AuthMethod.ECDSA_SHA_256_P256
            r, s = (int.from_bytes(auth.data[at : at + 32], "big") for at in (0, 32))
            key.verify(encode_dss_signature(r, s), octets, ec.ECDSA(SHA256()))


def _eap(payloads: Sequence[Payload]) -> Packet:
    return Packet.decode(query.must(payloads, EapPayload).data)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_user_with_a_password_gets_its_addresses_and_its_child(name: str) -> None:
    net, client = gateway(KEYS[name]), CLIENTS[name]
    assert_served(net, client, User(net, client).connect())
    (state,) = net.b.manager.list_sas(net.now)
    assert state.eap_id == "alice"
    assert [(str(one.address), str(one.identity)) for one in net.b.manager.leases()] == [
        ("10.3.0.1", "alice"),
        ("fd03::1", "alice"),
    ]


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(("user", "password"), [(b"alice", b"a guess"), (b"mallory", PASSWORD)])
def test_a_wrong_password_and_an_unknown_user_get_nothing(name: str, user: bytes, password: bytes) -> None:
    net = gateway()
    answer = User(net, CLIENTS[name]).connect(user, password)
    error = query.error(answer)
    assert error is not None
    assert error.notify == NotifyType.AUTHENTICATION_FAILED
    assert query.maybe(answer, CpPayload) is None
    assert net.b.manager.idle
    assert not net.b.manager.leases()


def test_two_users_behind_one_nat_have_different_addresses() -> None:
    """They may have the same identity in IKE, as each calls itself by its address in its own network."""
    net, client = gateway(), CLIENTS["Windows with NegotiateDH2048_AES256 = 2"]
    User(net, client, 1).connect()
    User(net, client, 2).connect(b"bob", b"bobs")
    leases = {one.eap_id: str(one.network.leases[0]) for one in net.b.manager.list_sas(net.now)}
    assert leases == {"alice": "10.3.0.1", "bob": "10.3.0.2"}


def test_a_user_who_comes_again_has_its_address_again() -> None:
    net, client = gateway(), CLIENTS["iOS"]
    User(net, client, 1).connect()
    net.command("b", Terminate(ike="ab", force=True))
    assert net.b.manager.idle
    User(net, CLIENTS["Android"], 2).connect(b"bob", b"bobs")
    User(net, client, 3).connect()
    leases = {one.eap_id: str(one.network.leases[0]) for one in net.b.manager.list_sas(net.now)}
    assert leases == {"alice": "10.3.0.1", "bob": "10.3.0.2"}


def test_the_documentation_has_this_gateway(tmp_path: Path) -> None:
    first, differing = map(tomllib.loads, blocks(DOCS / "road-warriors.md", "toml"))
    del first["secrets"]
    table = _merged(first, differing)
    table["secrets"]["eap-alice"] = {"ids": ["alice"], "secret": PASSWORD.decode()}
    (tmp_path / table["connections"]["users"]["local"]["certs"][0]).write_bytes(certificate("ecdsa").pem)
    users = read_table(table, "road-warriors.md", tmp_path).config.connections["users"]
    own = WITH_EAP.config("b").connections["ab"]
    assert users.proposals == own.proposals
    assert users.send_cert == own.send_cert
    assert (users.local.auth, users.local.id) == (own.local.auth, own.local.id)
    assert (users.remote.auth, users.remote.eap_id) == (own.remote.auth, own.remote.eap_id)
    (child,), (mine,) = users.children.values(), own.children.values()
    assert (child.esp_proposals, child.local_ts, child.remote_ts) == (
        mine.esp_proposals,
        mine.local_ts,
        mine.remote_ts,
    )


def _merged(one: Any, other: Any) -> Any:
    """Tables of both, with what the other says where both say something."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    both = {key: _merged(one[key], other[key]) for key in one.keys() & other.keys()}
    return {**one, **other, **both}


@pytest.mark.parametrize("name", [b"ALICE", b"@alice", b" alice", b"fqdn:alice", b"dns:#616c696365"])
def test_a_user_who_writes_his_name_otherwise_is_no_other_user(name: bytes) -> None:
    """Where his name decides how many IKE_SAs he may have, and which address is his."""
    connection = WITH_EAP.connection.replace('unique = "never"', 'unique = "keep"')
    options = replace(WITH_EAP, connection=f"{connection}\nmax_ike_sas_per_identity = 1")
    net = Network(options, options, credentials=(Memory(), Memory(certificate("ecdsa"))))
    for number, one in enumerate((b"alice", name), 1):
        User(net, CLIENTS["iOS"], number).connect(one)
    net.run(1)
    assert len(net.b.manager.ike_sas) == 1
