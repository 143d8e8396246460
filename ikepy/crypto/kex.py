"""Ephemeral key exchange in the groups of IKE (RFC 7296 2.14; RFC 3526, 5903, 6954, 6989, 8031)."""

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ikepy.crypto import modp
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse, PeerError
from ikepy.wire.constants import KeGroup, NotifyType

Random = Callable[[int], bytes]  # bytes wanted -> so many random bytes
Derive = Callable[[bytes], bytes]  # the peer's public value -> g^ir; ValueError if it is no good

CURVES: dict[int, ec.EllipticCurve] = {
    KeGroup.ECP_256: ec.SECP256R1(),
    KeGroup.ECP_384: ec.SECP384R1(),
    KeGroup.ECP_521: ec.SECP521R1(),
    KeGroup.BRAINPOOL_256: ec.BrainpoolP256R1(),
    KeGroup.BRAINPOOL_384: ec.BrainpoolP384R1(),
    KeGroup.BRAINPOOL_512: ec.BrainpoolP512R1(),
}
X25519_SIZE = 32
X448_SIZE = 56
EXTRA_BYTES = 8  # drawn above the order's size, so that reducing leaves no bias (FIPS 186-5 A.2.1)


class KeyExchange:
    """One side of one exchange: `group`, and `public`, the data of the KE payload. Never used again."""

    __slots__ = ("_derive", "group", "public")

    def __init__(self, group: int, public: bytes, derive: Derive) -> None:
        self.group = group
        self.public = public
        self._derive = derive

    def shared(self, peer_public: bytes) -> Secret:
        """g^ir: the modulus' or field's size in bytes, leading zeros kept; x alone on a curve (RFC 5903 7).

        PeerError (INVALID_SYNTAX, fatal: RFC 6989 2.5) for a public value of wrong length, outside
        1 < r < p-1, not on the curve, or of small order.
        """
        if len(peer_public) != public_size(self.group):
            raise _invalid(self.group, "wrong length")
        try:
            return Secret(self._derive(peer_public))
        except ValueError:
            raise _invalid(self.group, "not an acceptable element of the group") from None


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
    """A fresh key pair, a function of the bytes that `random` gives and of nothing else.

    LocalMisuse if the group is not supported.
    """
    if group in modp.GROUPS:
        return KeyExchange(group, *_modp(modp.GROUPS[group], random))
    try:
        if group in CURVES:
            return KeyExchange(group, *_ecp(CURVES[group], random))
        if group == KeGroup.CURVE_25519:
            return KeyExchange(group, *_x25519(random))
        if group == KeGroup.CURVE_448:
            return KeyExchange(group, *_x448(random))
    except UnsupportedAlgorithm:
        pass
    raise LocalMisuse(f"key exchange group {group} is not supported")


def _modp(group: modp.ModpGroup, random: Random) -> tuple[bytes, Derive]:
    # The library has deprecated finite field groups and will drop them, so this is plain `pow`. Its time
    # depends on the exponent, which serves one exchange only: enough by RFC 6989 section 3.
    bits = 8 * group.exponent_size
    private = 1 << bits | int.from_bytes(random(group.exponent_size), "big")  # always as long: never 0 or 1
    public = pow(modp.GENERATOR, private, group.prime)

    def derive(peer_public: bytes) -> bytes:
        peer = int.from_bytes(peer_public, "big")
        if not 1 < peer < group.prime - 1:
            raise ValueError
        return pow(peer, private, group.prime).to_bytes(group.size, "big")

    return public.to_bytes(group.size, "big"), derive


def _ecp(curve: ec.EllipticCurve, random: Random) -> tuple[bytes, Derive]:
    size = _field_size(curve)
    drawn = int.from_bytes(random(size + EXTRA_BYTES), "big")
    private = ec.derive_private_key(drawn % (curve.group_order - 1) + 1, curve)
    numbers = private.public_key().public_numbers()

    def derive(peer_public: bytes) -> bytes:
        # The library checks that the coordinates are below p and on the curve.
        point = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + peer_public)
        return private.exchange(ec.ECDH(), point)

    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big"), derive


def _x25519(random: Random) -> tuple[bytes, Derive]:
    private = X25519PrivateKey.from_private_bytes(random(X25519_SIZE))

    def derive(peer_public: bytes) -> bytes:
        # The library refuses an all-zero result, which is what points of small order give.
        return private.exchange(X25519PublicKey.from_public_bytes(peer_public))

    return private.public_key().public_bytes_raw(), derive


def _x448(random: Random) -> tuple[bytes, Derive]:
    private = X448PrivateKey.from_private_bytes(random(X448_SIZE))

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


# What the OpenSSL under the library was built without (brainpool, as a rule) is missing here.
SUPPORTED: frozenset[int] = frozenset(modp.GROUPS) | frozenset(
    group for group in (*CURVES, KeGroup.CURVE_25519, KeGroup.CURVE_448) if _works(group)
)
