"""Wireshark's tables of keys, read and written: `ikev2_decryption_table` and `esp_sa`.

Both are lines of comma-separated fields, as Wireshark and tshark keep them in a profile: octets of IKE as
bare hexadecimal digits, those of ESP behind "0x", names of algorithms and all of `esp_sa` in quotes.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import PurePath
from typing import TypeVar

from ikepy.crypto.captured import ENCRYPTION, INTEGRITY
from ikepy.dissect.keys import EspKeys, IkeKeys
from ikepy.dissect.tree import quoted
from ikepy.errors import ConfigError

T = TypeVar("T")
V = TypeVar("V")

IKE_TABLE = "ikev2_decryption_table"
ESP_TABLE = "esp_sa"
_IKE_COLUMNS = "SPI_i,SPI_r,SK_ei,SK_er,encryption,SK_ai,SK_ar,integrity"
_ESP_COLUMNS = "IP version,source,destination,SPI,encryption,key,integrity,key"
_COLUMNS = 8
_MOST_MISTAKES = 20
_SPI = 8  # octets of an IKE SPI

_AES_BITS = (128, 192, 256)
# Wireshark's names of IKE's algorithms -> our name, and octets of the key without salt (0: of any length)
_IKE_ENCRYPTION: dict[str, tuple[str, int]] = {
    "NULL [RFC2410]": ("NULL", 0),
    "3DES [RFC2451]": ("3DES_CBC", 24),
    **{f"AES-CBC-{bits} [RFC3602]": ("AES_CBC", bits // 8) for bits in _AES_BITS},
    **{f"AES-CTR-{bits} [RFC5930]": ("AES_CTR", bits // 8) for bits in _AES_BITS},
    **{
        f"AES-{mode}-{bits} with {icv} octet ICV [RFC5282]": (f"AES_{mode}_{icv}", bits // 8)
        for mode in ("GCM", "CCM")
        for bits in _AES_BITS
        for icv in (8, 12, 16)
    },
}
_IKE_INTEGRITY: dict[str, str] = {
    "HMAC_MD5_96 [RFC2403]": "HMAC_MD5_96",
    "HMAC_SHA1_96 [RFC2404]": "HMAC_SHA1_96",
    "HMAC_MD5_128 [RFC4595]": "HMAC_MD5_128",
    "HMAC_SHA1_160 [RFC4595]": "HMAC_SHA1_160",
    "HMAC_SHA2_256_96 [draft-ietf-ipsec-ciph-sha-256-00]": "HMAC_SHA2_256_96",
    "HMAC_SHA2_256_128 [RFC4868]": "HMAC_SHA2_256_128",
    "HMAC_SHA2_384_192 [RFC4868]": "HMAC_SHA2_384_192",
    "HMAC_SHA2_512_256 [RFC4868]": "HMAC_SHA2_512_256",
    **{
        f"ANY {bits}-bits of Authentication [No Checking]": f"ANY_{bits}"
        for bits in (64, 96, 128, 160, 192, 256)
    },
}
_NO_INTEGRITY = "NONE [RFC4306]"
_ESP_ENCRYPTION: dict[str, str] = {
    "NULL": "NULL",
    "TripleDES-CBC [RFC2451]": "3DES_CBC",
    "AES-CBC [RFC3602]": "AES_CBC",
    "AES-CTR [RFC3686]": "AES_CTR",
    "DES-CBC [RFC2405]": "DES_CBC",
    "CAST5-CBC [RFC2144]": "CAST_CBC",
    "BLOWFISH-CBC [RFC2451]": "BLOWFISH_CBC",
    "AES-GCM [RFC4106]": "AES_GCM_16",
    "AES-GCM with 8 octet ICV [RFC4106]": "AES_GCM_8",
    "AES-GCM with 12 octet ICV [RFC4106]": "AES_GCM_12",
    "AES-GCM with 16 octet ICV [RFC4106]": "AES_GCM_16",
}
_ESP_INTEGRITY: dict[str, str] = {
    "HMAC-SHA-1-96 [RFC2404]": "HMAC_SHA1_96",
    "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]": "HMAC_SHA2_256_96",
    "HMAC-SHA-256-128 [RFC4868]": "HMAC_SHA2_256_128",
    "HMAC-SHA-384-192 [RFC4868]": "HMAC_SHA2_384_192",
    "HMAC-SHA-512-256 [RFC4868]": "HMAC_SHA2_512_256",
    "HMAC-MD5-96 [RFC2403]": "HMAC_MD5_96",
    "MAC-RIPEMD-160-96 [RFC2857]": "HMAC_RIPEMD160_96",
    **{f"ANY {bits} bit authentication [no checking]": f"ANY_{bits}" for bits in (64, 96, 128, 192, 256)},
}
_NO_ESP_INTEGRITY = "NULL"


class Unwritable(ValueError):  # noqa: N818  a fact about the table, no fault
    """Wireshark has no name for an algorithm."""


# -- reading -----------------------------------------------------------------------------------------------


def read_ike(text: str, file: PurePath | str = IKE_TABLE) -> list[IkeKeys]:
    """The rows of an `ikev2_decryption_table`. ConfigError names each line that is none."""
    return _read(text, str(file), _ike_row, _IKE_COLUMNS)


def read_esp(text: str, file: PurePath | str = ESP_TABLE) -> list[EspKeys]:
    """The rows of an `esp_sa`. ConfigError names each line that is none."""
    return _read(text, str(file), _esp_row, _ESP_COLUMNS)


def _read(text: str, file: str, row: Callable[[list[str]], T], columns: str) -> list[T]:
    found: list[T] = []
    mistakes: list[tuple[str, str]] = []
    for number, line in lines(text):
        if len(mistakes) == _MOST_MISTAKES:
            break
        try:
            fields = next(csv.reader([line], strict=True))
            if len(fields) < _COLUMNS:
                raise ValueError(f"{len(fields)} fields, {_COLUMNS} expected: {columns}")
            found.append(row([one.strip() for one in fields]))
        except (ValueError, csv.Error) as error:
            mistakes.append((f"line {number}", str(error)))
    if len(mistakes) > 1 and not found:
        mistakes = [("", "this is no table of keys"), mistakes[0]]
    if mistakes:
        raise ConfigError(file, mistakes)
    return found


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file of keys with their numbers, without those that are empty or comments."""
    for number, line in enumerate(StringIO(text), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.rstrip("\r\n")


def _ike_row(fields: list[str]) -> IkeKeys:
    spi_i, spi_r = _octets(fields[0], "initiator's SPI"), _octets(fields[1], "responder's SPI")
    if len(spi_i) != _SPI or len(spi_r) != _SPI:
        raise ValueError(f"an IKE SPI has {_SPI} octets")
    name, key = _known(fields[4], _IKE_ENCRYPTION, "encryption algorithm")
    encryption = ENCRYPTION[name]
    sk_ei, sk_er = _octets(fields[2], "SK_ei"), _octets(fields[3], "SK_er")
    if key and any(len(one) != key + encryption.salt for one in (sk_ei, sk_er)):
        raise ValueError(f"{fields[4]} has SK_ei and SK_er of {key + encryption.salt} octets")
    integrity = None
    if fields[7] != _NO_INTEGRITY:
        integrity = INTEGRITY[_known(fields[7], _IKE_INTEGRITY, "integrity algorithm")]
    sk_ai, sk_ar = _octets(fields[5], "SK_ai"), _octets(fields[6], "SK_ar")
    return IkeKeys(spi_i, spi_r, encryption, sk_ei, sk_er, integrity, sk_ai, sk_ar)


def _esp_row(fields: list[str]) -> EspKeys:
    version = _known(fields[0], {"IPv4": 4, "IPv6": 6}, "protocol")
    spi = None if fields[3] == "*" else int.from_bytes(_octets(fields[3], "SPI"), "big")
    if spi is not None and spi >= 1 << 32:
        raise ValueError("an SPI of ESP has 4 octets")
    encryption = ENCRYPTION[_known(fields[4], _ESP_ENCRYPTION, "encryption algorithm")]
    integrity = None
    if fields[6] != _NO_ESP_INTEGRITY:
        integrity = INTEGRITY[_known(fields[6], _ESP_INTEGRITY, "integrity algorithm")]
    key, integrity_key = _octets(fields[5], "encryption key"), _octets(fields[7], "authentication key")
    return EspKeys(spi, encryption, key, integrity, integrity_key, version, fields[1], fields[2])


def _octets(field: str, what: str) -> bytes:
    digits = field[2:] if field[:2] in ("0x", "0X") else field
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{what}: no hexadecimal digits") from None  # which may be a secret: not shown


def _known(field: str, table: Mapping[str, V], what: str) -> V:
    try:
        return table[field]
    except KeyError:
        raise ValueError(f"{what}: {quoted(field)} is not known; allowed: {', '.join(table)}") from None


# -- writing -----------------------------------------------------------------------------------------------


def ike_line(keys: IkeKeys) -> str:
    """A row of `ikev2_decryption_table`. Unwritable if Wireshark has no such algorithm."""
    size = len(keys.sk_ei) - keys.encryption.salt
    encryption = _name((keys.encryption.name, size), _IKE_ENCRYPTION)
    integrity = _NO_INTEGRITY if keys.integrity is None else _name(keys.integrity.name, _IKE_INTEGRITY)
    spis, sk_e, sk_a = (keys.spi_i, keys.spi_r), (keys.sk_ei, keys.sk_er), (keys.sk_ai, keys.sk_ar)
    first, second = (",".join(one.hex() for one in pair) for pair in ((*spis, *sk_e), sk_a))
    return f'{first},"{encryption}",{second},"{integrity}"'


def esp_line(keys: EspKeys) -> str:
    """A row of `esp_sa`. Unwritable if Wireshark has no such algorithm."""
    fields = (
        f"IPv{keys.version}",
        keys.source,
        keys.destination,
        "*" if keys.spi is None else f"0x{keys.spi:08x}",
        _name(keys.encryption.name, _ESP_ENCRYPTION),
        f"0x{keys.key.hex()}" if keys.key else "",
        _NO_ESP_INTEGRITY if keys.integrity is None else _name(keys.integrity.name, _ESP_INTEGRITY),
        f"0x{keys.integrity_key.hex()}" if keys.integrity_key else "",
    )
    return ",".join(f'"{one}"' for one in fields)


def _name(wanted: str | tuple[str, int], table: Mapping[str, str] | Mapping[str, tuple[str, int]]) -> str:
    """The last of Wireshark's names: for AES-GCM the one that tells the ICV's length."""
    found = [name for name, known in table.items() if known == wanted]
    if not found:
        raise Unwritable(f"Wireshark's table has no {wanted if isinstance(wanted, str) else wanted[0]}")
    return found[-1]
