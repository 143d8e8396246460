"""The private keys of the daemon, as control knows them: their public halves, where they come from, and a way
to have octets signed.

Control keeps no private key. A signer that ends is replaced, and loads again what is in files and tokens;
keys that came by VICI are lost with it, as nobody else has them, and the log says so. Files are opened here,
by whoever opens the configuration's (`ikepy.config.files`), and read in the signer. Calls wait; any thread
may call.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ikepy.config import files, files_read
from ikepy.crypto import private_keys
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.daemon import log
from ikepy.daemon.signer.messages import Answer, Loaded, LoadKey, LoadToken, Request, Sign, Signed, Unload
from ikepy.daemon.signer.signer_process import (
    SignerEndedError,
    SignerError,
    SignerProcess,
    SignerSilentError,
)
from ikepy.errors import PeerError
from ikepy.wire.constants import NotifyType

FIRST_PAUSE, LAST_PAUSE = 0.5, 60.0  # seconds until a signer that ended is replaced; it doubles
SIGNING = 10.0  # seconds for a signature
LOOK_AGAIN = 0.05  # seconds until a signature that waits for another signer is asked for again
MOST = 4096  # keys that VICI has loaded
SUBJECT = "signer"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with a private key. `name`: its key path in the configuration; `kind`: of private_keys.KINDS."""

    name: str
    path: Path
    kind: str
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key in a PKCS#11 token. `slot` None: any; `handle`: CKA_ID in hex digits."""

    name: str
    module: str
    slot: int | None
    handle: str
    pin: Secret | None = None


Source = KeyFile | TokenKey


@dataclass(frozen=True, slots=True)
class Key:
    """The public half of a private key that the signer has. `source` None: it came by VICI.

    `public_key`: its SubjectPublicKeyInfo, `certificates`: what came with it in PKCS#12 or a token; DER.
    """

    key_id: str
    public_key: bytes
    certificates: tuple[bytes, ...]
    source: Source | None = field(default=None, compare=False)


class Signer:
    """The signer process, replaced when it ends; it is started for the first key."""

    def __init__(self, start: Callable[[Callable[[str], object]], SignerProcess] = SignerProcess) -> None:
        self._start = start
        self._busy = threading.RLock()  # loading and unloading, one after the other
        self._lock = threading.Lock()  # what `sign` and `keys` read
        self._process: SignerProcess | None = None
        self._keys: dict[str, Key] = {}
        self._sources: tuple[Source, ...] = ()
        self._failures: list[tuple[str, str]] = []
        self._held: set[str] = set()  # IDs of the keys that the process has; one that is new has none
        self._stamps: dict[str, tuple[int, ...]] = {}  # key ID -> of the file that it was read from
        self._exposed: dict[str, Secret] = {}  # those that EAP-TLS has asked for
        self._by_vici: dict[str, TokenKey | None] = {}  # what VICI has loaded, by key ID
        self._closed = threading.Event()
        self._replacing = False
        self._pause = FIRST_PAUSE
        self._began = 0.0

    @property
    def keys(self) -> Mapping[str, Key]:
        """All keys there are now, by ID."""
        with self._lock:
            return MappingProxyType(dict(self._keys))

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """What came with the keys in PKCS#12 or tokens; DER."""
        return tuple(one for key in self.keys.values() for one in key.certificates)

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return self._process.pid if self._process is not None else None

    # -- loading

    def configure(self, sources: Iterable[Source]) -> list[tuple[str, str]]:
        """Have these keys, and no other but those that came by VICI. Returns what fails now and did not the
        last time: name and why.

        Files that have changed are read again. A key whose file can't be read any more is forgotten. Each is
        used as soon as it is there.
        """
        with self._busy:
            self._sources = tuple(sources)
            failures: list[tuple[str, str]] = []
            found: set[str] = set()
            silent: set[str] = set()  # modules of tokens, each of which is waited for once
            for source in self._sources:
                try:
                    if isinstance(source, TokenKey) and source.module in silent:
                        raise SignerError(f"{source.module} gives no answer")
                    key = self._load(source)
                except SignerSilentError as error:
                    failures.append((source.name, str(error)))
                    silent |= {source.module} if isinstance(source, TokenKey) else set()
                except (SignerError, OSError) as error:
                    failures.append((source.name, _told(error)))
                else:
                    with self._lock:
                        if key.key_id not in found:
                            self._keys[key.key_id] = key
                    found.add(key.key_id)
            self._forget_all_but(found)
            self._failures, before = failures, self._failures
            return [one for one in failures if one not in before]

    def _forget_all_but(self, found: Set[str]) -> None:
        """Those keys of the configuration are gone that were not found, unless VICI has loaded them, too."""
        with self._lock:
            gone = [one for one in self._keys if one not in found]
            for key_id in gone:
                if key_id in self._exposed:
                    self._exposed.pop(key_id).wipe()
                if key_id in self._by_vici:
                    self._keys[key_id] = replace(self._keys[key_id], source=self._by_vici[key_id])
                else:
                    del self._keys[key_id]
        self._forget(one for one in gone if one not in self._by_vici)

    def load(self, kind: str, data: bytes, password: bytes = b"") -> Key:
        """Keep a private key that came by VICI. Raises SignerError."""
        with self._busy:
            answer = self._ask(lambda ticket: LoadKey(ticket, kind, password, data))
            return self._keep(answer, None)

    def load_token(self, source: TokenKey) -> Key:
        """Use a key of a token that VICI names. Raises SignerError."""
        with self._busy:
            return self._keep(self._ask(_of_token(source)), source)

    def unload(self, key_id: str) -> bool:
        """Forget a key that came by VICI. False if there is none of this ID."""
        with self._busy:
            if key_id not in self._by_vici:
                return False
            del self._by_vici[key_id]
            if not self._is_configured(key_id):
                with self._lock:
                    del self._keys[key_id]
                self._forget([key_id])
            return True

    def clear(self) -> None:
        """Forget all keys that came by VICI."""
        for key_id in self.of_vici():
            self.unload(key_id)

    def of_vici(self) -> list[str]:
        """The IDs of the keys that came by VICI."""
        return list(self._by_vici)

    def _is_configured(self, key_id: str) -> bool:
        key = self.keys.get(key_id)
        return key is not None and key.source in self._sources

    def _load(self, source: Source) -> Key:
        own = (one for one in self.keys.values() if one.source == source and one.key_id in self._held)
        known = next(own, None)
        if isinstance(source, TokenKey):
            return known or self._hold(_key(self._ask(_of_token(source)), source))
        password = b"" if source.password is None else source.password.expose()
        with files.open_file(source.path) as file:
            stamp = files_read.stamp(os.fstat(file.fileno()))
            if known is not None and self._stamps.get(known.key_id) == stamp:
                return known
            answer = self._ask(lambda ticket: LoadKey(ticket, source.kind, password, b""), file.fileno())
        key = _key(answer, source)
        self._stamps[key.key_id] = stamp
        return self._hold(key)

    def _hold(self, key: Key) -> Key:
        self._held.add(key.key_id)
        return key

    def _keep(self, answer: Answer, source: TokenKey | None) -> Key:
        key = _key(answer, source)
        if key.key_id not in self._by_vici and len(self._by_vici) >= MOST:
            if not self._is_configured(key.key_id):
                self._forget([key.key_id])
            raise SignerError(f"there are {MOST} keys, as many as there may be: unload some")
        self._by_vici[key.key_id] = source
        if not self._is_configured(key.key_id):
            with self._lock:
                self._keys[key.key_id] = key
        return self._hold(key)

    def _forget(self, key_ids: Iterable[str]) -> None:
        for key_id in key_ids:
            self._held.discard(key_id)
            try:
                self._ask(lambda ticket, key_id=key_id: Unload(ticket, key_id))  # type: ignore[misc]
            except SignerError as error:
                log.warning(SUBJECT, f"key {key_id} is not forgotten: {error}", "daemon")

    # -- signing

    def has(self, key_id: str) -> bool:
        """Whether there is such a key now."""
        with self._lock:
            return key_id in self._keys

    def private_key(self, key_id: str) -> Secret | None:
        """The private key itself (PKCS#8, DER), for EAP-TLS alone, whose library has to hold it: read from
        its file here, as the signer gives none out. None if it is not in a file."""
        key = self.keys.get(key_id)
        if key is None or not isinstance(key.source, KeyFile):
            return None
        exposed = self._exposed.get(key_id)
        if exposed is None:
            try:
                with files.open_file(key.source.path) as file:
                    data = file.read(private_keys.MAX_FILE + 1)
                password = key.source.password
                found = private_keys.load(
                    data, key.source.kind, None if password is None else password.expose()
                )
            except (OSError, ValueError) as error:
                log.error(SUBJECT, f"{key.source.name}: {_told(error)}", "daemon")
                return None
            if found.key_id != key_id:  # the file is another one by now
                return None
            with self._lock:
                return self._exposed.setdefault(key_id, found.pkcs8())
        return exposed

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        """A job that waits for the signature, and raises PeerError AUTHENTICATION_FAILED without one."""

        def job() -> bytes:
            try:
                answer = self._ask_for_signature(
                    key_id,
                    lambda ticket: Sign(ticket, key_id, scheme.value, octets),
                    time.monotonic() + SIGNING,
                )
            except SignerError as error:
                text = f"no signature by key {key_id}: {error}"
                raise PeerError(NotifyType.AUTHENTICATION_FAILED, text, fatal=True) from error
            return answer.signature

        return job

    def _ask_for_signature(self, key_id: str, make: Callable[[int], Request], deadline: float) -> Signed:
        """Ask the signer, or, if it ends meanwhile, the one that replaces it, once that has the key.

        Raises SignerError.
        """
        while True:
            process = self._process
            if process is None and not self._replacing:
                raise SignerError("there is no private key")
            left = deadline - time.monotonic()
            try:
                if process is None or (self._replacing and key_id not in self._held):
                    raise SignerEndedError("the signer is being replaced")
                answer = process.ask(make, wait=left)
            except SignerEndedError:
                if left < LOOK_AGAIN or self._closed.wait(LOOK_AGAIN):
                    raise
                continue
            if not isinstance(answer, Signed):
                raise SignerError("the signer answered something else")
            return answer

    # -- the process

    def _ask(self, make: Callable[[int], Request], fd: int | None = None) -> Answer:
        return self._running().ask(make, fd)

    def _running(self) -> SignerProcess:
        """The process, started if there is none. Raises SignerError."""
        if self._process is None:
            if self._closed.is_set():
                raise SignerError("the daemon ends")
            try:
                self._process = self._start(self._ended)
            except OSError as error:
                raise SignerError(f"the signer can't be started: {error.strerror}") from None
            self._began = time.monotonic()
            if self._closed.is_set():  # meanwhile
                self._process.close()
        return self._process

    def _ended(self, how: str) -> None:
        """Called in a thread of its own: replace the process, and load again what can be loaded."""
        if self._closed.is_set():
            return
        self._replacing = True
        try:
            self._replace(how)
        finally:
            self._replacing = False

    def _replace(self, how: str) -> None:
        if time.monotonic() - self._began > LAST_PAUSE:
            self._pause = FIRST_PAUSE
        problem = f"the signer ended ({how})"
        while True:
            pause, self._pause = self._pause, min(2 * self._pause, LAST_PAUSE)
            log.error(SUBJECT, f"{problem}: it is replaced in {pause:g} s", "daemon")
            if self._closed.wait(pause):
                return
            try:
                self._load_again()
            except SignerError as error:
                problem = str(error)
            else:
                return

    def _load_again(self) -> None:
        """Start another process, and have it load what can be loaded. SignerError if it can't be started."""
        with self._busy:
            self._process = None
            self._held = set()
            if self._sources or any(self._by_vici.values()):
                self._running()
            with self._lock:  # those that the next one will have stay: signatures by them wait for it
                lost = [key_id for key_id, key in self._keys.items() if key.source is None]
                for key_id in lost:
                    del self._keys[key_id], self._by_vici[key_id]
            self._failures = []
            for name, why in self.configure(self._sources):
                log.error(SUBJECT, f"{name}: {why}", "daemon")
            for key_id, token in list(self._by_vici.items()):
                if token is not None:
                    self._load_token_again(key_id, token)
        if lost:
            ids = ", ".join(lost[:10])
            text = f"keys that came by VICI are lost with it: load them again (swanctl --load-creds): {ids}"
            log.error(SUBJECT, text, "daemon")

    def _load_token_again(self, key_id: str, source: TokenKey) -> None:
        try:
            self.load_token(source)
        except SignerEndedError:
            pass  # the next one tries again
        except SignerError as error:
            log.error(SUBJECT, f"{source.name}: {error}", "daemon")
            self.unload(key_id)

    def close(self) -> None:
        """End the process. A second call does nothing."""
        self._closed.set()
        process = self._process
        if process is not None:
            process.close()
        with self._lock:
            self._keys = {}
        for secret in self._exposed.values():
            secret.wipe()
        self._exposed = {}


def _of_token(source: TokenKey) -> Callable[[int], Request]:
    slot = "" if source.slot is None else str(source.slot)
    pin = b"" if source.pin is None else source.pin.expose()
    return lambda ticket: LoadToken(ticket, source.module, slot, source.handle, pin)


def _key(answer: Answer, source: Source | None) -> Key:
    if not isinstance(answer, Loaded):
        raise SignerError("the signer answered something else")
    return Key(answer.key_id, answer.public_key, answer.certificates, source)


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"this file can't be read: {error.strerror}"
    return str(error)
