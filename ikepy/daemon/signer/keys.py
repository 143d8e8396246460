"""The private keys of the signer, and what it does with them: it reads, signs and forgets."""

from __future__ import annotations

import os
import threading
from typing import Protocol

from ikepy.crypto import private_keys, signatures
from ikepy.crypto.private_keys import SigningKey
from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer.messages import (
    Answer,
    Done,
    Loaded,
    LoadKey,
    LoadToken,
    Refused,
    Request,
    Sign,
    Signed,
)
from ikepy.daemon.signer.messages import Unload as UnloadKey
from ikepy.errors import IkeError

try:  # now: when it is needed, this process may not read its program any more
    from ikepy.daemon.signer import token
except ImportError:
    token = None  # type: ignore[assignment]  # the extra `pkcs11` is not installed

MOST = 4096  # keys


class Signs(Protocol):
    """A key that is elsewhere, as in a token."""

    def sign(self, scheme: Scheme, octets: bytes) -> bytes:
        """Raises ValueError."""
        ...


class Keys:
    """Answers requests; several threads may ask at once."""

    def __init__(self) -> None:
        self._keys: dict[str, SigningKey | Signs] = {}
        self._modules: dict[str, str] = {}  # of the keys in tokens: the PKCS#11 module's path, by key ID
        self._lock = threading.Lock()

    def answer(self, request: Request, fd: int | None) -> Answer:
        """Do what is asked; `fd` came with it, and stays the caller's. Every failure is an answer."""
        try:
            match request:
                case LoadKey():
                    return self._load(request, fd)
                case LoadToken():
                    return self._load_token(request)
                case Sign():
                    return self._sign(request)
                case UnloadKey(ticket=ticket, key_id=key_id):
                    with self._lock:
                        self._keys.pop(key_id, None)
                        self._modules.pop(key_id, None)
                    return Done(ticket)
        except (ValueError, OSError, IkeError) as error:
            return Refused(request.ticket, str(error)[:200])
        except Exception as error:  # no key and no request ends the process
            return Refused(request.ticket, type(error).__name__)

    def module_of(self, request: Request) -> str | None:
        """The PKCS#11 module that has to answer, which may take its time; None if it takes none."""
        if isinstance(request, Sign):
            with self._lock:
                return self._modules.get(request.key_id)
        return request.module if isinstance(request, LoadToken) else None

    def _load(self, request: LoadKey, fd: int | None) -> Answer:
        data = bytearray(request.data)
        try:
            if fd is not None:
                data += _read(fd)
            found = private_keys.load(data, request.kind, request.password or None)
        finally:
            data[:] = bytes(len(data))
        self._keep(found.key_id, found.key, None)
        return Loaded(request.ticket, found.key_id, found.public_key, found.certificates)

    def _load_token(self, request: LoadToken) -> Answer:
        if token is None:
            return Refused(request.ticket, 'tokens need python-pkcs11, the extra "pkcs11"')

        slot = int(request.slot) if request.slot else None
        found = token.open_key(request.module, slot, request.handle, request.pin)
        key_id = private_keys.key_id(found.public_key)
        self._keep(key_id, found, request.module)
        return Loaded(request.ticket, key_id, found.public_key, found.certificates)

    def _keep(self, key_id: str, key: SigningKey | Signs, module: str | None) -> None:
        with self._lock:
            if key_id not in self._keys and len(self._keys) >= MOST:
                raise ValueError(f"there are {MOST} keys, as many as there may be")
            self._keys[key_id] = key
            self._modules.pop(key_id, None)
            if module is not None:
                self._modules[key_id] = module

    def _sign(self, request: Sign) -> Answer:
        with self._lock:
            key = self._keys.get(request.key_id)
        if key is None:
            return Refused(request.ticket, "there is no private key of this ID")
        scheme = Scheme(request.scheme)
        if isinstance(key, SigningKey):
            return Signed(request.ticket, signatures.sign(key, scheme, request.octets))
        return Signed(request.ticket, key.sign(scheme, request.octets))


def _read(fd: int) -> bytes:
    """A key's file from its beginning, one octet more than is allowed at most. Raises OSError."""
    found = bytearray()
    while len(found) <= private_keys.MAX_FILE:
        part = os.pread(fd, private_keys.MAX_FILE + 1 - len(found), len(found))
        if not part:
            break
        found += part
    return bytes(found)
