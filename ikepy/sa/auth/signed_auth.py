"""How signatures stand in AUTH: Digital Signature, and the methods before it (RFC 7296 3.8, 4754, 7427 3).

Which of them we sign with depends on our key, on what the peer says that it verifies (RFC 7427 4, RFC 9593),
and on `auth = ike:...`. A peer without SIGNATURE_HASH_ALGORITHMS is an old one: RSA with SHA-1, or ECDSA on
the curve that belongs to the method.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ikepy.config.auth_method import KeyRule, permitted
from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.algorithm_ids import Algorithm
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.sa.auth import words
from ikepy.sa.auth.announced import Announced
from ikepy.wire.constants import AuthMethod, HashAlgorithm
from ikepy.wire.payloads import AuthPayload

# What we verify, and announce: all but SHA-1 (RFC 8247 3.2).
HASHES = (HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_384, HashAlgorithm.SHA2_512, HashAlgorithm.IDENTITY)
# method -> scheme and the curve that it is of (RFC 4754 3)
CURVE_METHODS: dict[int, tuple[Scheme, str]] = {
    AuthMethod.ECDSA_SHA_256_P256: (Scheme.ECDSA_SHA256, "secp256r1"),
    AuthMethod.ECDSA_SHA_384_P384: (Scheme.ECDSA_SHA384, "secp384r1"),
    AuthMethod.ECDSA_SHA_512_P521: (Scheme.ECDSA_SHA512, "secp521r1"),
}
METHODS = (AuthMethod.DIGITAL_SIGNATURE, AuthMethod.RSA_SIGNATURE, *CURVE_METHODS)
_RSA = (Scheme.RSA_SHA256, Scheme.RSA_SHA384, Scheme.RSA_SHA512)
_PSS = (Scheme.PSS_SHA256, Scheme.PSS_SHA384, Scheme.PSS_SHA512)
_ECDSA = (Scheme.ECDSA_SHA256, Scheme.ECDSA_SHA384, Scheme.ECDSA_SHA512)
_FIXED = {
    KeyKind.ED25519: (Scheme.ED25519,),
    KeyKind.ED448: (Scheme.ED448,),
}
# Up to how many bits of a key the hash of this place in the tuples above is as strong (NIST SP 800-57 5.6).
_STRENGTHS = {KeyKind.RSA: (3072, 7680), KeyKind.ECDSA: (256, 384)}


class Way(NamedTuple):
    """How to sign: the method of AUTH and the scheme."""

    method: AuthMethod
    scheme: Scheme


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why an AUTH proves nothing, for our log. `method`: it is one that is not accepted at all."""

    why: str
    method: bool = False


# -- ours --------------------------------------------------------------------------------------------------


def choose(key: KeyFacts, peer: Announced, rules: Sequence[KeyRule], *, experimental: bool) -> Way | str:
    """How to sign with `key` for a peer; a text for the log if there is no way. `rules`: of `ike:`."""
    ways = [
        way
        for way in (*_by_digital_signature(key, peer), *_by_old_methods(key))
        if experimental or not way.scheme.experimental
    ]
    allowed = [way for way in ways if permitted(tuple(rules), key, way.scheme.hash, pss=way.scheme.pss)]
    if not allowed and ways:
        return f"local.auth permits no signature of its {key} key that the peer verifies"
    if not allowed:
        return f"the peer says that it verifies no signature of a {key} key (SIGNATURE_HASH_ALGORITHMS)"
    wanted = [way for way in allowed if peer.verifies(way.method, way.scheme)]
    return min(wanted or allowed, key=lambda way: _place(way, key, rules, announced=bool(wanted)))


def _by_digital_signature(key: KeyFacts, peer: Announced) -> Iterator[Way]:
    for scheme in schemes_of(key):
        if scheme.hash in peer.hashes:
            yield Way(AuthMethod.DIGITAL_SIGNATURE, scheme)


def _by_old_methods(key: KeyFacts) -> Iterator[Way]:
    if key.kind is KeyKind.RSA:
        yield Way(AuthMethod.RSA_SIGNATURE, Scheme.RSA_SHA1)
    for method, (scheme, curve) in CURVE_METHODS.items():
        if key.curve == curve:
            yield Way(AuthMethod(method), scheme)


def schemes_of(key: KeyFacts) -> tuple[Scheme, ...]:
    """The schemes of a Digital Signature with `key`, the best suited first; those of PSS behind the others.

    PKCS#1 v1.5 is what all peers verify in practice, if they don't say (RFC 9593) that they do more.
    """
    if key.kind is KeyKind.ML_DSA:
        return (Scheme(f"ml-dsa-{key.bits}"),)
    if key.kind in _FIXED:
        return _FIXED[key.kind]
    first = sum(key.bits > most for most in _STRENGTHS[key.kind])
    order = [*range(first, 3), *range(first - 1, -1, -1)]
    families = (_ECDSA,) if key.kind is KeyKind.ECDSA else (_RSA, _PSS)
    return tuple(family[place] for family in families for place in order)


def _place(way: Way, key: KeyFacts, rules: Sequence[KeyRule], *, announced: bool) -> tuple[object, ...]:
    """The order of preference: a Digital Signature, then as `ike:` lists hashes, then what suits the key.

    PSS goes before PKCS#1 v1.5 (RFC 8247 3.2) if it is `announced` that the peer verifies it."""
    listed = [one for rule in rules if rule.permits_key(key) for one in rule.hashes]
    suited = (*schemes_of(key), Scheme.RSA_SHA1)
    asked = listed.index(way.scheme.hash) if way.scheme.hash in listed else len(listed)
    old = way.method is not AuthMethod.DIGITAL_SIGNATURE
    return old, asked, announced and not way.scheme.pss, suited.index(way.scheme)


def auth_payload(way: Way, key: KeyFacts, signature: bytes) -> AuthPayload:
    """AUTH with a signature as the scheme gives it."""
    if way.method is AuthMethod.DIGITAL_SIGNATURE:
        algorithm = algorithm_ids.encoded(way.scheme)
        return AuthPayload(way.method, bytes([len(algorithm)]) + algorithm + signature)
    if way.method in CURVE_METHODS:
        return AuthPayload(way.method, signatures.raw_ecdsa(signature, key.bits))
    return AuthPayload(way.method, signature)


# -- the peer's --------------------------------------------------------------------------------------------


def check(
    auth: AuthPayload, public_key: bytes, octets: bytes, rules: Sequence[KeyRule], *, experimental: bool
) -> Scheme | Wrong:
    """Verify the peer's AUTH with its DER SubjectPublicKeyInfo; the scheme that it signed by."""
    try:
        key = signatures.facts(public_key)
        found = _read(auth, key, experimental=experimental)
        if isinstance(found, Wrong):
            return found
        algorithm, signature = found
        if auth.method == AuthMethod.RSA_SIGNATURE:
            hash = signatures.hash_of_pkcs1(public_key, signature, octets)
            proven = hash is not None
            algorithm = Algorithm(_of_pkcs1(hash)) if hash is not None else algorithm
        else:
            proven = signatures.verifies(public_key, algorithm, signature, octets)
    except ValueError as error:
        return Wrong(str(error))
    scheme = algorithm.scheme
    if not proven:
        return Wrong("its signature is wrong: it has not the private key, or signed something else")
    if not permitted(tuple(rules), key, scheme.hash, pss=scheme.pss):
        return Wrong(f"remote.auth does not permit its signature, {scheme.value} by its {key} key")
    return scheme


def _read(auth: AuthPayload, key: KeyFacts, *, experimental: bool) -> tuple[Algorithm, bytes] | Wrong:
    """Which algorithm AUTH says, and the signature as the scheme has it."""
    if auth.method == AuthMethod.DIGITAL_SIGNATURE:
        return _digital_signature(auth.data, experimental=experimental)
    if auth.method == AuthMethod.RSA_SIGNATURE:
        return Algorithm(Scheme.RSA_SHA1), auth.data
    if auth.method not in CURVE_METHODS:
        return Wrong(f"it authenticates by {words.auth_method(auth.method)}", method=True)
    scheme, curve = CURVE_METHODS[auth.method]
    if key.curve != curve:
        return Wrong(f"{words.auth_method(auth.method)} is for another curve than that of its {key} key")
    signature = signatures.der_ecdsa(auth.data, key.bits)
    if signature is None:
        return Wrong(f"its signature has {len(auth.data)} octets, not {2 * ((key.bits + 7) // 8)}")
    return Algorithm(scheme), signature


def _digital_signature(data: bytes, *, experimental: bool) -> tuple[Algorithm, bytes] | Wrong:
    length = data[0] if data else 0
    if not 0 < length < len(data):
        return Wrong("its AUTH is cut off")
    algorithm = algorithm_ids.decoded(data[1 : 1 + length])
    if algorithm is None or (algorithm.scheme.experimental and not experimental):
        return Wrong(
            f"its signature algorithm is not supported: {words.shortened(data[1 : 1 + length].hex())}"
        )
    if algorithm.scheme.hash not in HASHES:
        return Wrong(f"it signs with {algorithm.scheme.value}, which we have not offered")
    return algorithm, data[1 + length :]


def _of_pkcs1(hash: HashAlgorithm) -> Scheme:
    return next(scheme for scheme in (Scheme.RSA_SHA1, *_RSA) if scheme.hash is hash)


def verified(rules: Sequence[KeyRule], *, experimental: bool) -> tuple[Way, ...]:
    """What we accept from a peer, the preferred first, for our announcement (RFC 9593)."""
    order = [Scheme.ED25519, Scheme.ED448, *_ECDSA, *_PSS, *_RSA]
    order += [Scheme.ML_DSA_87, Scheme.ML_DSA_65, Scheme.ML_DSA_44] if experimental else []
    ways = [Way(AuthMethod.DIGITAL_SIGNATURE, scheme) for scheme in order]
    ways += [Way(AuthMethod(method), scheme) for method, (scheme, _) in CURVE_METHODS.items()]
    ways.append(Way(AuthMethod.RSA_SIGNATURE, Scheme.RSA_SHA1))
    return tuple(way for way in ways if _may_be_permitted(way.scheme, rules))


def _may_be_permitted(scheme: Scheme, rules: Collection[KeyRule]) -> bool:
    """Whether there is a key with which the rules permit the scheme."""
    large = KeyFacts(scheme.kind, signatures.MOST_RSA)
    return permitted(tuple(rules), large, scheme.hash, pss=scheme.pss)
