"""Paths from a peer's certificate to a CA of ours: which are valid, and what the others are refused for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ikepy.crypto.schemes import KeyKind
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.path import Anchors, Path, find
from ikepy.crypto.x509.path_checks import Requirements
from ikepy.pki import certificates
from ikepy.pki.certificates import Contents
from tests.pki import Chain, Entity, chain, make_key

NOW = datetime.now(UTC)
OID = x509.ObjectIdentifier


def read(*made: Entity | x509.Certificate) -> list[Certificate]:
    found = [one.certificate if isinstance(one, Entity) else one for one in made]
    return [certificate(certificates.encode(one, "der")) for one in found]


def path(
    end: Entity, *sent: Entity, cas: tuple[Entity, ...], at: float | None = None, **asked: frozenset[object]
) -> Path:
    requirements = Requirements(**asked)  # type: ignore[arg-type]
    now = time.time() if at is None else at
    return find(read(end)[0], read(*sent), Anchors(read(*cas)), now, requirements)


def issued(by: Entity, name: str, *, key: object = None, **contents: object) -> Entity:
    """A certificate by any CA; a path length would be the CA's own."""
    own = key or make_key("ecdsa")
    made = Contents(dn=f"CN={name}", **contents)  # type: ignore[arg-type]
    return Entity(own, certificates.issue(own.public_key(), by.key, by.certificate, made))  # type: ignore[arg-type, attr-defined]


def root(name: str = "root", **contents: object) -> Entity:
    key = make_key("ecdsa")
    made = Contents(dn=f"CN={name}", ca=True, **contents)  # type: ignore[arg-type]
    return Entity(key, certificates.self_signed(key, made))


@pytest.mark.parametrize("kind", ["ecdsa", "brainpool", "ed25519", "ed448", "rsa"])
def test_a_chain_of_each_kind_of_key(kind: str) -> None:
    pki = chain(kind)
    found = path(pki.moon, pki.ca, cas=(pki.root,))
    assert found.certificates == tuple(read(pki.moon, pki.ca, pki.root))
    assert found.until == min(one.not_after for one in found.certificates)
    expected = {"brainpool": "ecdsa"}.get(kind, kind)
    assert [link.key.kind.value for link in found.links] == [expected, expected]
    assert (found.links[0].hash is None) is kind.startswith("ed")


def test_rsa_pss() -> None:
    pki = chain("rsa")
    end = pki.issue("pss", key=make_key("ecdsa"), rsa_padding="pss")
    found = path(end, pki.ca, cas=(pki.root,))
    assert (found.links[0].pss, found.links[1].pss) == (True, False)
    assert (found.links[0].key.kind, found.links[0].signed_by.kind) == (KeyKind.ECDSA, KeyKind.RSA)
    assert found.links[0].signed_by.bits == 3072


class TestEnds:
    pki: Chain = chain()

    def test_the_intermediate_may_be_known_here(self) -> None:
        assert len(path(self.pki.moon, cas=(self.pki.root, self.pki.ca)).certificates) == 3

    def test_an_intermediate_alone_is_an_anchor(self) -> None:
        assert len(path(self.pki.moon, cas=(self.pki.ca,)).certificates) == 2

    def test_an_unknown_issuer(self) -> None:
        with pytest.raises(ValueError, match='nothing is known of its issuer "C=CH, O=ikepy, CN=ecdsa CA"'):
            path(self.pki.moon, cas=(self.pki.root,))
        with pytest.raises(ValueError, match="nothing is known of its issuer"):
            path(self.pki.moon, self.pki.ca, cas=())

    def test_another_root_of_the_same_name(self) -> None:
        other = chain("ecdsa", "other")
        forged = root()
        ca = issued(forged, "x", ca=True)
        end = issued(ca, "end")
        with pytest.raises(ValueError, match="signature is not its issuer's"):
            path(end, ca, cas=(root(), other.root))

    def test_of_two_cas_of_one_name_the_one_that_signed(self) -> None:
        first, second = root(), root()
        assert path(issued(second, "end"), cas=(first, second)).certificates[-1] == read(second)[0]

    def test_through(self) -> None:
        cas = frozenset({read(self.pki.ca)[0].der})
        path(self.pki.moon, self.pki.ca, cas=(self.pki.root,), through=cas)
        other = frozenset({read(chain("ecdsa", "other").ca)[0].der})
        with pytest.raises(ValueError, match="none of the CAs of cacerts"):
            path(self.pki.moon, self.pki.ca, cas=(self.pki.root,), through=other)

    def test_self_signed(self) -> None:
        with pytest.raises(ValueError, match="nothing is known of its issuer"):
            path(ca(CA), cas=(self.pki.root,))


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ({"not_before": NOW + timedelta(days=1), "not_after": NOW + timedelta(days=2)}, "not valid before"),
        ({"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=2)}, "has expired on"),
        ({"flags": ("ocspSigning",)}, "extended key usage has nothing"),
        (
            {"further": ((x509.UnrecognizedExtension(OID("1.2.3.4"), b"\x05\x00"), True),)},
            "critical extension 1.2.3.4 is not known",
        ),
    ],
)
def test_an_end_entity_is_refused(contents: dict[str, object], why: str) -> None:
    ca = root()
    with pytest.raises(ValueError, match=why) as caught:
        path(issued(ca, "end", **contents), cas=(ca,))
    assert 'certificate "CN=end": ' in str(caught.value)


@pytest.mark.parametrize(
    "contents",
    [
        {"flags": ("serverAuth",)},
        {"flags": ("clientAuth", "ocspSigning")},
        {"flags": ("ikeIntermediate",)},
        {"further": ((x509.UnrecognizedExtension(OID("1.2.3.4"), b"\x05\x00"), False),)},
        {"not_before": NOW + timedelta(seconds=60), "not_after": NOW + timedelta(days=2)},  # a slow clock
    ],
)
def test_an_end_entity_is_taken(contents: dict[str, object]) -> None:
    ca = root()
    path(issued(ca, "end", **contents), cas=(ca,))


def usage(*, sign: bool = False, cert_sign: bool = False) -> tuple[x509.ExtensionType, bool]:
    no = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only"), False
    )
    made = x509.KeyUsage(
        digital_signature=sign, key_cert_sign=cert_sign, key_encipherment=True, decipher_only=False, **no
    )
    return made, True


def signed(
    by: ec.EllipticCurvePrivateKey,
    issuer: str,
    subject: str,
    *extensions: tuple[x509.ExtensionType, bool],
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    public: rsa.RSAPublicKey | None = None,
) -> Entity:
    """One that no careful CA issues."""
    own = key or ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder(subject_name=name(subject), issuer_name=name(issuer))
        .public_key(public or own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for one, critical in extensions:
        builder = builder.add_extension(one, critical=critical)
    return Entity(own, builder.sign(by, hashes.SHA256()))


CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = x509.BasicConstraints(ca=True, path_length=None), True


def ca(*extensions: tuple[x509.ExtensionType, bool], name: str = "CA") -> Entity:
    return signed(CA_KEY, name, name, *extensions, key=CA_KEY)


def test_key_usage() -> None:
    with pytest.raises(ValueError, match="neither digitalSignature nor nonRepudiation"):
        path(signed(CA_KEY, "CA", "end", usage()), cas=(ca(CA),))
    path(signed(CA_KEY, "CA", "end", usage(sign=True)), cas=(ca(CA),))


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ((), "it is no CA"),
        (((x509.BasicConstraints(ca=False, path_length=None), True),), "it is no CA"),
        ((CA, usage(sign=True)), "no keyCertSign"),
    ],
)
def test_an_issuer_that_is_none(extensions: tuple[tuple[x509.ExtensionType, bool], ...], why: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    middle = signed(CA_KEY, "CA", "middle", *extensions, key=key)
    with pytest.raises(ValueError, match=why):
        path(signed(key, "middle", "end"), middle, cas=(ca(CA),))


def test_path_length() -> None:
    top = root(path_length=1)
    first = issued(top, "first", ca=True)
    second = issued(first, "second", ca=True)
    path(issued(first, "end"), first, cas=(top,))
    with pytest.raises(ValueError, match="its path length is 1, and 2 CAs are below it"):
        path(issued(second, "end"), second, first, cas=(top,))


def test_a_weak_hash() -> None:
    pki, sha256, sha1 = chain("rsa"), bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    (end,) = read(pki.moon)
    weak = certificate(end.der.replace(sha256, sha1))
    with pytest.raises(ValueError, match="signed with sha1, which is too weak"):
        find(weak, read(pki.ca), Anchors(read(pki.root)), time.time())


def test_weak_keys() -> None:
    short = rsa.generate_private_key(65537, 1024)
    with pytest.raises(ValueError, match="RSA key of 1024 bits; allowed: 2048 to 16384"):
        path(signed(CA_KEY, "CA", "end", key=short), cas=(ca(CA),))
    curve = ec.generate_private_key(ec.SECP192R1())
    with pytest.raises(ValueError, match="curve secp192r1; allowed"):
        path(signed(CA_KEY, "CA", "end", key=curve), cas=(ca(CA),))


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (rsa.RSAPublicNumbers(3, (1 << 3071) + 1), "the exponent 3; allowed"),
        (rsa.RSAPublicNumbers(2**80 + 1, (1 << 3071) + 1), "the exponent 81 bits"),
        (rsa.RSAPublicNumbers(65537, (1 << 16399) + 1), "RSA key of 16400 bits"),
    ],
)
def test_rsa_keys_that_are_refused_unused(numbers: rsa.RSAPublicNumbers, why: str) -> None:
    end = signed(CA_KEY, "CA", "end", public=numbers.public_key())
    with pytest.raises(ValueError, match=why):
        path(end, cas=(ca(CA),))


def test_a_key_of_16384_bits_is_taken() -> None:
    large = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key()
    found = path(signed(CA_KEY, "CA", "end", public=large), cas=(ca(CA),))
    assert found.links[0].key.bits == 16384


class TestPolicies:
    def policies(self, *oids: str) -> tuple[x509.ExtensionType, bool]:
        made = [x509.PolicyInformation(OID(one), None) for one in oids]
        return x509.CertificatePolicies(made), False

    def path(
        self, of_ca: tuple[str, ...], of_end: tuple[str, ...], *more: tuple[x509.ExtensionType, bool]
    ) -> None:
        top, key = ca(CA), ec.generate_private_key(ec.SECP256R1())
        stated = (self.policies(*of_ca),) if of_ca else ()
        middle = signed(CA_KEY, "CA", "middle", CA, *stated, *more, key=key)
        own = (self.policies(*of_end),) if of_end else ()
        path(signed(key, "middle", "end", *own), middle, cas=(top,), policies=frozenset({"1.2.3"}))

    def test_holds(self) -> None:
        self.path(("1.2.3", "1.2.4"), ("1.2.3",))
        self.path(("2.5.29.32.0",), ("1.2.3", "1.2.5"))

    @pytest.mark.parametrize(
        ("of_ca", "of_end"), [((), ()), (("1.2.3",), ()), ((), ("1.2.3",)), (("1.2.4",), ("1.2.3",))]
    )
    def test_does_not(self, of_ca: tuple[str, ...], of_end: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match=r"its chain lacks the policy 1\.2\.3 of cert_policy"):
            self.path(of_ca, of_end)

    def test_inhibit_any(self) -> None:
        with pytest.raises(ValueError, match="lacks the policy"):
            self.path(("2.5.29.32.0",), ("2.5.29.32.0",), (x509.InhibitAnyPolicy(0), True))

    def test_explicit(self) -> None:
        constraint = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True
        with pytest.raises(ValueError, match="no certificate policy holds"):
            self.path(("1.2.4",), ("1.2.5",), constraint)
