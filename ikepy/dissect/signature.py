"""Whether a signature in AUTH is right (RFC 7296 2.15, RFC 4754, RFC 7427 3): as mathematics have it.

What the daemon permits its own peers, and what it has offered them, is nothing to an onlooker: he says of two
gateways of others that a signature is wrong only where he has computed it.
"""

from __future__ import annotations

from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.algorithm_ids import Algorithm
from ikepy.crypto.schemes import KeyFacts, Scheme
from ikepy.dissect.tree import hexadecimal
from ikepy.sa.auth.signed_auth import CURVE_METHODS
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload

_PKCS1 = (Scheme.RSA_SHA1, Scheme.RSA_SHA256, Scheme.RSA_SHA384, Scheme.RSA_SHA512)


def check(auth: AuthPayload, public_key: bytes, octets: bytes) -> Scheme | str:
    """The scheme by which AUTH, of a method of METHODS, is right; else what is wrong about it.

    `public_key`: a SubjectPublicKeyInfo, DER; `octets`: what AUTH covers. ValueError, with a text for people,
    if the key or the algorithm is none that can be verified with here.
    """
    key = signatures.facts(public_key)
    if auth.method == AuthMethod.RSA_SIGNATURE:
        hash = signatures.hash_of_pkcs1(public_key, auth.data, octets)
        proven = next((one for one in _PKCS1 if one.hash is hash), None)
    else:
        read = _digital_signature if auth.method == AuthMethod.DIGITAL_SIGNATURE else _of_curve
        found = read(auth, key)
        if isinstance(found, str):
            return found
        right = signatures.verifies(public_key, found[0], found[1], octets)
        proven = found[0].scheme if right else None
    return proven or "its signature is wrong: it has not the private key, or signed something else"


def _digital_signature(auth: AuthPayload, _: KeyFacts) -> tuple[Algorithm, bytes] | str:
    length = auth.data[0] if auth.data else 0
    if not 0 < length < len(auth.data):
        return "it is cut off"
    algorithm = algorithm_ids.decoded(auth.data[1 : 1 + length])
    if algorithm is None:
        raise ValueError(f"its algorithm is not known here: {hexadecimal(auth.data[1 : 1 + length])}")
    return algorithm, auth.data[1 + length :]


def _of_curve(auth: AuthPayload, key: KeyFacts) -> tuple[Algorithm, bytes] | str:
    scheme, curve = CURVE_METHODS[auth.method]
    if key.curve != curve:
        return f"its method is for another curve than that of its {key} key"
    signature = signatures.der_ecdsa(auth.data, key.bits)
    if signature is None:
        return f"its signature has {len(auth.data)} octets, not {2 * ((key.bits + 7) // 8)}"
    return Algorithm(scheme), signature
