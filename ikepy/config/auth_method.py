"""Reads `auth`: the method, and what keys and hashes it is constrained to, in swanctl.conf's words.

    pubkey                          any key and signature that is not weak
    rsa-3072-sha384-ecdsa-256       in the chain of certificates and in IKE: RSA keys of at least 3072 bits
                                    with SHA-384, or ECDSA keys of at least 256 bits with any hash
    ike:rsa/pss-sha512              in IKE alone; for `local` also what we sign with, in this order

Constraints without `ike:` hold for IKE, too. The prefix stands at the beginning, and for all that follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ikepy.crypto.schemes import KeyFacts, KeyKind
from ikepy.wire.constants import HashAlgorithm

HASHES = {
    "sha256": HashAlgorithm.SHA2_256,
    "sha384": HashAlgorithm.SHA2_384,
    "sha512": HashAlgorithm.SHA2_512,
    "sha1": HashAlgorithm.SHA1,
    "identity": HashAlgorithm.IDENTITY,
}
KINDS = {
    "pubkey": None,
    "rsa": KeyKind.RSA,
    "rsa/pss": KeyKind.RSA,
    "ecdsa": KeyKind.ECDSA,
    "ed25519": KeyKind.ED25519,
    "ed448": KeyKind.ED448,
    "mldsa": KeyKind.ML_DSA,
}
EAP = ("eap", "eap-md5", "eap-mschapv2", "eap-tls", "eap-radius", "eap-dynamic")
MOST_BITS = 16384
IKE = "ike:"
WITHOUT_HASH = (KeyKind.ED25519, KeyKind.ED448, KeyKind.ML_DSA)
PUBKEY_ALLOWED = (
    '"pubkey", or kinds of keys with a least size and hashes, as "rsa-3072-sha384", "rsa/pss-sha256", '
    '"ecdsa-384", "ed25519", "ike:ecdsa-sha384"'
)
ALLOWED = f"""allowed: "psk", {PUBKEY_ALLOWED}, {", ".join(f'"{one}"' for one in EAP)}"""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Keys and hashes that are permitted. `kind` None: any. `pss`: of RSA, PSS alone. `hashes` (): any."""

    kind: KeyKind | None
    pss: bool = False
    bits: int = 0
    hashes: tuple[HashAlgorithm, ...] = ()

    def permits_key(self, key: KeyFacts) -> bool:
        return (self.kind is None or self.kind is key.kind) and key.bits >= self.bits

    def permits(self, key: KeyFacts, hash: HashAlgorithm | None, *, pss: bool) -> bool:
        """Whether `key` may sign, or have signed, with `hash`."""
        if not self.permits_key(key) or (self.pss and not pss):
            return False
        return not self.hashes or hash in self.hashes or key.kind in WITHOUT_HASH


@dataclass(frozen=True, slots=True)
class AuthMethod:
    """A value of `auth`. `kind`: "psk", "pubkey" or "eap". `chain`, `ike`: rules of which one must permit
    each key and signature, () for none. `eap`: the word if it is EAP, as "eap-tls"; else ""."""

    text: str
    kind: str
    chain: tuple[KeyRule, ...] = ()
    ike: tuple[KeyRule, ...] = ()
    eap: str = ""

    def __str__(self) -> str:
        return self.text


PSK = AuthMethod("psk", "psk")
PUBKEY = AuthMethod("pubkey", "pubkey")


def parse(text: str) -> AuthMethod:
    """The method that `text` means. ValueError if it means none."""
    word = text.strip().lower()
    if word == "psk":
        return PSK
    if word == "pubkey":
        return PUBKEY
    if word in EAP:
        return AuthMethod(word, "eap", eap=word)
    if word.startswith(("eap", "xauth")):
        raise ValueError(f'"{_printable(word)}" is not supported by ikepy; {ALLOWED}')
    return _of_keys(word)


def _of_keys(word: str) -> AuthMethod:
    """A method of `pubkey` with constraints; several may stand behind one another with a "-" between."""
    for_ike = word.startswith(IKE)
    parts = word.removeprefix(IKE).replace("rsa-pss", "rsa/pss").split("-")
    rules: list[KeyRule] = []
    for part in parts:
        rules = _with(rules, part)
    # A kind without a size or hash ("pubkey") permits everything: so does no rule at all.
    told = tuple(rules)
    return AuthMethod(word, "pubkey", () if for_ike else told, told)


def _with(rules: list[KeyRule], part: str) -> list[KeyRule]:
    """The rules so far, with one more part of the text."""
    if part in KINDS:
        return [*rules, KeyRule(KINDS[part], pss=part == "rsa/pss")]
    if not rules:
        raise ValueError(ALLOWED)
    last = rules[-1]
    if part in HASHES:
        return [*rules[:-1], replace(last, hashes=(*last.hashes, HASHES[part]))]
    if re.fullmatch(r"[1-9]\d{1,4}", part, re.ASCII) and int(part) <= MOST_BITS:
        if last.kind is None or last.bits or last.hashes:
            raise ValueError(f"a size stands behind the kind of key that it is of; {ALLOWED}")
        return [*rules[:-1], replace(last, bits=int(part))]
    raise ValueError(f"{_known(part)}; {ALLOWED}")


def _printable(part: str) -> str:
    return part if part.isprintable() and len(part) <= 20 else "?"


def _known(part: str) -> str:
    return f'"{_printable(part)}" is no kind of key, size or hash ({", ".join([*KINDS, *HASHES])})'


def permitted(rules: tuple[KeyRule, ...], key: KeyFacts, hash: HashAlgorithm | None, *, pss: bool) -> bool:
    """Whether one of the rules permits a signature with `hash` by `key`; without rules all are."""
    return not rules or any(rule.permits(key, hash, pss=pss) for rule in rules)


def key_permitted(rules: tuple[KeyRule, ...], key: KeyFacts) -> bool:
    """As `permitted`, of the key alone."""
    return not rules or any(rule.permits_key(key) for rule in rules)
