"""Parses proposals written in strongSwan's keywords, "aes128gcm16-prfsha256-x25519" (RFC 7296 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from ikepy.crypto.algorithms import is_aead
from ikepy.crypto.kex import registry
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform

AES_BITS = (128, 192, 256)
_GCM = {16: Encr.AES_GCM_16, 12: Encr.AES_GCM_12, 8: Encr.AES_GCM_8}  # ICV in bytes

ENCR = {
    **{f"aes{bits}": Transform(TransformType.ENCR, Encr.AES_CBC, bits) for bits in AES_BITS},
    "aes": Transform(TransformType.ENCR, Encr.AES_CBC, 128),
    **{
        f"aes{bits}gcm{suffix}": Transform(TransformType.ENCR, encr, bits)
        for bits in AES_BITS
        for icv, encr in _GCM.items()
        for suffix in (icv, 8 * icv)  # charon has both: in bytes and in bits
    },
    **{f"aes{bits}gcm": Transform(TransformType.ENCR, Encr.AES_GCM_16, bits) for bits in AES_BITS},
    "chacha20poly1305": Transform(TransformType.ENCR, Encr.CHACHA20_POLY1305),
}
INTEG = {
    name: Transform(TransformType.INTEG, integ)
    for integ, names in {
        Integ.HMAC_SHA1_96: ("sha1", "sha"),
        Integ.HMAC_SHA2_256_128: ("sha256", "sha2_256"),
        Integ.HMAC_SHA2_384_192: ("sha384", "sha2_384"),
        Integ.HMAC_SHA2_512_256: ("sha512", "sha2_512"),
    }.items()
    for name in names
}
PRF = {
    "prfsha1": Transform(TransformType.PRF, Prf.HMAC_SHA1),
    "prfsha256": Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
    "prfsha384": Transform(TransformType.PRF, Prf.HMAC_SHA2_384),
    "prfsha512": Transform(TransformType.PRF, Prf.HMAC_SHA2_512),
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
    }.items()
    for name in names
    if group in registry.supported()
}
NO_KE = {  # ESP only: PFS is welcome, not required
    name: Transform(TransformType.KE, KeGroup.NONE) for name in ("modpnone", "none")
}
ESN = {
    "noesn": Transform(TransformType.ESN, Esn.NO_ESN),
    "esn": Transform(TransformType.ESN, Esn.ESN),
}
IKE_WORDS = {**ENCR, **INTEG, **PRF, **KE}
ESP_WORDS = {**ENCR, **INTEG, **KE, **NO_KE, **ESN}
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
}
# Keywords that charon supports and we don't get another message than a typo.
FOREIGN_PREFIXES = (
    "3des",
    "des",
    "null",
    "camellia",
    "blowfish",
    "cast",
    "serpent",
    "twofish",
    "md5",
    "prfmd5",
)
FOREIGN_PARTS = ("ccm", "ctr", "gmac", "xcbc", "cmac", "ntru", "newhope", "compat", "_96", "_160")

# RFC 7296 2.13: without a PRF of its own, charon takes the integrity algorithm's.
PRF_OF_INTEG = {
    Integ.HMAC_SHA1_96: Prf.HMAC_SHA1,
    Integ.HMAC_SHA2_256_128: Prf.HMAC_SHA2_256,
    Integ.HMAC_SHA2_384_192: Prf.HMAC_SHA2_384,
    Integ.HMAC_SHA2_512_256: Prf.HMAC_SHA2_512,
}

# "default": what charon 5.9.8 offers, in its order, less the algorithms that we don't have, and less the MODP
# groups above 4096 bits, where a stranger's request costs us most: those are there for whoever names them.
_IKE_REST = (
    "prfsha256-prfsha384-prfsha512-prfsha1-x25519-x448-ecp256-ecp384-ecp521-ecp256bp-ecp384bp-ecp512bp-"
    "modp3072-modp4096-modp2048"
)
DEFAULT_IKE = (
    f"aes128-aes192-aes256-sha256-sha384-sha512-sha1-{_IKE_REST}",
    "aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-aes128gcm8-aes192gcm8-aes256gcm8-"
    f"aes128gcm12-aes192gcm12-aes256gcm12-{_IKE_REST}",
)
DEFAULT_ESP = (
    "aes128-aes192-aes256-sha256-sha384-sha512-sha1-noesn",
    "aes128gcm16-aes192gcm16-aes256gcm16-noesn",
)


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
    with_aead = any(word in ENCR and is_aead(ENCR[word].id) for word in words)
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


def to_text(proposal: Proposal) -> str:
    """The proposal in keywords again; an unknown transform as type:id."""
    return "-".join(_word(transform) for transform in proposal.transforms)


def _word(transform: Transform) -> str:
    for word, known in {**ENCR, **INTEG, **PRF, **KE, **NO_KE, **ESN}.items():
        if known == transform:
            return word
    return f"{transform.type}:{transform.id}"


def _words(protocol: ProtocolId) -> dict[str, Transform]:
    return IKE_WORDS if protocol == ProtocolId.IKE else ESP_WORDS


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
        raise ValueError(f"no encryption algorithm; allowed: {_listed(ENCR)}")
    aead = {is_aead(encr.id) for encr in encrs}
    if len(aead) == 2:
        raise ValueError(
            "AEAD and other encryption algorithms can't share one proposal; write two: one with "
            "aes…gcm… or chacha20poly1305, one with aes128, aes192, aes256"
        )
    if protocol == ProtocolId.IKE:
        if not types[TransformType.PRF]:
            types[TransformType.PRF] = [
                Transform(TransformType.PRF, PRF_OF_INTEG[Integ(integ.id)]) for integ in integs
            ]
        if not types[TransformType.KE]:
            raise ValueError(f"no key exchange; allowed: {_listed(KE)}")
    if True in aead:
        integs.clear()  # used only to imply the PRF: an AEAD is offered without INTEG (RFC 5282 8)
    elif not integs:
        raise ValueError(f"no integrity algorithm beside {to_words(encrs)}; allowed: {_listed(INTEG)}")
    if protocol == ProtocolId.IKE and not types[TransformType.PRF]:
        raise ValueError(f"no PRF, which an AEAD needs; allowed: {_listed(PRF)}")
    if protocol == ProtocolId.ESP and not types[TransformType.ESN]:
        types[TransformType.ESN] = [ESN["noesn"]]


def to_words(transforms: Iterable[Transform]) -> str:
    """Transforms as keywords, for messages."""
    return ", ".join(_word(transform) for transform in transforms)


def _listed(words: dict[str, Transform]) -> str:
    """The keywords, without aliases."""
    return to_words(dict.fromkeys(words.values()))


def _unknown(word: str, protocol: ProtocolId) -> str:
    known = _words(protocol)
    kinds = [("encryption", ENCR), ("integrity", INTEG)]
    if protocol == ProtocolId.IKE:
        kinds += [("PRF", PRF), ("key exchange", KE)]
    else:
        kinds += [("key exchange", {**KE, **NO_KE}), ("sequence numbers", ESN)]
    allowed = "; ".join(f"{kind}: {_listed(words)}" for kind, words in kinds)
    if not word:
        return f'an algorithm is missing beside a "-"; allowed: {allowed}'
    meant = MEANT.get(word, "")
    if word in ESN or word in NO_KE:
        why = f'"{word}" has no place in an IKE proposal'
    elif word.startswith(FOREIGN_PREFIXES) or any(part in word for part in FOREIGN_PARTS):
        why = f'"{word}" is not supported by ikepy'
    else:
        close = [meant] if meant in known else get_close_matches(word, known, 1)
        why = f'unknown algorithm "{word}"' + (f' (did you mean "{close[0]}"?)' if close else "")
    return f"{why}; allowed: {allowed}"
