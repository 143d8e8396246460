"""What a certificate proves of an identity (RFC 4945 3.1)."""

import pytest

from ikepy.config.identity import Identity
from ikepy.crypto.x509.certificate import certificate
from ikepy.daemon.credentials.identity_match import proves
from ikepy.wire.constants import IdType
from tests.pki import chain

MADE = chain().issue("moon", san=("moon.example.org", "*.wild.example.org", "carol@example.org", "192.0.2.1"))
MOON = certificate(MADE.der)


@pytest.mark.parametrize(
    ("identity", "proven"),
    [
        ("moon.example.org", True),
        ("MOON.example.org", True),
        ("moon", False),  # the common name
        ("sub.moon.example.org", False),
        ("a.wild.example.org", False),
        ("carol@example.org", True),
        ("@moon.example.org", True),
        ("fqdn:carol@example.org", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8::1", False),
        ("fqdn:192.0.2.1", False),
        ("C=CH, O=ikepy, CN=moon", True),
        ("C=ch, O=IKEPY, CN=Moon", True),
        ("C=CH, O=ikepy", False),
        ("C=CH, O=ikepy, CN=*", False),
        ("O=ikepy, C=CH, CN=moon", False),
        ("keyid:#KEY", True),
        ("keyid:moon.example.org", False),
        ("{99}:moon.example.org", False),
        ("^.*$", False),
    ],
)
def test_an_identity(identity: str, proven: bool) -> None:
    claimed = Identity.parse(identity.replace("KEY", MADE.key_id))
    assert claimed is not None
    assert proves(MOON, claimed) is proven


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\xff\xff", b"moon.example.org\0"])
def test_malformed_identities(data: bytes) -> None:
    assert not any(proves(MOON, Identity(kind, data)) for kind in (*IdType, 0, 255))
