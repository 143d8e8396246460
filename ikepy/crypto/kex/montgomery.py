"""Diffie-Hellman on Curve25519 and Curve448 (RFC 8031, RFC 7748 5)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ikepy.crypto.kex.diffie_hellman import Derive, DiffieHellman
from ikepy.wire.constants import KeGroup

X25519_SIZE = 32
X448_SIZE = 56


def _x25519(drawn: bytes) -> tuple[bytes, Derive]:
    private = X25519PrivateKey.from_private_bytes(drawn)

    def derive(peer_public: bytes) -> bytes:
        # The library refuses an all-zero result, which is what points of small order give.
        return private.exchange(X25519PublicKey.from_public_bytes(peer_public))

    return private.public_key().public_bytes_raw(), derive


def _x448(drawn: bytes) -> tuple[bytes, Derive]:
    private = X448PrivateKey.from_private_bytes(drawn)

    def derive(peer_public: bytes) -> bytes:
        return private.exchange(X448PublicKey.from_public_bytes(peer_public))  # as for X25519

    return private.public_key().public_bytes_raw(), derive


def _any_element(public: bytes) -> bool:
    """Every string of the right size is a public value (RFC 7748 5)."""
    return True


# Seconds: key pair and g^ir, measured with `python -m benchmarks.kex` and rounded up.
METHODS = (
    DiffieHellman(KeGroup.CURVE_25519, 0.00006, X25519_SIZE, X25519_SIZE, _x25519, _any_element),
    DiffieHellman(KeGroup.CURVE_448, 0.0003, X448_SIZE, X448_SIZE, _x448, _any_element),
)
