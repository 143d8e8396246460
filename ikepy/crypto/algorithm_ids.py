"""AlgorithmIdentifiers of signatures, in DER: what a Digital Signature's AUTH names (RFC 7427 3, appendix A).

We send one encoding of each. We accept those that mean the same: parameters NULL or absent, and PSS with its
trailer field or without. PSS counts only with MGF1 of the same hash and a salt of a sensible size: whatever
else there is, is an unknown algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.crypto.schemes import Scheme
from ikepy.wire.constants import HashAlgorithm

MOST_SALT = 64  # octets: as SHA-512 has
SEQUENCE, INTEGER, OID, NULL = 0x30, 0x02, 0x06, b"\x05\x00"

_OIDS = {
    Scheme.RSA_SHA1: "2a864886f70d010105",
    Scheme.RSA_SHA256: "2a864886f70d01010b",
    Scheme.RSA_SHA384: "2a864886f70d01010c",
    Scheme.RSA_SHA512: "2a864886f70d01010d",
    Scheme.ECDSA_SHA256: "2a8648ce3d040302",
    Scheme.ECDSA_SHA384: "2a8648ce3d040303",
    Scheme.ECDSA_SHA512: "2a8648ce3d040304",
    Scheme.ED25519: "2b6570",  # RFC 8410 3
    Scheme.ED448: "2b6571",
    Scheme.ML_DSA_44: "608648016503040311",  # RFC 9881 2
    Scheme.ML_DSA_65: "608648016503040312",
    Scheme.ML_DSA_87: "608648016503040313",
}
_WITH_NULL = (Scheme.RSA_SHA1, Scheme.RSA_SHA256, Scheme.RSA_SHA384, Scheme.RSA_SHA512)  # RFC 4055 5
_PSS, _MGF1 = "2a864886f70d01010a", "2a864886f70d010108"
_HASHES = {
    HashAlgorithm.SHA2_256: ("608648016503040201", 32),
    HashAlgorithm.SHA2_384: ("608648016503040202", 48),
    HashAlgorithm.SHA2_512: ("608648016503040203", 64),
}
_PSS_SCHEMES = (Scheme.PSS_SHA256, Scheme.PSS_SHA384, Scheme.PSS_SHA512)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What an AlgorithmIdentifier means. `salt`: octets, of PSS alone."""

    scheme: Scheme
    salt: int = 0


def encoded(scheme: Scheme) -> bytes:
    """The AlgorithmIdentifier that we send for `scheme`."""
    return _ENCODED[scheme]


def decoded(der: bytes) -> Algorithm | None:
    """What an AlgorithmIdentifier of a peer's means; None if that is nothing that we verify."""
    known = _KNOWN.get(der)
    return known if known is not None else _pss(der)


def salt_of(scheme: Scheme) -> int:
    """Octets of the salt that we use: those of the hash; 0 if it is not PSS."""
    return _HASHES[scheme.hash][1] if scheme.pss else 0


# -- encoding ----------------------------------------------------------------------------------------------


def _tlv(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value  # all of ours are shorter than 128 octets


def _oid(digits: str) -> bytes:
    return _tlv(OID, bytes.fromhex(digits))


def _hash(of: HashAlgorithm) -> bytes:
    return _tlv(SEQUENCE, _oid(_HASHES[of][0]) + NULL)


def _encode_pss(of: HashAlgorithm, salt: int) -> bytes:
    """As in A.4.3, with the trailer field, which DER would leave out as it has its default."""
    parameters = (
        _tlv(0xA0, _hash(of))
        + _tlv(0xA1, _tlv(SEQUENCE, _oid(_MGF1) + _hash(of)))
        + _tlv(0xA2, _tlv(INTEGER, bytes([salt])))
        + _tlv(0xA3, _tlv(INTEGER, b"\x01"))
    )
    return _tlv(SEQUENCE, _oid(_PSS) + _tlv(SEQUENCE, parameters))


_ENCODED = {
    scheme: _tlv(SEQUENCE, _oid(digits) + (NULL if scheme in _WITH_NULL else b""))
    for scheme, digits in _OIDS.items()
}
_ENCODED |= {scheme: _encode_pss(scheme.hash, salt_of(scheme)) for scheme in _PSS_SCHEMES}
_KNOWN = {
    _tlv(SEQUENCE, _oid(digits) + parameters): Algorithm(scheme)
    for scheme, digits in _OIDS.items()
    for parameters in (b"", NULL)
}
_KNOWN |= {_ENCODED[scheme]: Algorithm(scheme, salt_of(scheme)) for scheme in _PSS_SCHEMES}  # the usual ones


# -- decoding of PSS ---------------------------------------------------------------------------------------


def _pss(der: bytes) -> Algorithm | None:
    """RSASSA-PSS with its parameters (RFC 4055 3.1). Empty ones mean SHA-1: refused (RFC 8247 3.2)."""
    try:
        return _read_pss(der)
    except ValueError:
        return None


def _read_pss(der: bytes) -> Algorithm | None:
    start = _oid(_PSS)
    inside = _only(der, SEQUENCE)
    if not inside.startswith(start):
        return None
    fields = dict(_fields(_only(inside[len(start) :], SEQUENCE)))
    if not {0xA0, 0xA1, 0xA2} <= fields.keys() <= {0xA0, 0xA1, 0xA2, 0xA3}:
        return None
    if 0xA3 in fields and fields[0xA3] != _tlv(INTEGER, b"\x01"):
        return None
    mgf = _only(fields[0xA1], SEQUENCE)
    salt = _only(fields[0xA2], INTEGER)
    if len(salt) != 1 or salt[0] > MOST_SALT or not mgf.startswith(_oid(_MGF1)):
        return None
    for scheme in _PSS_SCHEMES:
        same = (_hash(scheme.hash), _tlv(SEQUENCE, _oid(_HASHES[scheme.hash][0])))
        if fields[0xA0] in same and mgf[len(_oid(_MGF1)) :] in same:
            return Algorithm(scheme, salt[0])
    return None


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that stand in `data` one after the other, in ascending order of their tags."""
    found: list[tuple[int, bytes]] = []
    while data:
        size = 2 + _size(data)
        if size > len(data) or (found and data[0] <= found[-1][0]):
            raise ValueError("an element that is cut off or repeated")
        found.append((data[0], data[2:size]))
        data = data[size:]
    return found


def _only(data: bytes, tag: int) -> bytes:
    """The value of the only element in `data`."""
    if len(data) < 2 or data[0] != tag or len(data) != 2 + _size(data):
        raise ValueError("another element")
    return data[2:]


def _size(data: bytes) -> int:
    if len(data) < 2 or data[1] > 127:
        raise ValueError("an element that is too long")
    return data[1]
