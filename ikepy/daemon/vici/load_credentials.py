"""VICI's commands for certificates and keys: load-cert, load-key, load-token, what lists and unloads them.

They are read, kept and listed. Nothing authenticates with them yet. Private keys leave the daemon by no
command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ikepy.crypto import certificates
from ikepy.crypto.certificates import Certificate, Crl, PrivateKey, PublicKey
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure

MOST = 4096  # certificates and CRLs, and keys, that VICI has loaded
NONE, CA, AA, OCSP, ANY = "NONE", "CA", "AA", "OCSP", "ANY"
FLAGS = (NONE, CA, AA, OCSP)
X509, CRL, PUBKEY, AC = "X509", "X509_CRL", "PUBKEY", "X509_AC"
TYPES = (X509, CRL, PUBKEY, AC, "OCSP_RESPONSE")
# The types that swanctl names its directories by; each says the flag, too.
DIRECTORIES = {
    "X509CA": (X509, CA),
    "X509OCSP": (X509, OCSP),
    "X509AA": (X509, AA),
    "X509AC": (AC, NONE),
    "X509CRL": (CRL, NONE),
}
READERS: dict[str, Callable[[bytes], Certificate | Crl | PublicKey]] = {
    X509: certificates.certificate,
    CRL: certificates.crl,
    PUBKEY: certificates.public_key,
}
LISTED = {Certificate: X509, Crl: CRL, PublicKey: PUBKEY}
Credential = Certificate | Crl | PublicKey


@dataclass(slots=True)
class LoadCredentials:
    """Executes them. `authorities`: the certificates that these have, which are listed, too."""

    authorities: Callable[[], Iterable[Certificate]]
    _certificates: dict[bytes, tuple[Credential, str]] = field(default_factory=dict)  # DER -> with its flag
    _keys: dict[str, PrivateKey] = field(default_factory=dict)

    async def load_cert(self, given: Decoded, _: Stream) -> Pairs:
        """Keep a certificate, CRL or public key; of an issuer's CRLs the latest."""
        arguments.unknown(given, ("type", "flag", "data"))
        word = arguments.text(given, "type")
        if word is None:
            return failure("certificate type missing")
        kind, flag = DIRECTORIES.get(word.upper(), (word.upper(), ""))
        if kind not in READERS:
            return failure(f"invalid certificate type '{word[:40]}'; allowed: {', '.join(READERS)}")
        if not flag:
            flag = (arguments.text(given, "flag") or NONE).upper() if kind == X509 else NONE
        if flag not in FLAGS:
            return failure(f"invalid certificate flag '{flag[:40]}'; allowed: {', '.join(FLAGS)}")
        data = given.get("data")
        if not isinstance(data, bytes) or not data:
            return failure("certificate data missing")
        try:
            found = await asyncio.to_thread(READERS[kind], data)
        except ValueError as error:
            return failure(f"parsing {kind} certificate failed: {error}")
        if flag == CA and isinstance(found, Certificate) and not found.is_ca:
            return failure("ca certificate lacks CA basic constraint, rejected")
        return self._keep(found, flag)

    def _keep(self, found: Credential, flag: str) -> Pairs:
        if isinstance(found, Crl):
            for der, (other, _) in tuple(self._certificates.items()):
                if isinstance(other, Crl) and other.issuer == found.issuer:
                    if other.issued > found.issued:
                        return SUCCESS  # as charon, which keeps the later one
                    del self._certificates[der]
        if found.der not in self._certificates and len(self._certificates) >= MOST:
            return failure(f"there are {MOST} certificates, as many as there may be: clear the credentials")
        self._certificates[found.der] = found, flag
        return SUCCESS

    async def load_key(self, given: Decoded, _: Stream) -> Pairs:
        """Keep a private key. The answer has its `id`: the SHA-1 of the public key's bits, in hex digits."""
        arguments.unknown(given, ("type", "data"))
        kind, data = arguments.text(given, "type"), given.get("data")
        if kind is None:
            return failure("key type missing")
        if kind.lower() not in certificates.KINDS:
            allowed = ", ".join(certificates.KINDS)
            return failure(f"invalid key type: {kind[:40]!r}; allowed: {allowed}")
        if not isinstance(data, bytes) or not data:
            return failure("key data missing")
        try:
            key = await asyncio.to_thread(certificates.private_key, data, kind.lower())
        except ValueError as error:
            return failure(f"parsing {kind.upper()} private key failed: {error}")
        if key.key_id not in self._keys and len(self._keys) >= MOST:
            return failure(f"there are {MOST} keys, as many as there may be: unload some")
        self._keys[key.key_id] = key
        return [*SUCCESS, ("id", key.key_id)]

    async def unload_key(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("id",))
        name = arguments.text(given, "id")
        if name is None:
            return failure("key id missing")
        if self._keys.pop(name.lower(), None) is None:
            return failure(f"private key with id '{name[:80]}' not found")
        return SUCCESS

    async def get_keys(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        return [("keys", list(self._keys))]

    async def load_token(self, given: Decoded, _: Stream) -> Pairs:
        """Refuse: there is no PKCS#11 here."""
        return failure("tokens (PKCS#11) are not supported by ikepy: load the key itself, with load-key")

    async def flush_certs(self, given: Decoded, _: Stream) -> Pairs:
        """Nothing is cached here: each certificate is one that was loaded, and stays."""
        arguments.unknown(given, ("type",))
        _of_types(arguments.text(given, "type"))
        return SUCCESS

    def clear(self) -> None:
        """Forget all of them; authorities keep theirs."""
        self._certificates.clear()
        self._keys.clear()

    async def list_certs(self, given: Decoded, stream: Stream) -> Pairs:
        """An event for each certificate, those of authorities among them."""
        arguments.unknown(given, ("type", "flag", "subject"))
        types, flag = _of_types(arguments.text(given, "type")), (arguments.text(given, "flag") or ANY).upper()
        if flag not in (*FLAGS, ANY):
            raise ViciError(f"invalid certificate flag; allowed: {', '.join((*FLAGS, ANY))}")
        subject = arguments.text(given, "subject")
        certified = {one.der: (one, CA) for one in self.authorities()}
        for found, given_flag in tuple({**certified, **self._certificates}.values()):
            kind, own = LISTED[type(found)], _flag(found, given_flag)
            if kind not in types or (types == (X509,) and flag not in (ANY, own)):  # as charon: not with ANY
                continue
            if not _has(found, subject):
                continue
            section: dict[str, Value] = {"type": kind}
            if kind == X509:
                section["flag"] = own
            if not isinstance(found, Crl) and found.key_id in self._keys:
                section["has_privkey"] = "yes"
            await stream.send("list-cert", [*section.items(), ("data", found.der)])
        return []


def _of_types(word: str | None) -> tuple[str, ...]:
    kind = (word or ANY).upper()
    if kind not in (*TYPES, ANY):
        raise ViciError(f"invalid certificate type; allowed: {', '.join((*TYPES, ANY))}")
    return TYPES if kind == ANY else (kind,)


def _flag(found: Credential, given: str) -> str:
    if isinstance(found, Certificate):
        for flag, so in ((CA, found.is_ca), (OCSP, found.is_ocsp)):
            if so:
                return flag
    return given


def _has(found: Credential, subject: str | None) -> bool:
    """Whether this is the subject's: its name, an alternative one, or a key's id."""
    if subject is None:
        return True
    match found:
        case Certificate():
            names = (found.subject, *found.names)
        case Crl():
            names = (found.issuer,)
        case _:
            names = (found.key_id,)
    return _folded(subject) in map(_folded, names)


def _folded(name: str) -> str:
    return ",".join(part.strip() for part in name.split(",")).lower()
