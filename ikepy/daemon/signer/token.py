"""Private keys in PKCS#11 tokens: found by their CKA_ID, and asked to sign; they never leave the token.

A session signs one thing at a time, so a key has one and a lock. A module is loaded into the signer alone.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pkcs11
import pkcs11._pkcs11  # else the first module loads it, when the signer may read no file any more
from pkcs11 import KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11.constants import Attribute
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import MGF
from pkcs11.util import ec, rsa

from ikepy.crypto import private_keys
from ikepy.crypto.schemes import KeyKind, Scheme

_RSA = {
    Scheme.RSA_SHA1: (Mechanism.SHA1_RSA_PKCS, None),
    Scheme.RSA_SHA256: (Mechanism.SHA256_RSA_PKCS, None),
    Scheme.RSA_SHA384: (Mechanism.SHA384_RSA_PKCS, None),
    Scheme.RSA_SHA512: (Mechanism.SHA512_RSA_PKCS, None),
    Scheme.PSS_SHA256: (Mechanism.SHA256_RSA_PKCS_PSS, (Mechanism.SHA256, MGF.SHA256, 32)),
    Scheme.PSS_SHA384: (Mechanism.SHA384_RSA_PKCS_PSS, (Mechanism.SHA384, MGF.SHA384, 48)),
    Scheme.PSS_SHA512: (Mechanism.SHA512_RSA_PKCS_PSS, (Mechanism.SHA512, MGF.SHA512, 64)),
}
_ECDSA = {Scheme.ECDSA_SHA256: "sha256", Scheme.ECDSA_SHA384: "sha384", Scheme.ECDSA_SHA512: "sha512"}
_KINDS = {KeyType.RSA: KeyKind.RSA, KeyType.EC: KeyKind.ECDSA}
# AlgorithmIdentifier and the head of the key's bits (RFC 8410), by the key's size in octets.
_EDWARDS = {
    32: (KeyKind.ED25519, bytes.fromhex("302a300506032b6570032100")),
    57: (KeyKind.ED448, bytes.fromhex("3043300506032b6571033a00")),
}


class TokenKey:
    """A key in a token. `public_key`: its SubjectPublicKeyInfo, `certificates`: those with its ID; DER."""

    def __init__(self, key: Any, kind: KeyKind, public_key: bytes, certificates: tuple[bytes, ...]) -> None:
        self._key = key
        self._kind = kind
        self._lock = threading.Lock()
        self.public_key = public_key
        self.certificates = certificates

    def sign(self, scheme: Scheme, octets: bytes) -> bytes:
        """The signature, as `Scheme` has it. Raises ValueError."""
        if scheme.kind is not self._kind:
            raise ValueError(f"a key that can't sign by {scheme.value}")
        try:
            with self._lock:
                return self._sign(scheme, octets)
        except PKCS11Error as error:
            raise ValueError(f"the token does not sign: {type(error).__name__}") from None

    def _sign(self, scheme: Scheme, octets: bytes) -> bytes:
        if scheme in _RSA:
            mechanism, parameter = _RSA[scheme]
            return bytes(self._key.sign(octets, mechanism=mechanism, mechanism_param=parameter))
        if scheme in _ECDSA:
            digest = hashlib.new(_ECDSA[scheme], octets).digest()
            return bytes(ec.encode_ecdsa_signature(self._key.sign(digest, mechanism=Mechanism.ECDSA)))
        return bytes(self._key.sign(octets, mechanism=Mechanism.EDDSA))


def open_key(module: str, slot: int | None, handle: str, pin: bytes) -> TokenKey:
    """The private key with this CKA_ID (hex digits) in the slot, or in the first that has one. ValueError."""
    identity = bytes.fromhex(handle)
    try:
        text = pin.decode()
        return _find(pkcs11.lib(module), slot, identity, text)
    except UnicodeDecodeError:
        raise ValueError("the PIN is no UTF-8 text") from None
    except (PKCS11Error, RuntimeError) as error:
        raise ValueError(f"{module}: {_told(error)}") from None


def _find(library: Any, slot: int | None, identity: bytes, pin: str) -> TokenKey:
    slots = [one for one in library.get_slots(token_present=True) if slot in (None, one.slot_id)]
    tokens = [one.get_token() for one in slots]
    tokens = [one for one in tokens if TokenFlag.TOKEN_INITIALIZED in one.flags]
    if not tokens:
        raise ValueError("there is no token" if slot is None else f"there is no token in slot {slot}")
    failure: Exception | None = None
    for one in tokens:
        try:
            session = one.open(user_pin=pin or None)
        except PKCS11Error as error:
            failure = error
            continue
        found = _in_session(session, identity)
        if found is not None:
            return found
        session.close()
    if failure is not None:
        raise failure
    raise ValueError("no token has a private key with this ID")


def _in_session(session: Any, identity: bytes) -> TokenKey | None:
    found = _first(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: identity})
    if found is None:
        return None
    certificates = tuple(
        bytes(one[Attribute.VALUE])
        for one in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.ID: identity})
    )
    public = _first(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: identity})
    if public is not None:
        kind, data = _public(public)
    elif certificates:
        kind, data = _KINDS[found.key_type], private_keys.public_key_of(certificates[0])
    else:
        raise ValueError("the token has neither the public key nor a certificate with this ID")
    return TokenKey(found, kind, private_keys.subject_public_key_info(data), certificates)


def _first(session: Any, template: dict[Attribute, Any]) -> Any:
    found: Iterator[Any] = iter(session.get_objects(template))
    return next(iter(list(found)), None)


def _public(key: Any) -> tuple[KeyKind, bytes]:
    """A public key object, in DER."""
    match key.key_type:
        case KeyType.RSA:
            return KeyKind.RSA, bytes(rsa.encode_rsa_public_key(key))
        case KeyType.EC:
            return KeyKind.ECDSA, bytes(ec.encode_ec_public_key(key))
        case KeyType.EC_EDWARDS:
            point = bytes(key[Attribute.EC_POINT])
            point = point[2:] if len(point) - 2 in _EDWARDS and point[0] == 0x04 else point
            if len(point) in _EDWARDS:
                kind, head = _EDWARDS[len(point)]
                return kind, head + point
    raise ValueError("the token's key is of a kind that is not known here")


def _told(error: Exception) -> str:
    """The module's word for it; a message may be empty."""
    name = type(error).__name__
    words = {"PinIncorrect": "the PIN is wrong", "PinLocked": "the PIN is locked"}
    return words.get(name, str(error) or name)
