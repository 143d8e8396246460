"""Values under a caller's key: whose they are, what is noticed, and that no two seals share a key."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.crypto.sealing import KEY_SIZE, SALT_SIZE, TAG_SIZE, seal, unseal
from ikepy.crypto.secret import Secret
from ikepy.errors import IntegrityError, LocalMisuse
from tests.unit.crypto.randomness import fixed, seeded

KEY = Secret(bytes(range(KEY_SIZE)))
HEADER = b"head"


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=20))
def test_round_trip(plaintext: bytes, header: bytes) -> None:
    sealed = seal(KEY, seeded(1), header, plaintext)
    assert sealed.startswith(header)
    assert len(sealed) == len(header) + SALT_SIZE + len(plaintext) + TAG_SIZE
    assert unseal(KEY, len(header), sealed) == plaintext


def test_is_what_the_rfcs_say() -> None:
    """Put together anew: HKDF (RFC 5869) with the salt, then AES-256-GCM once."""
    salt = bytes(range(100, 132))
    derived = HKDF(SHA256(), 32, salt, b"ikepy sealed value, AES-256-GCM").derive(KEY.expose())
    expected = HEADER + salt + AESGCM(derived).encrypt(bytes(12), b"text", HEADER)
    assert seal(KEY, fixed(salt), HEADER, b"text") == expected


def test_equal_values_look_different() -> None:
    random = seeded(1)
    first, second = (seal(KEY, random, HEADER, b"the same") for _ in range(2))
    assert first[:4] == second[:4]
    assert first[4 + SALT_SIZE :] != second[4 + SALT_SIZE :]


@settings(deadline=None)
@given(st.integers(0, 4 + SALT_SIZE + 8 + TAG_SIZE - 1), st.integers(1, 255))
def test_every_octet_counts(position: int, change: int) -> None:
    sealed = bytearray(seal(KEY, seeded(1), HEADER, b"a secret"))
    sealed[position] ^= change
    with pytest.raises(IntegrityError):
        unseal(KEY, 4, bytes(sealed))


@settings(deadline=None)
@given(st.integers(0, 4 + SALT_SIZE + 8 + TAG_SIZE - 1))
def test_cut(length: int) -> None:
    with pytest.raises(IntegrityError):
        unseal(KEY, 4, seal(KEY, seeded(1), HEADER, b"a secret")[:length])


def test_another_key() -> None:
    with pytest.raises(IntegrityError):
        unseal(Secret(bytes(KEY_SIZE)), 4, seal(KEY, seeded(1), HEADER, b"a secret"))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length(size: int) -> None:
    with pytest.raises(LocalMisuse, match="32 bytes"):
        seal(Secret(bytes(size)), seeded(1), HEADER, b"")
    with pytest.raises(LocalMisuse, match="32 bytes"):
        unseal(Secret(bytes(size)), 4, bytes(100))
