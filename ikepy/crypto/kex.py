"""Ephemeral key exchange in the groups of IKE (RFC 7296 2.14; RFC 3526, 5903, 6954, 6989, 8031)."""

from collections.abc import Callable

import gmpy2
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from gmpy2 import mpz

from ikepy.crypto import modp
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse, PeerError
from ikepy.wire.constants import KeGroup, NotifyType

Random = Callable[[int], bytes]  # size -> that many random bytes
Derive = Callable[[bytes], bytes]  # the peer's public value -> g^ir; ValueError if it is invalid

CURVES: dict[int, ec.EllipticCurve] = {
    KeGroup.ECP_256: ec.SECP256R1(),
    KeGroup.ECP_384: ec.SECP384R1(),
    KeGroup.ECP_521: ec.SECP521R1(),
    KeGroup.BRAINPOOL_256: ec.BrainpoolP256R1(),
    KeGroup.BRAINPOOL_384: ec.BrainpoolP384R1(),
    KeGroup.BRAINPOOL_512: ec.BrainpoolP512R1(),
}
# Key pair and g^ir, measured with `python -m benchmarks.kex` and rounded up.
SECONDS: dict[int, float] = {
    KeGroup.CURVE_25519: 0.00006,
    KeGroup.CURVE_448: 0.0003,
    KeGroup.ECP_256: 0.0001,
    KeGroup.ECP_384: 0.0007,
    KeGroup.ECP_521: 0.0005,
    KeGroup.BRAINPOOL_256: 0.0008,
    KeGroup.BRAINPOOL_384: 0.0018,
    KeGroup.BRAINPOOL_512: 0.0028,
    KeGroup.MODP_1024: 0.0003,
    KeGroup.MODP_1536: 0.0006,
    KeGroup.MODP_2048: 0.0012,
    KeGroup.MODP_3072: 0.0035,
    KeGroup.MODP_4096: 0.007,
    KeGroup.MODP_6144: 0.018,
    KeGroup.MODP_8192: 0.036,
}
SLOWEST = max(SECONDS.values())
UNACCEPTABLE = "not an acceptable element of the group"
X25519_SIZE = 32
X448_SIZE = 56
EXTRA_BYTES = 8  # drawn above the order's size, so that reducing leaves no bias (FIPS 186-5 A.2.1)


class KeyExchange:
    """One side of one exchange: `group`, and `public`, the data of the KE payload. Used only once."""

    __slots__ = ("_derive", "group", "public")

    def __init__(self, group: int, public: bytes, derive: Derive) -> None:
        self.group = group
        self.public = public
        self._derive = derive

    def shared(self, peer_public: bytes) -> Secret:
        """g^ir: the modulus' or field's size in bytes, leading zeros kept; x alone on a curve (RFC 5903 7).

        PeerError as `check_public` raises, and for a point of small order.
        """
        check_public(self.group, peer_public)
        try:
            return Secret(self._derive(peer_public))
        except ValueError:
            raise _invalid(self.group, UNACCEPTABLE) from None


Generate = Callable[[], KeyExchange]


def check_public(group: int, public: bytes) -> None:
    """Validate the peer's public value: cheap, so it comes before the expensive key exchange.

    PeerError (INVALID_SYNTAX, fatal: RFC 6989 2.5) for one of wrong length, outside 1 < r < p-1, or not on
    the curve. Points of small order show only in the result. LocalMisuse if the group is unknown.
    """
    if len(public) != public_size(group):
        raise _invalid(group, "wrong length")
    if group in modp.GROUPS:
        acceptable = 1 < int.from_bytes(public, "big") < modp.GROUPS[group].prime - 1
    elif group in CURVES:
        acceptable = _on_curve(CURVES[group], public)
    else:
        acceptable = True
    if not acceptable:
        raise _invalid(group, UNACCEPTABLE)


def seconds(group: int) -> float:
    """Estimated CPU seconds of a key exchange (key pair and g^ir) on a slow machine."""
    return SECONDS.get(group, SLOWEST)


def public_size(group: int) -> int:
    """Bytes of a public value of this group. LocalMisuse if the group is unknown."""
    if group in modp.GROUPS:
        return modp.GROUPS[group].size
    if group in CURVES:
        return 2 * _field_size(CURVES[group])
    if group == KeGroup.CURVE_25519:
        return X25519_SIZE
    if group == KeGroup.CURVE_448:
        return X448_SIZE
    raise LocalMisuse(f"key exchange group {group} is not supported")


def generate(group: int, random: Random) -> KeyExchange:
    """Generate a key pair, deterministically from the bytes that `random` returns.

    LocalMisuse if the group is not supported.
    """
    return generation(group, random)()


def generation(group: int, random: Random) -> Generate:
    """Draw a private value now and return a function that computes the key pair, in any thread.

    LocalMisuse if the group is unknown; the returned function raises it if the library lacks the group.
    """
    drawn = random(_drawn(group))
    return lambda: _exchange(group, drawn)


def _drawn(group: int) -> int:
    """How many random bytes a private value takes."""
    if group in modp.GROUPS:
        return modp.GROUPS[group].exponent_size
    if group in CURVES:
        return _field_size(CURVES[group]) + EXTRA_BYTES
    return public_size(group)


def _exchange(group: int, drawn: bytes) -> KeyExchange:
    if group in modp.GROUPS:
        return KeyExchange(group, *_modp(modp.GROUPS[group], drawn))
    try:
        if group in CURVES:
            return KeyExchange(group, *_ecp(CURVES[group], drawn))
        if group == KeGroup.CURVE_25519:
            return KeyExchange(group, *_x25519(drawn))
        return KeyExchange(group, *_x448(drawn))
    except UnsupportedAlgorithm:
        raise LocalMisuse(f"key exchange group {group} is not supported") from None


def _modp(group: modp.ModpGroup, drawn: bytes) -> tuple[bytes, Derive]:
    # `cryptography` has deprecated finite field groups and will drop them.
    prime = mpz(group.prime)
    private = mpz(1 << 8 * len(drawn) | int.from_bytes(drawn, "big"))  # always as long: never 0 or 1

    def derive(peer_public: bytes) -> bytes:
        peer = int.from_bytes(peer_public, "big")
        return _power(peer, private, prime).to_bytes(group.size, "big")

    return _power(modp.GENERATOR, private, prime).to_bytes(group.size, "big"), derive


def _power(base: int, private: mpz, prime: mpz) -> int:
    """Modular power in a time that does not depend on the exponent; releases the GIL."""
    with gmpy2.context(allow_release_gil=True):
        return int(gmpy2.powmod_sec(base, private, prime))


def _ecp(curve: ec.EllipticCurve, drawn: bytes) -> tuple[bytes, Derive]:
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
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


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


def _field_size(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _invalid(group: int, why: str) -> PeerError:
    return PeerError(NotifyType.INVALID_SYNTAX, f"public value of {KeGroup(group).name}: {why}", fatal=True)


def _works(group: int) -> bool:
    try:
        generate(group, lambda size: bytes([1]) * size)
    except LocalMisuse:
        return False
    return True


# Excludes curves that the underlying OpenSSL was built without (usually brainpool).
SUPPORTED: frozenset[int] = frozenset(modp.GROUPS) | frozenset(
    group for group in (*CURVES, KeGroup.CURVE_25519, KeGroup.CURVE_448) if _works(group)
)
