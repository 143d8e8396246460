"""Private keys: made, read and written (RFC 5958, RFC 8017, RFC 5915), with the digest that suits each."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from ikepy.crypto.private_keys import SigningKey
from ikepy.crypto.x509.encoding import is_pem

PrivateKey = SigningKey
PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
PUBLIC_EXPONENT = 65537
CURVES: dict[str, dict[int, type[ec.EllipticCurve]]] = {
    "ecdsa": {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1},
    "brainpool": {256: ec.BrainpoolP256R1, 384: ec.BrainpoolP384R1, 512: ec.BrainpoolP512R1},
}
FIXED: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey,
    "ed448": ed448.Ed448PrivateKey,
    "mldsa44": mldsa.MLDSA44PrivateKey,
    "mldsa65": mldsa.MLDSA65PrivateKey,
    "mldsa87": mldsa.MLDSA87PrivateKey,
}
TYPES = ("rsa", *CURVES, *FIXED)
DEFAULT_SIZE = {"rsa": 3072, "ecdsa": 384, "brainpool": 384}
LEAST_RSA, MOST_RSA = 2048, 16384  # bits; the least is RFC 8247 3.1.1's
Digest = (
    hashes.SHA224
    | hashes.SHA256
    | hashes.SHA384
    | hashes.SHA512
    | hashes.SHA3_224
    | hashes.SHA3_256
    | hashes.SHA3_384
    | hashes.SHA3_512
)
DIGESTS: dict[str, type[Digest]] = {
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_224": hashes.SHA3_224,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
OUTFORMS = {"pem": serialization.Encoding.PEM, "der": serialization.Encoding.DER}


def generate(kind: str, size: int | None = None) -> PrivateKey:
    """A new private key of one of TYPES; `size` in bits, where the type has several. ValueError."""
    if kind in FIXED:
        if size is not None:
            raise ValueError(f"a key of type {kind} has one size: leave --size out")
        made: PrivateKey = FIXED[kind].generate()
        return made
    size = size or DEFAULT_SIZE[kind]
    if kind == "rsa":
        if not LEAST_RSA <= size <= MOST_RSA:
            raise ValueError(f"{size} bits are not allowed for RSA; allowed: {LEAST_RSA} to {MOST_RSA}")
        return rsa.generate_private_key(PUBLIC_EXPONENT, size)
    curves = CURVES[kind]
    if size not in curves:
        raise ValueError(f"{size} bits are no curve of {kind}; allowed: {', '.join(map(str, curves))}")
    return ec.generate_private_key(curves[size]())


def load_private(data: bytes, password: bytes | None = None) -> PrivateKey:
    """A private key, as PKCS#8, PKCS#1 or SEC 1, in PEM or DER. ValueError, which repeats nothing of it.

    A password that it does not need is ignored, as by the daemon: several keys may be read by one.
    """
    load = serialization.load_pem_private_key if is_pem(data) else serialization.load_der_private_key
    try:
        found = load(data, password)
    except TypeError:
        if password is not None:
            return load_private(data)
        raise ValueError("the private key is encrypted: give its password") from None
    except (ValueError, UnsupportedAlgorithm):
        why = "no private key in PEM or DER"
        raise ValueError(why if password is None else f"{why}, or of another password") from None
    if not isinstance(found, PrivateKey):
        raise ValueError("a private key of a kind that signs nothing")
    return found


def load_public(data: bytes) -> PublicKey:
    """A public key, as SubjectPublicKeyInfo or PKCS#1, in PEM or DER. ValueError."""
    load = serialization.load_pem_public_key if is_pem(data) else serialization.load_der_public_key
    try:
        found = load(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no public key in PEM or DER") from None
    if not isinstance(found, PublicKey):
        raise ValueError("a public key of a kind that verifies nothing")
    return found


def private_bytes(key: PrivateKey, outform: str = "pem", password: bytes | None = None) -> bytes:
    """As PKCS#8, encrypted with the password if there is one."""
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hidden = serialization.BestAvailableEncryption(password)
    return key.private_bytes(OUTFORMS[outform], serialization.PrivateFormat.PKCS8, hidden)


def public_bytes(key: PublicKey, outform: str = "pem") -> bytes:
    """As SubjectPublicKeyInfo."""
    return key.public_bytes(OUTFORMS[outform], serialization.PublicFormat.SubjectPublicKeyInfo)


def key_ids(key: PublicKey) -> tuple[str, str]:
    """SHA-1 of the public key's bits and of its SubjectPublicKeyInfo, as pki's keyid and spki print them."""
    digest = hashes.Hash(hashes.SHA1())
    digest.update(public_bytes(key, "der"))
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex(), digest.finalize().hex()


def describe(key: PublicKey) -> str:
    """Its type and size, as `RSA 3072 bits`."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.key_size} bits ({key.curve.name})"
    for name, kind in FIXED.items():
        if type(key).__name__.startswith(kind.__name__.removesuffix("PrivateKey")):
            return name.upper() if name.startswith("ml") else name.capitalize()
    raise ValueError("a public key of an unknown kind")


def digest(key: PrivateKey, name: str | None = None) -> Digest | None:
    """What the key signs with: the digest of that name, or one as strong as the key; None: it has its own."""
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        if name is not None:
            raise ValueError("a key of this type has a digest of its own: leave --digest out")
        return None
    if name is not None:
        return DIGESTS[name]()
    least, more = (3072, 7680) if isinstance(key, rsa.RSAPrivateKey) else (256, 384)
    if key.key_size <= least:
        return hashes.SHA256()
    return hashes.SHA384() if key.key_size <= more else hashes.SHA512()


def rsa_padding(key: PrivateKey, name: str | None) -> padding.PKCS1v15 | padding.PSS | None:
    """The padding of that name (`pkcs1`, `pss`) for an RSA key, None for others. ValueError."""
    if not isinstance(key, rsa.RSAPrivateKey):
        if name is not None:
            raise ValueError("--rsa-padding goes with RSA keys")
        return None
    if name == "pss":
        return padding.PSS(padding.MGF1(digest(key) or hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()
