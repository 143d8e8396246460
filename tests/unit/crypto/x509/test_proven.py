"""A signature that was verified once is not verified again; no other one profits from that."""

from __future__ import annotations

import pytest

from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.proven import Proven, name_of
from tests import pki


def test_another_key_and_another_certificate_are_verified() -> None:
    chain, other = pki.chain(), pki.chain(name="other")
    moon = certificate(chain.moon.der)
    for _ in range(2):
        moon.verify_signature(chain.ca.certificate.public_key())
        with pytest.raises(ValueError, match="signature"):
            moon.verify_signature(other.ca.certificate.public_key())
    forged = bytearray(chain.moon.der)
    forged[-1] ^= 1
    with pytest.raises(ValueError, match="signature"):
        certificate(bytes(forged)).verify_signature(chain.ca.certificate.public_key())


def test_names_tell_certificates_and_keys_apart() -> None:
    assert len({name_of(b"a", b"bc"), name_of(b"ab", b"c"), name_of(b"a", b"b"), name_of(b"b", b"a")}) == 4


def test_the_oldest_make_room() -> None:
    proven = Proven(most=4)
    for number in range(6):
        proven.add(bytes([number]))
    assert bytes([5]) in proven
    assert bytes([0]) not in proven
