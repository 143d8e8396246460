"""Chains that are made to cost: a hundred certificates, loops, names and constraints without end."""

from __future__ import annotations

from time import process_time, time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ikepy.crypto.x509 import path
from ikepy.crypto.x509.certificate import MAX_CERTIFICATE, Certificate, certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.pki import certificates
from ikepy.pki.certificates import Contents
from tests.pki import Entity, chain, make_key

BOUND = 2.0  # seconds of CPU time: what is measured takes a tenth of it on a slow machine
TOP = chain().root
EMAIL = x509.RFC822Name


def read(one: Entity) -> Certificate:
    return certificate(certificates.encode(one.certificate, "der"))


def issued(by: Entity, name: str, **contents: object) -> Entity:
    key = make_key("ecdsa")
    made = Contents(dn=f"CN={name}", **contents)  # type: ignore[arg-type]
    return Entity(key, certificates.issue(key.public_key(), by.key, by.certificate, made))


def refused(end: Entity, sent: list[Entity], anchors: Anchors | None = None) -> str:
    began = process_time()
    with pytest.raises(ValueError) as caught:
        path.find(read(end), [read(one) for one in sent], anchors or Anchors([read(TOP)]), time())
    assert process_time() - began < BOUND
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_a_chain_of_a_hundred() -> None:
    cas = [TOP]
    for number in range(100):
        cas.append(issued(cas[-1], f"CA {number}", ca=True))
    end = issued(cas[-1], "end")
    assert "longer than 8 certificates" in refused(end, cas[:0:-1])


def test_a_loop() -> None:
    first = Entity(make_key("ecdsa"), TOP.certificate)
    second = Entity(make_key("ecdsa"), TOP.certificate)

    def cross(by: Entity, issuer: str, subject: str, key: Entity) -> Entity:
        made = Contents(dn=f"CN={subject}", ca=True)
        own = certificates.self_signed(by.key, Contents(dn=f"CN={issuer}", ca=True))
        return Entity(key.key, certificates.issue(key.key.public_key(), by.key, own, made))

    one, other = cross(second, "second", "first", first), cross(first, "first", "second", second)
    end = issued(one, "end")
    assert "nothing is known of its issuer" in refused(end, [one, other])


def test_many_issuers_of_one_name() -> None:
    """Each of fifteen CAs could have issued each other one."""
    keys = [make_key("ecdsa") for _ in range(15)]
    own = [
        Entity(key, certificates.self_signed(key, Contents(dn="CN=same", ca=True, serial=number + 1)))
        for number, key in enumerate(keys)
    ]
    sent = [
        Entity(
            key, certificates.issue(key.public_key(), by.key, by.certificate, Contents(dn="CN=same", ca=True))
        )
        for key, by in zip(keys, own[1:] + own[:1], strict=True)
    ]
    refused(issued(own[0], "end"), sent)


def test_names_and_constraints_without_end() -> None:
    permitted = tuple(f"dns:a{number}.example.org" for number in range(1500))
    ca = issued(TOP, "CA", ca=True, permitted=permitted)
    end = issued(ca, "end", san=tuple(f"b{number}.example.com" for number in range(1500)))
    assert "do not permit" in refused(end, [ca])
    end = issued(ca, "end", san=tuple("a1499.example.org" for number in range(1500)))
    assert "too many names and name constraints" in refused(end, [ca])


def layers(*top: tuple[x509.ExtensionType, bool]) -> list[Entity]:
    """Six of two CAs each that have the same name and key: 64 paths. `top`: extensions of the upper two."""
    sent, by = list[Entity](), TOP
    for number in range(6):
        key, further = make_key("ecdsa"), top if number == 0 else ()
        contents = Contents(dn=f"CN=layer {number}", ca=True, further=further)
        for _ in range(2):
            sent.append(Entity(key, certificates.issue(key.public_key(), by.key, by.certificate, contents)))
        by = sent[-1]
    return sent


def test_names_and_constraints_over_many_paths() -> None:
    """The limit is for all of them together; constraints of other kinds than the names count, too."""

    def directory(text: str) -> x509.GeneralName:
        parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{text}{number % 10}") for number in range(64)]
        return x509.DirectoryName(x509.Name(parts))

    # The end entity is refused after its names were compared: it has no policy.
    policy = x509.PolicyConstraints(require_explicit_policy=6, inhibit_policy_mapping=None), True
    excluded = x509.NameConstraints(None, [directory(f"a{number}") for number in range(50)]), True
    permitted = x509.NameConstraints([EMAIL(f"a{number}.example") for number in range(3000)], None), True
    for constraints, names in (
        (excluded, [directory(f"b{number}") for number in range(50)]),
        (permitted, [x509.DNSName(f"a{number}.example") for number in range(3000)]),
    ):
        sent = layers(constraints, policy)
        end = issued(sent[-1], "end", further=((x509.SubjectAlternativeName(names), False),))
        assert "too many names and name constraints" in refused(end, sent), names[0]


def test_many_paths_that_are_not_valid() -> None:
    sent = layers()
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True
    told = refused(issued(sent[-1], "end", further=(unknown,)), sent)
    assert "critical extension 1.2.3.4 is not known here; of its chains 16 at most" in told


def test_a_certificate_of_60_kilobytes() -> None:
    end = issued(TOP, "end", san=tuple(f"name-{number:06}.example.org" for number in range(2200)))
    found = read(end)
    assert 50_000 < len(found.der) < MAX_CERTIFICATE
    assert path.find(found, [], Anchors([read(TOP)]), time()).end == found
    with pytest.raises(ValueError, match="too long; allowed: at most 65535 octets"):
        certificate(found.der + bytes(20_000))


def test_a_second_extension_of_one_kind() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("a.example.org")])
    # An unknown extension's identifier becomes that of subjectAltName.
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), names.public_bytes())
    made = read(issued(TOP, "end", san=("b.example.org",), further=((other, False),))).der
    assert certificate(made).der == made
    with pytest.raises(ValueError, match="extensions or names are malformed"):
        certificate(made.replace(b"\x55\x1d\x63", b"\x55\x1d\x11"))


@pytest.mark.parametrize("text", ["moon.example.org\0.evil.example", "mo\x01on"])
def test_control_characters_in_names(text: str) -> None:
    """They are no other name than they say, and do not reach the log."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    key = make_key("ecdsa")
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(TOP.certificate.not_valid_before_utc)
    made = made.not_valid_after(TOP.certificate.not_valid_after_utc)
    alternative = x509.SubjectAlternativeName([x509.DNSName(text)])
    signed = made.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    found = certificate(certificates.encode(signed, "der"))
    assert str(found).isprintable()
    assert found.names.dns == (text,)


@pytest.mark.parametrize("octets", [b"moon.\xff\xfe.example", "mo\u00f6n.example.org".encode()])
def test_names_that_are_not_ascii(octets: bytes) -> None:
    """A dNSName is IA5 (RFC 5280 4.2.1.6); one that is not makes the certificate none."""
    plain = b"x" * len(octets)
    der = read(issued(TOP, "end", san=(f"{plain.decode()}.org",))).der
    with pytest.raises(ValueError, match="extensions or names are malformed"):
        certificate(der.replace(plain, octets))


def test_a_name_whose_value_is_a_bit_string() -> None:
    """The library has an exception of another kind for that."""
    plain = b"\x0c\x08" + b"y" * 8
    der = read(issued(TOP, "end", san=("asn1dn:CN=" + "y" * 8,))).der
    text = plain if plain in der else b"\x13" + plain[1:]
    changed = der.replace(text, b"\x03\x08\0" + b"y" * 7)
    assert changed != der
    with pytest.raises(ValueError, match="extensions or names are malformed"):
        certificate(changed)


def test_a_subject_that_is_not_ascii_is_itself_alone() -> None:
    found = read(issued(TOP, "\u041c\u043e\u043en"))  # Cyrillic
    assert str(found) == 'certificate "CN=\u041c\u043e\u043en"'
    assert found.subject.folded != read(issued(TOP, "Moon")).subject.folded
