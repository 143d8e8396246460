"""The Encrypted payload's cipher: round trips, tampering, padding, lengths and IVs, for every algorithm."""

import copy
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.algorithms import (
    SUPPORTED_ENCR,
    SUPPORTED_INTEG,
    encr_key_size,
    has_nonces,
    integ_key_size,
    is_aead,
)
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, LocalMisuse, WireError
from ikepy.wire.constants import Encr, Integ
from tests.unit.crypto.randomness import none, seeded

Algorithm = tuple[int, int | None, int | None]

ALGORITHMS: list[Algorithm] = [
    (encr, key_bits, integ)
    for encr, key_bits in sorted(SUPPORTED_ENCR, key=str)
    for integ in ([None] if is_aead(encr) else sorted(SUPPORTED_INTEG))
]
GCM: Algorithm = (Encr.AES_GCM_16, 128, None)
CTR: Algorithm = (Encr.AES_CTR, 128, Integ.HMAC_SHA2_256_128)
CBC: Algorithm = (Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128)
AEAD_ICVS = {
    Encr.AES_CCM_8: 8,
    Encr.AES_CCM_12: 12,
    Encr.AES_CCM_16: 16,
    Encr.AES_GCM_8: 8,
    Encr.AES_GCM_12: 12,
    Encr.AES_GCM_16: 16,
    Encr.CHACHA20_POLY1305: 16,
}
MAC_ICVS = {
    Integ.HMAC_SHA1_96: 12,
    Integ.AES_XCBC_96: 12,
    Integ.AES_CMAC_96: 12,
    Integ.HMAC_SHA2_256_128: 16,
    Integ.HMAC_SHA2_384_192: 24,
    Integ.HMAC_SHA2_512_256: 32,
}
PREFIX = bytes(range(32))
PAYLOADS = b"two payloads, or so"


def name(algorithm: Algorithm) -> str:
    encr, key_bits, integ = algorithm
    return f"{Encr(encr).name}_{key_bits}" + (f"-{Integ(integ).name}" if integ else "")


def cipher(algorithm: Algorithm, *, key: int = 7, first_iv: int = 0) -> SkCipher:
    encr, key_bits, integ = algorithm
    sk_e = Secret(bytes([key]) * encr_key_size(encr, key_bits))
    sk_a = Secret(bytes([key + 1]) * integ_key_size(integ))
    return SkCipher(encr, key_bits, integ, sk_e, sk_a, first_iv=first_iv)


each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=name)


@each_algorithm
def test_round_trip(algorithm: Algorithm) -> None:
    sender, receiver = cipher(algorithm), cipher(algorithm)
    for length in (*range(50), 1400, 65000):
        payloads = bytes([length % 251]) * length
        message = sender.seal(PREFIX, payloads, seeded(length))
        assert message.startswith(PREFIX)
        assert len(message) == len(PREFIX) + sender.body_length(length)
        assert receiver.open(message, len(PREFIX)) == payloads


@given(
    algorithm=st.sampled_from(ALGORITHMS),
    prefix=st.binary(max_size=100),
    payloads=st.binary(max_size=300),
    seed=st.integers(0, 2**32),
)
def test_round_trip_of_anything(algorithm: Algorithm, prefix: bytes, payloads: bytes, seed: int) -> None:
    message = cipher(algorithm).seal(prefix, payloads, seeded(seed))
    assert cipher(algorithm).open(message, len(prefix)) == payloads


@each_algorithm
def test_plaintext_does_not_show(algorithm: Algorithm) -> None:
    message = cipher(algorithm).seal(PREFIX, PAYLOADS, seeded(1))
    assert PAYLOADS[:8] not in message


@each_algorithm
def test_every_bit_is_protected(algorithm: Algorithm) -> None:
    message = cipher(algorithm).seal(PREFIX, PAYLOADS, seeded(1))
    receiver = cipher(algorithm)
    for position in range(len(message)):
        for bit in (0x01, 0x80):
            tampered = bytearray(message)
            tampered[position] ^= bit
            with pytest.raises(IntegrityError):
                receiver.open(bytes(tampered), len(PREFIX))
    assert receiver.open(message, len(PREFIX)) == PAYLOADS


@each_algorithm
def test_every_truncation_and_extension_is_noticed(algorithm: Algorithm) -> None:
    message = cipher(algorithm).seal(PREFIX, PAYLOADS, seeded(1))
    receiver = cipher(algorithm)
    for length in range(len(PREFIX), len(message)):
        with pytest.raises(IntegrityError):
            receiver.open(message[:length], len(PREFIX))
    for tail in (b"\0", bytes(16)):
        with pytest.raises(IntegrityError):
            receiver.open(message + tail, len(PREFIX))


@each_algorithm
def test_offset_where_no_body_fits(algorithm: Algorithm) -> None:
    message = cipher(algorithm).seal(PREFIX, PAYLOADS, seeded(1))
    for offset in (-len(message), -1, len(message) - 8, len(message), len(message) + 1):
        with pytest.raises(IntegrityError):
            cipher(algorithm).open(message, offset)


def test_aead_covers_the_offset_too() -> None:
    """What is associated data and what is IV differs. HMAC covers the same bytes whatever the offset."""
    message = cipher(GCM).seal(PREFIX, PAYLOADS, none)
    for offset in (0, 16, 31, 33, 36):
        with pytest.raises(IntegrityError):
            cipher(GCM).open(message, offset)


@each_algorithm
def test_other_keys_do_not_open(algorithm: Algorithm) -> None:
    message = cipher(algorithm).seal(PREFIX, PAYLOADS, seeded(1))
    with pytest.raises(IntegrityError):
        cipher(algorithm, key=8).open(message, len(PREFIX))


@given(algorithm=st.sampled_from(ALGORITHMS), message=st.binary(max_size=200), offset=st.integers(0, 210))
def test_garbage_is_refused(algorithm: Algorithm, message: bytes, offset: int) -> None:
    with pytest.raises(IntegrityError):
        cipher(algorithm).open(message, offset)


@pytest.mark.parametrize("key_bits", [128, 192, 256])
def test_short_tags_are_the_long_one_cut(key_bits: int) -> None:
    """RFC 5282 3.2: GCM's three forms differ in the length of the ICV alone."""
    long, middle, short = (
        cipher((encr, key_bits, None)).seal(PREFIX, PAYLOADS, none)
        for encr in (Encr.AES_GCM_16, Encr.AES_GCM_12, Encr.AES_GCM_8)
    )
    assert middle == long[:-4]
    assert short == long[:-8]


@each_algorithm
def test_layout(algorithm: Algorithm) -> None:
    """IV, then plaintext with the least padding, then ICV."""
    encr, _, integ = algorithm
    block = {Encr.TRIPLE_DES_CBC: 8, Encr.AES_CBC: 16, Encr.CAMELLIA_CBC: 16}.get(Encr(encr), 1)
    iv = 16 if block == 16 else 8
    icv = AEAD_ICVS[Encr(encr)] if integ is None else MAC_ICVS[Integ(integ)]
    for length in (0, 6, 7, 8, 15, 16, 31):
        padded = -(-(length + 1) // block) * block
        assert cipher(algorithm).body_length(length) == iv + padded + icv


@pytest.mark.parametrize("algorithm", [GCM, CTR], ids=name)
def test_ivs_of_nonces_count_up(algorithm: Algorithm) -> None:
    sender = cipher(algorithm)
    ivs = [sender.seal(PREFIX, PAYLOADS, none)[32:40] for _ in range(1000)]
    assert ivs == [number.to_bytes(8, "big") for number in range(1000)]


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if has_nonces(a[0])], ids=name)
def test_iv_of_a_nonce_never_wraps(algorithm: Algorithm) -> None:
    sender = cipher(algorithm, first_iv=2**64 - 2)
    for number in (2**64 - 2, 2**64 - 1):
        assert sender.seal(PREFIX, PAYLOADS, none)[32:40] == number.to_bytes(8, "big")
    for _ in range(3):
        with pytest.raises(LocalMisuse):
            sender.seal(PREFIX, PAYLOADS, none)


@pytest.mark.parametrize("first_iv", [-1, 2**64])
def test_first_iv_out_of_range(first_iv: int) -> None:
    with pytest.raises(LocalMisuse):
        cipher(GCM, first_iv=first_iv)


def test_opening_spends_no_iv() -> None:
    one = cipher(GCM)
    message = one.seal(PREFIX, PAYLOADS, none)
    one.open(message, 32)
    with pytest.raises(IntegrityError):
        one.open(message[:-1], 32)
    assert one.seal(PREFIX, PAYLOADS, none)[32:40] == (1).to_bytes(8, "big")


def test_cbc_iv_is_what_was_drawn() -> None:
    sender = cipher(CBC)
    random = seeded(5)
    first, second = sender.seal(PREFIX, PAYLOADS, random), sender.seal(PREFIX, PAYLOADS, random)
    same = seeded(5)
    assert (first[32:48], second[32:48]) == (same(16), same(16))
    assert first[48:] != second[48:]


@pytest.mark.parametrize("algorithm", [GCM, CTR, CBC], ids=name)
def test_is_neither_copied_nor_pickled(algorithm: Algorithm) -> None:
    one = cipher(algorithm)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(one)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=name)
def test_a_caller_may_choose_the_padding(algorithm: Algorithm) -> None:
    """Any length is right (RFC 7296 3.14); more than there is plaintext is malformed."""
    prefix, padded = b"prefix", b"payloads" + bytes(range(55)) + b"\x37"
    sealed = cipher(algorithm).seal_padded(prefix, padded, seeded(2))
    assert cipher(algorithm).open(sealed, len(prefix)) == b"payloads"
    broken = cipher(algorithm).seal_padded(prefix, padded[:-1] + b"\xff", seeded(2))
    with pytest.raises(WireError):
        cipher(algorithm).open(broken, len(prefix))


def seal_raw(plaintext: bytes) -> bytes:
    """A genuine CBC message whose last plaintext byte is what the caller wants.

    CBC works block by block: sealing a longer plaintext and cutting it gives the blocks of any plaintext.
    """
    assert len(plaintext) % 16 == 0
    message = cipher(CBC).seal(PREFIX, plaintext, seeded(1))[: 32 + 16 + len(plaintext)]
    return message + hmac.new(bytes([8]) * 32, message, hashlib.sha256).digest()[:16]


@pytest.mark.parametrize("pad_length", [0, 1, 15, 16, 47])
def test_any_padding_is_accepted(pad_length: int) -> None:
    """RFC 7296 3.14: any length up to 255, and no value is asked of the padding itself."""
    plaintext = (b"\xa5" * 47) + bytes([pad_length])
    assert cipher(CBC).open(seal_raw(plaintext), 32) == plaintext[: 47 - pad_length]


@pytest.mark.parametrize("pad_length", [48, 49, 255])
def test_more_padding_than_plaintext(pad_length: int) -> None:
    with pytest.raises(WireError):
        cipher(CBC).open(seal_raw(b"\xa5" * 47 + bytes([pad_length])), 32)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31])
def test_part_of_a_block_under_a_good_checksum(length: int) -> None:
    message = PREFIX + bytes(16 + length)
    message += hmac.new(bytes([8]) * 32, message, hashlib.sha256).digest()[:16]
    with pytest.raises(IntegrityError):
        cipher(CBC).open(message, 32)


@pytest.mark.parametrize(
    ("encr", "key_bits", "integ", "sk_e", "sk_a"),
    [
        (Encr.AES_GCM_16, 128, None, 16, 0),
        (Encr.AES_GCM_16, 128, None, 20, 32),
        (Encr.AES_GCM_16, 128, Integ.HMAC_SHA2_256_128, 20, 32),
        (Encr.AES_GCM_16, None, None, 20, 0),
        (Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, 20, 32),
        (Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, 16, 16),
        (Encr.AES_CBC, 128, None, 16, 0),
        (Encr.AES_CBC, 128, Integ.NONE, 16, 0),
        (Encr.AES_CBC, 128, 1, 16, 16),
        (Encr.AES_CBC, 128, Integ.AES_XCBC_96, 16, 20),
        (Encr.AES_CTR, 128, Integ.HMAC_SHA2_256_128, 16, 32),
        (Encr.AES_CTR, 128, None, 20, 0),
        (Encr.AES_CCM_16, 128, None, 20, 0),
        (Encr.NULL, None, Integ.HMAC_SHA2_256_128, 0, 32),
        (Encr.NULL_AES_GMAC, 128, None, 20, 0),
        (Encr.CHACHA20_POLY1305, 256, None, 36, 0),
        (Encr.TRIPLE_DES_CBC, None, None, 24, 0),
        (2, None, None, 8, 0),
    ],
)
def test_what_does_not_fit(encr: int, key_bits: int | None, integ: int | None, sk_e: int, sk_a: int) -> None:
    with pytest.raises(LocalMisuse):
        SkCipher(encr, key_bits, integ, Secret(bytes(sk_e)), Secret(bytes(sk_a)))


def test_aead_without_sk_a() -> None:
    """SK_a of an AEAD may be left out, be empty, and INTEG may be NONE."""
    sk_e = Secret(b"k" * 20)
    message = SkCipher(Encr.AES_GCM_16, 128, None, sk_e, None).seal(PREFIX, PAYLOADS, none)
    assert SkCipher(Encr.AES_GCM_16, 128, Integ.NONE, sk_e, Secret(b"")).open(message, 32) == PAYLOADS
