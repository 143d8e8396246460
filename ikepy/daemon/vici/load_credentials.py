"""VICI's commands for certificates: load-cert, and what lists and unloads them.

They are used from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.crl import Crl, crl
from ikepy.crypto.x509.public_key import PublicKey, public_key
from ikepy.daemon.credentials.collection import AA, CA, NONE, OCSP, Collection, Credential
from ikepy.daemon.signer.signer import Signer
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure

ANY = "ANY"
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
    X509: certificate,
    CRL: crl,
    PUBKEY: public_key,
}
LISTED = {Certificate: X509, Crl: CRL, PublicKey: PUBKEY}


@dataclass(slots=True)
class LoadCredentials:
    """Executes them. `signer`: which private keys there are."""

    credentials: Collection
    signer: Signer

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
        try:
            self.credentials.load(found, flag)
        except ValueError as error:
            return failure(str(error))
        return SUCCESS

    async def flush_certs(self, given: Decoded, _: Stream) -> Pairs:
        """Forget the CRLs and OCSP responses that were fetched, of whatever type is asked for."""
        arguments.unknown(given, ("type",))
        if not {X509, PUBKEY, AC} >= set(_of_types(arguments.text(given, "type"))):
            self.credentials.flush()
        return SUCCESS

    def clear(self) -> None:
        """Forget all of them; authorities keep theirs."""
        self.credentials.clear()

    async def list_certs(self, given: Decoded, stream: Stream) -> Pairs:
        """An event for each certificate, those of authorities among them."""
        arguments.unknown(given, ("type", "flag", "subject"))
        types, flag = _of_types(arguments.text(given, "type")), (arguments.text(given, "flag") or ANY).upper()
        if flag not in (*FLAGS, ANY):
            raise ViciError(f"invalid certificate flag; allowed: {', '.join((*FLAGS, ANY))}")
        subject = arguments.text(given, "subject")
        for found, given_flag in tuple(self.credentials.all()):
            kind, own = LISTED[type(found)], _flag(found, given_flag)
            if kind not in types or (types == (X509,) and flag not in (ANY, own)):  # as charon: not with ANY
                continue
            if not _has(found, subject):
                continue
            section: dict[str, Value] = {"type": kind}
            if kind == X509:
                section["flag"] = own
            if not isinstance(found, Crl) and found.key_id is not None and self.signer.has(found.key_id):
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
            names = tuple(map(str, (found.subject, *found.names)))
        case Crl():
            names = (str(found.issuer),)
        case _:
            names = (found.key_id,)
    return _folded(subject) in map(_folded, names)


def _folded(name: str) -> str:
    return ",".join(part.strip() for part in name.split(",")).lower()
