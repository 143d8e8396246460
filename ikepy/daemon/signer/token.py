"""Private keys in PKCS#11 tokens: found by their CKA_ID, and asked to sign; they never leave the token.

All keys of a token share one session, which signs one thing at a time: a login is the process's with the
token, not the session's (PKCS#11 5.6), so that there is no second one, and a logout is all keys'. A session
that is lost, as with the connection to an HSM, is opened again by whoever needs it next. A module is loaded
into the signer alone.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pkcs11
import pkcs11._pkcs11  # else the first module loads it, when the signer may read no file any more
from pkcs11 import KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11.constants import Attribute
from pkcs11.exceptions import (
    DeviceError,
    DeviceRemoved,
    FunctionFailed,
    GeneralError,
    KeyHandleInvalid,
    ObjectHandleInvalid,
    PinIncorrect,
    PinLocked,
    PKCS11Error,
    SessionClosed,
    SessionHandleInvalid,
    TokenNotPresent,
    UserAlreadyLoggedIn,
    UserNotLoggedIn,
)
from pkcs11.mechanisms import MGF
from pkcs11.util import ec, rsa

from ikepy.crypto import private_keys, signatures
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret

T = TypeVar("T")

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
# AlgorithmIdentifier and the head of the key's bits (RFC 8410), by the key's size in octets.
_EDWARDS = {32: bytes.fromhex("302a300506032b6570032100"), 57: bytes.fromhex("3043300506032b6571033a00")}
# What a module says of a session, a login or a device that is gone; those of network HSMs say it in general.
_LOST = (
    SessionHandleInvalid,
    SessionClosed,
    UserNotLoggedIn,
    KeyHandleInvalid,
    ObjectHandleInvalid,
    DeviceRemoved,
    DeviceError,
    TokenNotPresent,
    GeneralError,
    FunctionFailed,
)


class _Token:
    """A token, and our session with it."""

    def __init__(self, token: Any) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._session: Any = None
        self._logged_in = False
        self._refused: Secret | None = None  # a PIN: peers could make us try it until the token is locked

    def use(self, pin: Secret, job: Callable[[Any], T], *, loading: bool = False) -> T:
        """Do something in the session, in another one if that is lost. `loading`: a PIN that was refused
        before is tried all the same. Raises PKCS11Error and what `job` does."""
        with self._lock:
            if loading:
                self._refused = None
            session = self._opened(pin)
            try:
                return job(session)
            except _LOST:
                self._close()
                return job(self._opened(pin))

    def close(self) -> None:
        """Log out; keys that are asked to sign log in again."""
        with self._lock:
            self._close()

    @property
    def is_open(self) -> bool:
        return self._session is not None

    def _opened(self, pin: Secret) -> Any:
        """The session, logged in if there is a PIN."""
        if self._session is not None and (self._logged_in or not pin):
            return self._session
        if pin == self._refused:
            raise PinIncorrect
        self._close()
        try:
            self._session = self._token.open(user_pin=pin.expose().decode() or None)
        except UserAlreadyLoggedIn:  # by a session that could not be closed
            self._session = self._token.open()
        except (PinIncorrect, PinLocked):
            self._refused = pin
            raise
        self._logged_in = bool(pin)
        return self._session

    def _close(self) -> None:
        session, self._session, self._logged_in = self._session, None, False
        if session is not None:
            with suppress(PKCS11Error):
                session.close()


_TOKENS: dict[tuple[str, int], _Token] = {}  # by module and slot; logins are the process's, too
_TOKENS_LOCK = threading.Lock()


def _token(module: str, slot: Any, token: Any) -> _Token:
    with _TOKENS_LOCK:
        return _TOKENS.setdefault((module, slot.slot_id), _Token(token))


@dataclass(frozen=True, slots=True)
class _Found:
    """A private key in a session, its SubjectPublicKeyInfo, and the certificates with its ID (DER)."""

    session: Any
    key: Any
    public_key: bytes
    certificates: tuple[bytes, ...]


class TokenKey:
    """A key in a token. `public_key`: its SubjectPublicKeyInfo, `certificates`: those with its ID; DER."""

    def __init__(self, token: _Token, identity: bytes, pin: Secret, found: _Found) -> None:
        self._token, self._identity, self._pin = token, identity, pin
        self._found = found
        self._kind = signatures.facts(found.public_key).kind
        self.public_key = found.public_key
        self.certificates = found.certificates

    def sign(self, scheme: Scheme, octets: bytes) -> bytes:
        """The signature, as `Scheme` has it. Raises ValueError."""
        if scheme.kind is not self._kind:
            raise ValueError(f"a key that can't sign by {scheme.value}")
        try:
            return self._token.use(self._pin, partial(self._sign, scheme, octets))
        except PKCS11Error as error:
            raise ValueError(f"the token does not sign: {_told(error)}") from None

    def _sign(self, scheme: Scheme, octets: bytes, session: Any) -> bytes:
        if self._found.session is not session:  # its numbers for keys may mean others in this one
            found = _in_session(self._identity, session)
            if found is None or found.public_key != self.public_key:
                raise ValueError("the token has not this key any more")
            self._found = found
        key = self._found.key
        if scheme in _RSA:
            mechanism, parameter = _RSA[scheme]
            return bytes(key.sign(octets, mechanism=mechanism, mechanism_param=parameter))
        if scheme in _ECDSA:
            digest = hashlib.new(_ECDSA[scheme], octets).digest()
            return bytes(ec.encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA)))
        return bytes(key.sign(octets, mechanism=Mechanism.EDDSA))


def open_key(module: str, slot: int | None, handle: str, pin: bytes) -> TokenKey:
    """The private key with this CKA_ID (hex digits) in the slot, or in the first that has one. ValueError."""
    try:
        pin.decode()
        return _find(module, slot, bytes.fromhex(handle), Secret(pin))
    except UnicodeDecodeError:
        raise ValueError("the PIN is no UTF-8 text") from None
    except (PKCS11Error, RuntimeError) as error:
        raise ValueError(f"{module}: {_told(error)}") from None


def _find(module: str, slot: int | None, identity: bytes, pin: Secret) -> TokenKey:
    slots = pkcs11.lib(module).get_slots(token_present=True)
    there = [(one, one.get_token()) for one in slots if slot in (None, one.slot_id)]
    tokens = [_token(module, *one) for one in there if TokenFlag.TOKEN_INITIALIZED in one[1].flags]
    if not tokens:
        raise ValueError("there is no token" if slot is None else f"there is no token in slot {slot}")
    failure: Exception | None = None
    for one in tokens:
        in_use = one.is_open
        try:
            found = one.use(pin, partial(_in_session, identity), loading=True)
        except PKCS11Error as error:
            failure = error
            continue
        if found is not None:
            return TokenKey(one, identity, pin, found)
        if not in_use:
            one.close()
    if failure is not None:
        raise failure
    raise ValueError("no token has a private key with this ID")


def _in_session(identity: bytes, session: Any) -> _Found | None:
    key = _first(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: identity})
    if key is None:
        return None
    certificates = tuple(
        bytes(one[Attribute.VALUE])
        for one in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.ID: identity})
    )
    public = _first(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: identity})
    if public is not None:
        data = _public(public)
    elif certificates:
        data = private_keys.public_key_of(certificates[0])
    else:
        raise ValueError("the token has neither the public key nor a certificate with this ID")
    return _Found(session, key, private_keys.subject_public_key_info(data), certificates)


def _first(session: Any, template: dict[Attribute, Any]) -> Any:
    found: Iterator[Any] = iter(session.get_objects(template))
    return next(iter(list(found)), None)


def _public(key: Any) -> bytes:
    """A public key object, in DER."""
    match key.key_type:
        case KeyType.RSA:
            return bytes(rsa.encode_rsa_public_key(key))
        case KeyType.EC:
            return bytes(ec.encode_ec_public_key(key))
        case KeyType.EC_EDWARDS:
            point = bytes(key[Attribute.EC_POINT])
            point = point[2:] if len(point) - 2 in _EDWARDS and point[0] == 0x04 else point
            if len(point) in _EDWARDS:
                return _EDWARDS[len(point)] + point
    raise ValueError("the token's key is of a kind that is not known here")


def _told(error: Exception) -> str:
    """The module's word for it; a message may be empty."""
    name = type(error).__name__
    words = {"PinIncorrect": "the PIN is wrong", "PinLocked": "the PIN is locked"}
    return words.get(name, str(error) or name)
