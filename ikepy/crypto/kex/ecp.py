"""Diffie-Hellman on the curves of NIST and Brainpool (RFC 5903, 6954, RFC 6989 2.3)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from ikepy.crypto.kex.diffie_hellman import Derive, DiffieHellman
from ikepy.wire.constants import KeGroup

EXTRA_BYTES = 8  # drawn above the order's size, so that reducing leaves no bias (FIPS 186-5 A.2.1)

# Key pair and g^ir, measured with `python -m benchmarks.kex` and rounded up.
_CURVES: tuple[tuple[KeGroup, ec.EllipticCurve, float], ...] = (
    (KeGroup.ECP_256, ec.SECP256R1(), 0.0001),
    (KeGroup.ECP_384, ec.SECP384R1(), 0.0007),
    (KeGroup.ECP_521, ec.SECP521R1(), 0.0005),
    (KeGroup.BRAINPOOL_256, ec.BrainpoolP256R1(), 0.0008),
    (KeGroup.BRAINPOOL_384, ec.BrainpoolP384R1(), 0.0018),
    (KeGroup.BRAINPOOL_512, ec.BrainpoolP512R1(), 0.0028),
)


def _method(group: KeGroup, curve: ec.EllipticCurve, seconds: float) -> DiffieHellman:
    size = _field_size(curve)
    return DiffieHellman(
        group,
        seconds,
        2 * size,
        size + EXTRA_BYTES,
        lambda private: _key_pair(curve, private),
        lambda public: _on_curve(curve, public),
    )


def _key_pair(curve: ec.EllipticCurve, drawn: bytes) -> tuple[bytes, Derive]:
    size = _field_size(curve)
    number = int.from_bytes(drawn, "big")
    private = ec.derive_private_key(number % (curve.group_order - 1) + 1, curve)
    numbers = private.public_key().public_numbers()

    def derive(peer_public: bytes) -> bytes:
        return private.exchange(ec.ECDH(), _point(curve, peer_public))

    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big"), derive


def _point(curve: ec.EllipticCurve, public: bytes) -> ec.EllipticCurvePublicKey:
    """ValueError unless the coordinates are below p and on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public)


def _on_curve(curve: ec.EllipticCurve, public: bytes) -> bool:
    try:
        _point(curve, public)
    except ValueError:
        return False
    return True


def _field_size(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _is_supported(method: DiffieHellman) -> bool:
    """Whether the underlying OpenSSL was built with the curve: brainpool's are missing in some."""
    try:
        method.key_pair(bytes([1]) * method.drawn)
    except UnsupportedAlgorithm:
        return False
    return True


METHODS = tuple(method for method in (_method(*row) for row in _CURVES) if _is_supported(method))
