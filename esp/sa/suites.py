"""Cipher suites of ESP: sizes, and the sealers and openers of one SA's keys.

RFC 4106 (AES-GCM), RFC 7634 (ChaCha20-Poly1305), RFC 3602 (AES-CBC), RFC 4868 and RFC 2404 (HMAC).
The only module of `esp` that imports `cryptography`.

A packet here is one buffer: SPI and sequence number (8 bytes), IV, plaintext with padding, pad length and
next header, ICV. It is sealed and opened in place.
"""

from __future__ import annotations

import hmac
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, Protocol

import numpy as np
from cryptography.exceptions import InvalidTag as InvalidTag  # for esp.sa.inbound, too
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from esp.packet.headers import Buffer
from esp.packet.row_layouts import BE64, STEPS, RowLayout, RowLayouts

ESP_HEADER = 8  # SPI and sequence number
UDP_HEADER = 8
IP_HEADER = {4: 20, 6: 40}
TRAILER = 2  # pad length and next header

# IANA's IKEv2 transform numbers: encryption
AES_CBC = 12
AES_GCM_8, AES_GCM_12, AES_GCM_16 = 18, 19, 20
CHACHA20_POLY1305 = 28
# integrity
HMAC_SHA1_96 = 2
HMAC_SHA2_256_128, HMAC_SHA2_384_192, HMAC_SHA2_512_256 = 12, 13, 14

SALT = 4  # the last octets of an AEAD's keying material (RFC 4106 8.1, RFC 7634 2)
GCM_ICV = {AES_GCM_8: 8, AES_GCM_12: 12, AES_GCM_16: 16}
# integrity number -> name, hash, key length, ICV length in octets
HMACS = {
    HMAC_SHA1_96: ("HMAC_SHA1_96", "sha1", 20, 12),
    HMAC_SHA2_256_128: ("HMAC_SHA2_256_128", "sha256", 32, 16),
    HMAC_SHA2_384_192: ("HMAC_SHA2_384_192", "sha384", 48, 24),
    HMAC_SHA2_512_256: ("HMAC_SHA2_512_256", "sha512", 64, 32),
}


@dataclass(frozen=True, slots=True)
class Suite:
    """An encryption algorithm and, unless it is an AEAD, an integrity algorithm. Lengths are octets."""

    name: str  # as charon prints it
    encr: int
    key_bits: int | None
    integ: int | None
    encr_key_length: int  # with the salt
    integ_key_length: int
    iv_length: int
    icv_length: int
    block: int  # plaintext, padding and trailer together are a multiple of it

    @property
    def key_length(self) -> int:
        """Octets of keying material one direction takes: encryption key with salt, then integrity key."""
        return self.encr_key_length + self.integ_key_length

    @property
    def overhead(self) -> int:
        """Octets of an ESP packet besides plaintext, padding and trailer."""
        return ESP_HEADER + self.iv_length + self.icv_length

    def padding(self, length: int) -> int:
        """Octets of padding behind `length` octets of plaintext (RFC 4303 2.4)."""
        return -(length + TRAILER) % self.block

    def __str__(self) -> str:
        return self.name


def _gcm(encr: int, key_bits: int) -> Suite:
    icv = GCM_ICV[encr]
    return Suite(f"AES_GCM_{icv}_{key_bits}", encr, key_bits, None, key_bits // 8 + SALT, 0, 8, icv, 4)


def _cbc(key_bits: int, integ: int) -> Suite:
    name, _, key_length, icv = HMACS[integ]
    full_name = f"AES_CBC_{key_bits}/{name}"
    return Suite(full_name, AES_CBC, key_bits, integ, key_bits // 8, key_length, 16, icv, 16)


SUITES: tuple[Suite, ...] = (
    *(_gcm(encr, bits) for encr in (AES_GCM_16, AES_GCM_12, AES_GCM_8) for bits in (128, 192, 256)),
    Suite("CHACHA20_POLY1305", CHACHA20_POLY1305, None, None, 32 + SALT, 0, 8, 16, 4),
    *(_cbc(bits, integ) for bits in (128, 192, 256) for integ in HMACS),
)
_BY_NUMBERS = {(suite.encr, suite.key_bits, suite.integ): suite for suite in SUITES}


def suite_for(encr: int, key_bits: int | None, integ: int | None) -> Suite:
    """The suite of these transform numbers. Raises KeyError if there is none."""
    return _BY_NUMBERS[encr, key_bits, integ]


def inner_mtu(outer_mtu: int, outer_version: int, encap: bool, suite: Suite) -> int:
    """The largest inner packet, in octets, whose ESP packet fits `outer_mtu` (RFC 4303 3.3.5)."""
    outer = IP_HEADER[outer_version] + (UDP_HEADER if encap else 0)
    room = outer_mtu - outer - suite.overhead
    return room - room % suite.block - TRAILER


def refuse_copy(self: object) -> NoReturn:
    """The `__reduce__` of objects that hold keys and sequence numbers: no copy, no pickle."""
    raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")


class AeadContext(NamedTuple):
    """What a multi-SA batch needs of one SA with an AEAD and full ICV. The cipher inside refuses to be
    copied."""

    spi_salt: bytes  # SPI and salt
    call: Callable[[Buffer, memoryview, Buffer, memoryview], object]
    """`encrypt_into` or `decrypt_into`: nonce, input, AAD, output."""
    esn: bool

    def __reduce__(self) -> NoReturn:
        refuse_copy(self)

    def __repr__(self) -> str:
        """Without the salt, which is keying material."""
        return f"Member(esn={self.esn})"


class Sealer(Protocol):
    """Encrypts under one SA's keys. It can be neither copied nor pickled: two would repeat a nonce."""

    def seal(self, row: memoryview, sequence: int) -> None:
        """Seal one packet with this 64-bit sequence number in place: ESP header, plaintext and trailer are
        filled in, and there is room for IV and ICV."""

    def seal_rows(self, rows: Sequence[memoryview], first: int) -> None:
        """Seal several packets; `first` is the first row's sequence number, the others follow it."""

    def seal_layout(self, layouts: RowLayouts, layout: RowLayout, count: int, last: int, first: int) -> None:
        """Seal the first `count` rows of a layout, the last one of `last` octets; `first` as above."""

    def aead_context(self, spi: int) -> AeadContext | None:
        """What seals this SA's packets in a multi-SA batch; None if the suite can't."""


class Opener(Protocol):
    """Decrypts under one SA's keys."""

    def open(self, row: memoryview, sequence: int) -> memoryview | None:
        """Decrypt a packet with this 64-bit sequence number in place; returns plaintext and trailer.

        None if the ICV is wrong or the length is impossible; the packet is destroyed in either case.
        """

    def open_layout(self, layouts: RowLayouts, layout: RowLayout, sequences: Sequence[int]) -> list[int]:
        """Open as many rows of a layout, all of full length; returns the indices of those that failed."""

    def aead_context(self, spi: int) -> AeadContext | None:
        """What opens this SA's packets in a multi-SA batch; None if the suite can't."""


def sealer(suite: Suite, keys: bytes, esn: bool) -> Sealer:
    """The sealer of one SA. `keys`: encryption key (with salt), integrity key. Raises ValueError for its
    length."""
    encr_key, integ_key = _split(suite, keys)
    if suite.integ is not None:
        return _CbcSealer(suite.integ, encr_key, integ_key, esn)
    return _AeadSealer(suite, encr_key, esn)


def opener(suite: Suite, keys: bytes, esn: bool) -> Opener:
    """The opener of one SA. `keys`: encryption key (with salt), integrity key. Raises ValueError for its
    length."""
    encr_key, integ_key = _split(suite, keys)
    if suite.integ is not None:
        return _CbcOpener(suite.integ, encr_key, integ_key, esn)
    if suite.icv_length < 16:
        return _ShortTagOpener(suite, encr_key, esn)
    return _AeadOpener(suite, encr_key, esn)


def _split(suite: Suite, keys: bytes) -> tuple[bytes, bytes]:
    if len(keys) != suite.key_length:
        raise ValueError(f"{suite} takes {suite.key_length} octets of keys, not {len(keys)}")
    return keys[: suite.encr_key_length], keys[suite.encr_key_length :]


def _aead(suite: Suite, key: bytes) -> AESGCM | ChaCha20Poly1305:
    return ChaCha20Poly1305(key) if suite.encr == CHACHA20_POLY1305 else AESGCM(key)


def exhaust(calls: Iterable[object]) -> None:
    """Run all calls of a `map` and keep no result: the fastest loop in Python."""
    deque(calls, maxlen=0)


def open_each(call: Callable[..., object], columns: Sequence[Sequence[object]]) -> list[int]:
    """Call once for each row of `columns`, as many as the first one has; returns the rows whose ICV was
    wrong."""
    failed: list[int] = []
    at, count = 0, len(columns[0])
    while at < count:
        done: list[object] = []
        try:
            done.extend(map(call, *([column[at:] for column in columns] if at else columns)))
            break
        except InvalidTag:
            at += len(done)
            failed.append(at)
            at += 1
    return failed


AEAD_START = ESP_HEADER + 8  # where the ciphertext begins, behind an IV of 8
FULL_ICV = 16  # of an AEAD


def _aad(row: memoryview, sequence: int) -> bytes:
    """SPI and sequence number, the latter in 64 bits because of ESN (RFC 4106 5, RFC 7634 2.1); else it is
    the ESP header as it stands."""
    return bytes(row[:4]) + sequence.to_bytes(8, "big")


class _AeadSealer:
    """AES-GCM and ChaCha20-Poly1305. The IV is the sequence number, so that neither repeats alone."""

    __slots__ = ("_aead", "_esn", "_icv", "_salt")
    __reduce__ = refuse_copy

    def __init__(self, suite: Suite, key: bytes, esn: bool) -> None:
        self._aead = _aead(suite, key[:-SALT])
        self._salt = key[-SALT:]
        self._icv = suite.icv_length
        self._esn = esn

    def seal(self, row: memoryview, sequence: int) -> None:
        icv = self._icv
        iv = sequence.to_bytes(8, "big")
        row[ESP_HEADER:AEAD_START] = iv
        aad = _aad(row, sequence) if self._esn else row[:ESP_HEADER]
        body = row[AEAD_START:]
        if icv == 16:
            self._aead.encrypt_into(self._salt + iv, body[:-icv], aad, body)
        else:
            body[:] = self._aead.encrypt(self._salt + iv, body[:-icv], aad)[: len(body)]

    def seal_rows(self, rows: Sequence[memoryview], first: int) -> None:
        for sequence, row in enumerate(rows, first):
            self.seal(row, sequence)

    def seal_layout(self, layouts: RowLayouts, layout: RowLayout, count: int, last: int, first: int) -> None:
        full = count - (last < layout.stride)
        if self._icv < 16:
            self.seal_rows(layout.rows[:full], first)
        elif full:
            numbers = STEPS[:full] + np.uint64(first)
            layouts.set_salt(self._salt)
            layouts.nonce_ivs[:full] = numbers
            layout.ivs[:full] = numbers
            aad = layout.esp_headers
            if self._esn:
                layouts.aad_rows[:full, :4] = layout.array[0, :4]
                layouts.aad_rows[:full, 4:].view(BE64)[:, 0] = numbers
                aad = layouts.aad
            texts, bodies = layout.plaintexts, layout.ciphertexts
            exhaust(map(self._aead.encrypt_into, layouts.nonces[:full], texts, aad, bodies))
        if full < count:
            self.seal(layout.rows[full][:last], first + full)

    def aead_context(self, spi: int) -> AeadContext | None:
        if self._icv < 16:
            return None
        return AeadContext(spi.to_bytes(4, "big") + self._salt, self._aead.encrypt_into, self._esn)


class _AeadOpener:
    """AES-GCM and ChaCha20-Poly1305 with their full ICV of 16."""

    __slots__ = ("_aead", "_esn", "_salt")
    __reduce__ = refuse_copy

    def __init__(self, suite: Suite, key: bytes, esn: bool) -> None:
        self._aead = _aead(suite, key[:-SALT])
        self._salt = key[-SALT:]
        self._esn = esn

    def open(self, row: memoryview, sequence: int) -> memoryview | None:
        body = row[AEAD_START:]
        if len(body) < TRAILER + 16:
            return None
        nonce = self._salt + bytes(row[ESP_HEADER:AEAD_START])
        plaintext = body[:-16]
        aad = _aad(row, sequence) if self._esn else row[:ESP_HEADER]
        try:
            self._aead.decrypt_into(nonce, body, aad, plaintext)
        except InvalidTag:
            return None
        return plaintext

    def open_layout(self, layouts: RowLayouts, layout: RowLayout, sequences: Sequence[int]) -> list[int]:
        count = len(sequences)
        layouts.set_salt(self._salt)
        layouts.nonce_ivs[:count] = layout.ivs[:count]
        aad = layout.esp_headers
        if self._esn:
            layouts.aad_rows[:count, :4] = layout.array[:count, :4]
            layouts.aad_rows[:count, 4:].view(BE64)[:, 0] = sequences
            aad = layouts.aad
        columns = layouts.nonces[:count], layout.ciphertexts, aad, layout.plaintexts
        return open_each(self._aead.decrypt_into, columns)

    def aead_context(self, spi: int) -> AeadContext | None:
        return AeadContext(spi.to_bytes(4, "big") + self._salt, self._aead.decrypt_into, self._esn)


def _open_rows(opener: Opener, layout: RowLayout, sequences: Sequence[int]) -> list[int]:
    """`open_layout` of a suite that opens row by row."""
    opened = map(opener.open, layout.rows, sequences)
    return [index for index, plaintext in enumerate(opened) if plaintext is None]


class _ShortTagOpener:
    """AES-GCM with an ICV of 8 or 12."""

    __slots__ = ("_aes", "_esn", "_icv", "_salt")
    __reduce__ = refuse_copy

    def __init__(self, suite: Suite, key: bytes, esn: bool) -> None:
        self._aes = AES(key[:-SALT])
        self._salt = key[-SALT:]
        self._icv = suite.icv_length
        self._esn = esn

    def open(self, row: memoryview, sequence: int) -> memoryview | None:
        body = row[AEAD_START:]
        if len(body) < TRAILER + self._icv:
            return None
        nonce = self._salt + bytes(row[ESP_HEADER:AEAD_START])
        tag = bytes(body[-self._icv :])
        context = Cipher(self._aes, GCM(nonce, tag, min_tag_length=self._icv)).decryptor()
        aad = _aad(row, sequence) if self._esn else row[:ESP_HEADER]
        context.authenticate_additional_data(aad)
        plaintext = body[: -self._icv]
        decrypted = context.update(plaintext)
        try:
            context.finalize()
        except InvalidTag:
            return None
        plaintext[:] = decrypted
        return plaintext

    def open_layout(self, layouts: RowLayouts, layout: RowLayout, sequences: Sequence[int]) -> list[int]:
        return _open_rows(self, layout, sequences)

    def aead_context(self, spi: int) -> AeadContext | None:
        return None


_CBC_START = ESP_HEADER + 16


class _Authenticator:
    """HMAC over a packet, and over the high half of its sequence number with ESN (RFC 4303 2.2.1)."""

    __slots__ = ("_esn", "_keyed", "_length")
    __reduce__ = refuse_copy

    def __init__(self, integ: int, key: bytes, esn: bool) -> None:
        _, digest, _, self._length = HMACS[integ]
        self._keyed = hmac.new(key, digestmod=digest)
        self._esn = esn

    def icv(self, data: memoryview, sequence: int) -> bytes:
        context = self._keyed.copy()
        context.update(data)
        if self._esn:
            context.update((sequence >> 32).to_bytes(4, "big"))
        return context.digest()[: self._length]


class _CbcSealer:
    """AES-CBC with HMAC: encrypt, then authenticate. IVs are random (RFC 3602 3)."""

    __slots__ = ("_aes", "_authenticator", "_icv")
    __reduce__ = refuse_copy

    def __init__(self, integ: int, encr_key: bytes, integ_key: bytes, esn: bool) -> None:
        self._aes = AES(encr_key)
        self._authenticator = _Authenticator(integ, integ_key, esn)
        self._icv = HMACS[integ][3]

    def seal(self, row: memoryview, sequence: int) -> None:
        self._seal(row, sequence, os.urandom(16))

    def _seal(self, row: memoryview, sequence: int, iv: bytes) -> None:
        row[ESP_HEADER:_CBC_START] = iv
        plaintext = row[_CBC_START : -self._icv]
        plaintext[:] = Cipher(self._aes, CBC(iv)).encryptor().update(plaintext)
        row[-self._icv :] = self._authenticator.icv(row[: -self._icv], sequence)

    def seal_rows(self, rows: Sequence[memoryview], first: int) -> None:
        ivs = os.urandom(16 * len(rows))
        for index, row in enumerate(rows):
            self._seal(row, first + index, ivs[16 * index : 16 * index + 16])

    def seal_layout(self, layouts: RowLayouts, layout: RowLayout, count: int, last: int, first: int) -> None:
        self.seal_rows([*layout.rows[: count - 1], layout.rows[count - 1][:last]], first)

    def aead_context(self, spi: int) -> AeadContext | None:
        return None


class _CbcOpener:
    """AES-CBC with HMAC: verify, then decrypt."""

    __slots__ = ("_aes", "_authenticator", "_icv")
    __reduce__ = refuse_copy

    def __init__(self, integ: int, encr_key: bytes, integ_key: bytes, esn: bool) -> None:
        self._aes = AES(encr_key)
        self._authenticator = _Authenticator(integ, integ_key, esn)
        self._icv = HMACS[integ][3]

    def open(self, row: memoryview, sequence: int) -> memoryview | None:
        length = len(row) - _CBC_START - self._icv
        if length < 16 or length % 16:
            return None
        icv = self._authenticator.icv(row[: -self._icv], sequence)
        if not hmac.compare_digest(icv, row[-self._icv :]):
            return None
        plaintext = row[_CBC_START : -self._icv]
        iv = bytes(row[ESP_HEADER:_CBC_START])
        plaintext[:] = Cipher(self._aes, CBC(iv)).decryptor().update(plaintext)
        return plaintext

    def open_layout(self, layouts: RowLayouts, layout: RowLayout, sequences: Sequence[int]) -> list[int]:
        return _open_rows(self, layout, sequences)

    def aead_context(self, spi: int) -> AeadContext | None:
        return None
