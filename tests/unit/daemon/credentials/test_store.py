"""What we show a peer, what we ask of it, and what is known from the configuration and VICI."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha1

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ikepy.config.credentials.credential_files import Directories
from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, Authority, AuthRemote, Config
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.crl import Crl, crl
from ikepy.crypto.x509.public_key import public_key
from ikepy.daemon.credentials import collection
from ikepy.daemon.credentials.collection import CA, NONE, Collection
from ikepy.daemon.credentials.store import Store
from ikepy.pki import certificates
from ikepy.sa.auth.credentials import Presented, Trusted
from tests.pki import Entity, chain

PKI, OTHER = chain(), chain("ecdsa", "other")


class Keys:
    """Has those of some entities."""

    certificates: tuple[bytes, ...] = ()

    def __init__(self, *of: Entity) -> None:
        self.of = {one.key_id for one in of}

    def has(self, key_id: str) -> bool:
        return key_id in self.of

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        return lambda: octets[::-1]

    def private_key(self, key_id: str) -> Secret | None:
        return None


def known(*of: Entity, cas: tuple[Entity, ...] = (PKI.root, PKI.ca), keys: Keys | None = None) -> Collection:
    made = Collection(Store(keys=keys or Keys(PKI.moon, PKI.sun)))
    directories = Directories(
        tuple(certificate(one.der) for one in of), tuple(certificate(one.der) for one in cas)
    )
    made.configure(Config(directories=directories))
    return made


def local(**keys: object) -> AuthLocal:
    return AuthLocal().model_copy(update=keys)


def identity(text: str) -> Identity:
    found = Identity.parse(text)
    assert found is not None
    return found


def test_the_certificate_of_an_identity_with_its_chain() -> None:
    store = known(PKI.moon, PKI.sun).store
    own = store.own(local(), identity("sun.example.org"), ())
    assert own is not None
    assert (own.key_id, own.public_key) == (PKI.sun.key_id, PKI.sun.spki)
    assert own.certificates == (PKI.sun.der, PKI.ca.der)
    assert store.own(local(), identity("mars.example.org"), ()) is None


def test_a_certificate_that_came_with_its_key() -> None:
    keys = Keys(PKI.carol)
    keys.certificates = (PKI.carol.der, PKI.ca.der, PKI.root.der)
    own = known(cas=(), keys=keys).store.own(local(), identity("carol@example.org"), ())
    assert own is not None
    assert own.certificates == (PKI.carol.der, PKI.ca.der)


def test_without_the_private_key() -> None:
    assert known(PKI.carol).store.own(local(), identity("carol@example.org"), ()) is None


def test_named_certificates() -> None:
    store = known().store
    auth = local(certs=(PKI.carol.der, PKI.moon.der))
    own = store.own(auth, None, ())
    assert own is not None
    assert own.certificates[0] == PKI.moon.der
    assert store.own(auth, identity("sun.example.org"), ()) is None


def test_of_several_the_one_that_the_peer_trusts() -> None:
    other = OTHER.issue("moon", san=("moon.example.org",))
    keys = Keys(PKI.moon, other)
    store = known(cas=(PKI.root, PKI.ca, OTHER.root, OTHER.ca), keys=keys).store
    auth = local(certs=(PKI.moon.der, other.der))

    def chosen(*asked: bytes) -> bytes:
        own = store.own(auth, identity("moon.example.org"), asked)
        assert own is not None
        return own.certificates[0]

    assert chosen() == PKI.moon.der
    assert chosen(sha1(OTHER.root.spki).digest()) == other.der
    assert chosen(sha1(OTHER.ca.spki).digest()) == other.der
    assert chosen(b"x" * 20) == PKI.moon.der


def test_a_raw_key() -> None:
    own = known().store.own(local(pubkeys=(PKI.sun.spki,)), None, ())
    assert own is not None
    assert (own.key_id, own.public_key, own.certificates) == (PKI.sun.key_id, PKI.sun.spki, ())


def test_the_cas_that_we_ask_for() -> None:
    store = known().store
    hashes = [sha1(one.spki).digest() for one in (PKI.root, PKI.ca)]
    assert store.cas(AuthRemote()) == tuple(hashes)
    assert store.cas(AuthRemote().model_copy(update={"cacerts": (PKI.ca.der,)})) == (hashes[1],)


def test_signing_is_the_keys_affair() -> None:
    assert known().store.sign(PKI.moon.key_id, Scheme.ECDSA_SHA256, b"abc")() == b"cba"
    assert known().store.private_key(PKI.moon.key_id) is None


def test_a_job_goes_on_with_what_was_known() -> None:
    made = known()
    job = made.store.verify(
        AuthRemote(), identity("moon.example.org"), Presented(certificates=PKI.moon.chain)
    )
    made.configure(Config())
    assert isinstance(job(), Trusted)
    later = made.store.verify(
        AuthRemote(), identity("moon.example.org"), Presented(certificates=PKI.moon.chain)
    )
    assert not isinstance(later(), Trusted)


def test_vici_and_the_configuration_are_one_store() -> None:
    made = known()
    made.load(certificate(PKI.moon.der), NONE)
    made.load(public_key(PKI.sun.spki), NONE)
    made.load_authorities({"other": collection.Authority(certificate(OTHER.root.der), ("http://a/",))})
    assert {one.der for one in made.store.known.anchors.cas} == {PKI.root.der, PKI.ca.der, OTHER.root.der}
    assert [one.der for one in made.store.known.certificates] == [PKI.moon.der]
    assert made.store.known.hand.places[OTHER.root.der].crl_uris == ("http://a/",)
    made.configure(Config(authorities={"root": Authority.model_construct(cacert=certificate(PKI.root.der))}))
    assert {one.der for one in made.store.known.anchors.cas} == {PKI.root.der, OTHER.root.der}
    assert list(made.authorities) == ["root", "other"]
    made.clear()
    assert not made.store.known.certificates
    assert made.unload_authority("other")
    assert not made.unload_authority("root")
    assert [one.der for one in made.store.known.anchors.cas] == [PKI.root.der]


def test_of_crls_that_replace_one_another_the_latest() -> None:
    """Those of another key, or for other certificates of the same CA, stay."""

    def listing(*further: x509.ExtensionType, age: int = 0) -> Crl:
        at = datetime.now(UTC) - timedelta(days=age)
        builder = x509.CertificateRevocationListBuilder().issuer_name(PKI.ca.certificate.subject)
        builder = builder.last_update(at).next_update(at + timedelta(days=9))
        for one in further:
            builder = builder.add_extension(one, critical=False)
        return crl(certificates.encode(builder.sign(PKI.ca.key, hashes.SHA256()), "der"))

    made = known()
    rekeyed = x509.AuthorityKeyIdentifier(b"old", None, None)
    users = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    kept = [listing(), listing(rekeyed), listing(users, age=1), listing(rekeyed, users, age=2)]
    for one in (listing(age=1), *kept, listing(age=2), listing(users, age=3)):
        made.load(one, NONE)
    assert set(made.store.known.hand.crls) == set(kept)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "MOST", 2)
    made = known()
    made.load(certificate(PKI.root.der), CA)
    made.load(certificate(PKI.moon.der), NONE)
    made.load(certificate(PKI.moon.der), NONE)
    with pytest.raises(ValueError, match="as many as there may be"):
        made.load(certificate(PKI.sun.der), NONE)
    many = {f"ca{one}": collection.Authority(certificate(PKI.root.der)) for one in range(1025)}
    with pytest.raises(ValueError, match="1024 authorities at most"):
        made.load_authorities(many)


def test_states() -> None:
    made = known(PKI.moon)
    shown = {(one.subject.rpartition("CN=")[2], one.is_ca, one.connection) for one in made.states()}
    assert shown == {("moon", False, ""), ("ecdsa CA", True, ""), ("ecdsa root", True, "")}
    assert {one.expires_at for one in made.states()} >= {certificate(PKI.moon.der).not_after}
