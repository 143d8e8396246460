"""Parses proposals written in strongSwan's keywords, "aes128gcm16-prfsha256-x25519" (RFC 7296 3.3).

"ke1_" to "ke7_" before a key exchange makes it an additional one (RFC 9370): x25519-ke1_mlkem768.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from ikepy.crypto.algorithms import is_aead
from ikepy.crypto.kex import registry, selection
from ikepy.wire.constants import (
    ADDITIONAL_KEY_EXCHANGES,
    ML_KEM,
    Encr,
    Esn,
    Integ,
    KeGroup,
    Prf,
    ProtocolId,
    TransformType,
)
from ikepy.wire.proposal import Proposal, Transform

AES_BITS = (128, 192, 256)
_GCM = {16: Encr.AES_GCM_16, 12: Encr.AES_GCM_12, 8: Encr.AES_GCM_8}  # ICV in bytes
_CCM = {16: Encr.AES_CCM_16, 12: Encr.AES_CCM_12, 8: Encr.AES_CCM_8}

ENCR = {
    **{f"aes{bits}": Transform(TransformType.ENCR, Encr.AES_CBC, bits) for bits in AES_BITS},
    "aes": Transform(TransformType.ENCR, Encr.AES_CBC, 128),
    **{
        f"aes{bits}{mode}{suffix}": Transform(TransformType.ENCR, encr, bits)
        for mode, icvs in (("gcm", _GCM), ("ccm", _CCM))
        for bits in AES_BITS
        for icv, encr in icvs.items()
        for suffix in (icv, 8 * icv)  # charon has both: in bytes and in bits
    },
    **{f"aes{bits}gcm": Transform(TransformType.ENCR, Encr.AES_GCM_16, bits) for bits in AES_BITS},
    "chacha20poly1305": Transform(TransformType.ENCR, Encr.CHACHA20_POLY1305),
    **{f"aes{bits}ctr": Transform(TransformType.ENCR, Encr.AES_CTR, bits) for bits in AES_BITS},
    **{f"camellia{bits}": Transform(TransformType.ENCR, Encr.CAMELLIA_CBC, bits) for bits in AES_BITS},
    "camellia": Transform(TransformType.ENCR, Encr.CAMELLIA_CBC, 128),
    "3des": Transform(TransformType.ENCR, Encr.TRIPLE_DES_CBC),
}
ESP_ENCR = {  # no confidentiality (RFC 2410, RFC 4543): none of IKE's choices
    **{f"aes{bits}gmac": Transform(TransformType.ENCR, Encr.NULL_AES_GMAC, bits) for bits in AES_BITS},
    "null": Transform(TransformType.ENCR, Encr.NULL),
}
INTEG = {
    name: Transform(TransformType.INTEG, integ)
    for integ, names in {
        Integ.HMAC_SHA1_96: ("sha1", "sha"),
        Integ.HMAC_SHA2_256_128: ("sha256", "sha2_256"),
        Integ.HMAC_SHA2_384_192: ("sha384", "sha2_384"),
        Integ.HMAC_SHA2_512_256: ("sha512", "sha2_512"),
        Integ.AES_XCBC_96: ("aesxcbc",),
        Integ.AES_CMAC_96: ("aescmac",),
    }.items()
    for name in names
}
PRF = {
    "prfsha1": Transform(TransformType.PRF, Prf.HMAC_SHA1),
    "prfsha256": Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
    "prfsha384": Transform(TransformType.PRF, Prf.HMAC_SHA2_384),
    "prfsha512": Transform(TransformType.PRF, Prf.HMAC_SHA2_512),
    "prfaesxcbc": Transform(TransformType.PRF, Prf.AES128_XCBC),
    "prfaescmac": Transform(TransformType.PRF, Prf.AES128_CMAC),
}
KE = {
    name: Transform(TransformType.KE, group)
    for group, names in {
        KeGroup.CURVE_25519: ("x25519", "curve25519"),
        KeGroup.CURVE_448: ("x448", "curve448"),
        KeGroup.ECP_256: ("ecp256",),
        KeGroup.ECP_384: ("ecp384",),
        KeGroup.ECP_521: ("ecp521",),
        KeGroup.BRAINPOOL_256: ("ecp256bp",),
        KeGroup.BRAINPOOL_384: ("ecp384bp",),
        KeGroup.BRAINPOOL_512: ("ecp512bp",),
        KeGroup.MODP_1024: ("modp1024",),
        KeGroup.MODP_1536: ("modp1536",),
        KeGroup.MODP_2048: ("modp2048",),
        KeGroup.MODP_3072: ("modp3072",),
        KeGroup.MODP_4096: ("modp4096",),
        KeGroup.MODP_6144: ("modp6144",),
        KeGroup.MODP_8192: ("modp8192",),
        KeGroup.ML_KEM_768: ("mlkem768",),
        KeGroup.ML_KEM_1024: ("mlkem1024",),
    }.items()
    for name in names
    if group in registry.supported()
}
NO_KE = {  # ESP only: PFS is welcome, not required
    name: Transform(TransformType.KE, KeGroup.NONE) for name in ("modpnone", "none")
}
# Additional key exchanges (RFC 9370 2.2.1), each of which may be optional: ke1_mlkem768-ke1_none.
ADDITIONAL_KE = {
    f"ke{n}_{name}": Transform(type, one.id)
    for n, type in enumerate(ADDITIONAL_KEY_EXCHANGES, 1)
    for name, one in {**KE, "none": NO_KE["none"]}.items()
}
ESN = {
    "noesn": Transform(TransformType.ESN, Esn.NO_ESN),
    "esn": Transform(TransformType.ESN, Esn.ESN),
}
IKE_WORDS = {**ENCR, **INTEG, **PRF, **KE, **ADDITIONAL_KE}
ESP_WORDS = {**ENCR, **ESP_ENCR, **INTEG, **KE, **NO_KE, **ADDITIONAL_KE, **ESN}
# Common misspellings. "-" separates algorithms, so a name that contains one is split into several keywords.
MEANT = {
    **{f"{prefix}{int(one.id)}": word for prefix in ("group", "dh", "modp") for word, one in KE.items()},
    "gcm": "aes256gcm16",
    "aesgcm": "aes256gcm16",
    "aes_gcm": "aes256gcm16",
    "aes_gcm_16": "aes256gcm16",
    "cbc": "aes256",
    "chacha20": "chacha20poly1305",
    "chachapoly": "chacha20poly1305",
    "poly1305": "chacha20poly1305",
    "sha2": "sha256",
    "hmac": "sha256",
    "prf": "prfsha256",
    "25519": "x25519",
    "p256": "ecp256",
    "p384": "ecp384",
    "p521": "ecp521",
    "secp256r1": "ecp256",
    "secp384r1": "ecp384",
    "secp521r1": "ecp521",
    "nopfs": "modpnone",
    "pfs": "x25519",
    "kyber3": "mlkem768",
    "kyber5": "mlkem1024",
    "mlkem": "mlkem768",
}
# Keywords that charon supports and we don't get another message than a typo.
FOREIGN_PREFIXES = (
    "des",
    "camellia",
    "blowfish",
    "cast",
    "serpent",
    "twofish",
    "md5",
    "prfmd5",
)
FOREIGN_PARTS = ("ntru", "newhope", "compat", "_96", "_160")

# RFC 7296 2.13: without a PRF of its own, charon takes the integrity algorithm's.
PRF_OF_INTEG = {
    Integ.HMAC_SHA1_96: Prf.HMAC_SHA1,
    Integ.HMAC_SHA2_256_128: Prf.HMAC_SHA2_256,
    Integ.HMAC_SHA2_384_192: Prf.HMAC_SHA2_384,
    Integ.HMAC_SHA2_512_256: Prf.HMAC_SHA2_512,
    Integ.AES_XCBC_96: Prf.AES128_XCBC,
    Integ.AES_CMAC_96: Prf.AES128_CMAC,
}

# "default": the strongest first (RFC 8247, RFC 8221), ending in what old peers have. MODP groups below 2048
# bits and shortened ICVs are there for whoever names them, and so are MODP groups above 4096 bits, where a
# stranger's request costs us most. x25519 comes first, as most peers take it: another one costs a round trip.
_IKE_REST = (
    "prfsha512-prfsha384-prfsha256-prfsha1-x25519-x448-ecp384-ecp521-ecp256-ecp512bp-ecp384bp-ecp256bp-"
    "modp4096-modp3072-modp2048"
)
_AEADS = "aes256gcm16-chacha20poly1305-aes192gcm16-aes128gcm16"
_WITH_INTEG = "aes256-aes192-aes128-sha512-sha384-sha256-sha1"
DEFAULT_IKE = (f"{_AEADS}-{_IKE_REST}", f"{_WITH_INTEG}-{_IKE_REST}")
# Goes before them where ML-KEM is welcome, and stands alone where it is required (`pq`): IKE_SA_INIT, with a
# classical key exchange, stays small, and ML-KEM comes after it (RFC 9370).
QUANTUM_SAFE_IKE = f"{_AEADS}-{_IKE_REST}-ke1_mlkem768-ke1_mlkem1024"
DEFAULT_ESP = (f"{_AEADS}-noesn", f"{_WITH_INTEG}-noesn")


def parse(text: str, protocol: ProtocolId) -> tuple[Proposal, ...]:
    """The proposals that one entry of `proposals` (IKE) or `esp_proposals` (ESP) means: two for "default".

    The number of each is 0 and the SPI empty. ValueError says what is wrong and what is allowed.
    """
    if text.strip().lower() == "default":
        return default(protocol)
    return (_proposal(text.strip().lower().split("-"), protocol),)


def idle_words(text: str, protocol: ProtocolId) -> list[tuple[str, str]]:
    """The keywords of an entry that `parse` takes but ignores, as charon does, each with the reason."""
    words = text.strip().lower().split("-")
    ciphers = {**ENCR, **ESP_ENCR}
    with_aead = any(word in ciphers and is_aead(ciphers[word].id) for word in words)
    found: list[tuple[str, str]] = []
    for word in dict.fromkeys(words):
        if protocol == ProtocolId.ESP and word in PRF:
            found.append((word, "ESP has no PRF of its own; the IKE_SA's stands in proposals"))
        elif word in INTEG and with_aead and (protocol == ProtocolId.ESP or any(one in PRF for one in words)):
            found.append((word, "an AEAD needs no integrity algorithm beside it"))
    return found


@cache
def default(protocol: ProtocolId) -> tuple[Proposal, ...]:
    """What is proposed where nothing is configured. Groups that this machine lacks are left out."""
    texts = DEFAULT_IKE if protocol == ProtocolId.IKE else DEFAULT_ESP
    known = _words(protocol)
    return tuple(_proposal([word for word in text.split("-") if word in known], protocol) for text in texts)


@cache
def default_ike(pq: str) -> tuple[Proposal, ...]:
    """What is proposed for an IKE_SA where nothing is configured, by the word of `pq`."""
    plain = default(ProtocolId.IKE)
    words = [word for word in QUANTUM_SAFE_IKE.split("-") if word in IKE_WORDS]
    safe = _proposal(words, ProtocolId.IKE)
    return {"off": plain, "prefer": (safe, *plain), "require": (safe,)}[pq]


def is_quantum_safe(proposal: Proposal) -> bool:
    """Whether whatever is chosen of a proposal has an ML-KEM among its key exchanges."""
    types: dict[int, list[int]] = {}
    for one in proposal.transforms:
        if one.type in (TransformType.KE, *ADDITIONAL_KEY_EXCHANGES):
            types.setdefault(one.type, []).append(one.id)
    return any(all(method in ML_KEM for method in methods) for methods in types.values())


def to_text(proposal: Proposal) -> str:
    """The proposal in keywords again; an unknown transform as type:id."""
    return "-".join(_word(transform) for transform in proposal.transforms)


def _word(transform: Transform) -> str:
    for word, known in {**ENCR, **ESP_ENCR, **INTEG, **PRF, **KE, **NO_KE, **ADDITIONAL_KE, **ESN}.items():
        if known == transform:
            return word
    return f"{transform.type}:{transform.id}"


def _words(protocol: ProtocolId) -> dict[str, Transform]:
    return IKE_WORDS if protocol == ProtocolId.IKE else ESP_WORDS


def _encr_words(protocol: ProtocolId) -> dict[str, Transform]:
    return ENCR if protocol == ProtocolId.IKE else {**ENCR, **ESP_ENCR}


def _proposal(words: list[str], protocol: ProtocolId) -> Proposal:
    transforms: list[Transform] = []
    for word in words:
        transform = _words(protocol).get(word)
        if transform is not None:
            transforms.append(transform)
        elif protocol == ProtocolId.IKE or word not in PRF:  # charon ignores a PRF in an ESP proposal
            raise ValueError(_unknown(word, protocol))
    types: dict[int, list[Transform]] = {kind: [] for kind in TransformType}
    for transform in dict.fromkeys(transforms):
        types[transform.type].append(transform)
    _complete(types, protocol)
    return Proposal(0, protocol, b"", tuple(one for kind in TransformType for one in types[kind]))


def _complete(types: dict[int, list[Transform]], protocol: ProtocolId) -> None:
    """Fill in what the keywords imply; ValueError if a rule of charon's is broken."""
    encrs, integs = types[TransformType.ENCR], types[TransformType.INTEG]
    if not encrs:
        raise ValueError(f"no encryption algorithm; allowed: {_listed(_encr_words(protocol))}")
    aead = {is_aead(encr.id) for encr in encrs}
    if len(aead) == 2:
        raise ValueError(
            "AEAD and other encryption algorithms can't share one proposal; write two: one with "
            "aes…gcm…, aes…ccm… or chacha20poly1305, one with aes…, aes…ctr or camellia…"
        )
    if protocol == ProtocolId.IKE:
        if not types[TransformType.PRF]:
            types[TransformType.PRF] = [
                Transform(TransformType.PRF, PRF_OF_INTEG[Integ(integ.id)]) for integ in integs
            ]
        if not types[TransformType.KE]:
            raise ValueError(f"no key exchange; allowed: {_listed(KE)}")
    _check_additional(types)
    if True in aead:
        integs.clear()  # used only to imply the PRF: an AEAD is offered without INTEG (RFC 5282 8)
    elif not integs:
        raise ValueError(f"no integrity algorithm beside {to_words(encrs)}; allowed: {_listed(INTEG)}")
    if protocol == ProtocolId.IKE and not types[TransformType.PRF]:
        raise ValueError(f"no PRF, which an AEAD needs; allowed: {_listed(PRF)}")
    if protocol == ProtocolId.ESP and not types[TransformType.ESN]:
        types[TransformType.ESN] = [ESN["noesn"]]


def _check_additional(types: dict[int, list[Transform]]) -> None:
    """ValueError if additional key exchanges stand without a first one, or can't all be different ones.

    The responder chooses none twice (RFC 9370 2.2.1).
    """
    additional = [types[kind] for kind in ADDITIONAL_KEY_EXCHANGES if types[kind]]
    first = types[TransformType.KE]
    if additional and not any(one.id != KeGroup.NONE for one in first):
        raise ValueError(f"ke1_ to ke7_ stand beside a first key exchange; allowed: {_listed(KE)}")
    if additional and selection.choose(*_ids(first, additional)) is None:
        raise ValueError("each additional key exchange needs a method that no other one has")


def _ids(first: list[Transform], additional: list[list[Transform]]) -> tuple[list[int], list[list[int]]]:
    return [one.id for one in first], [[one.id for one in each] for each in additional]


def to_words(transforms: Iterable[Transform]) -> str:
    """Transforms as keywords, for messages."""
    return ", ".join(_word(transform) for transform in transforms)


def _listed(words: dict[str, Transform]) -> str:
    """The keywords, without aliases."""
    return to_words(dict.fromkeys(words.values()))


def _unknown(word: str, protocol: ProtocolId) -> str:
    known = _words(protocol)
    kinds = [("encryption", _encr_words(protocol)), ("integrity", INTEG)]
    if protocol == ProtocolId.IKE:
        kinds += [("PRF", PRF), ("key exchange", KE)]
    else:
        kinds += [("key exchange", {**KE, **NO_KE}), ("sequence numbers", ESN)]
    allowed = "; ".join(f"{kind}: {_listed(words)}" for kind, words in kinds)
    if not word:
        return f'an algorithm is missing beside a "-"; allowed: {allowed}'
    meant = MEANT.get(word, "")
    if word in ESN or word in NO_KE or word in ESP_ENCR:
        why = f'"{word}" has no place in an IKE proposal'
    elif word.removeprefix(f"ke{word[2:3]}_") == "mlkem512":
        why = f'"{word}" is not supported: the library has no ML-KEM-512; use mlkem768 or mlkem1024'
    elif word.startswith(FOREIGN_PREFIXES) or any(part in word for part in FOREIGN_PARTS):
        why = f'"{word}" is not supported by ikepy'
    else:
        close = [meant] if meant in known else get_close_matches(word, known, 1)
        why = f'unknown algorithm "{word}"' + (f' (did you mean "{close[0]}"?)' if close else "")
    return f"{why}; allowed: {allowed}"
