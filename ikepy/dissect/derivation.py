"""Derives the keys of an IKE SA and its CHILD_SAs again, step by step, to show how they come about.

RFC 7296 2.13 to 2.18, RFC 9370 2.2.2, RFC 8784 3, RFC 9867 3.1. Each step has its formula, its inputs and its
output, all in the open: this is for labs, and for captures whose keys somebody gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.crypto.algorithms import encr_key_size, integ_key_size
from ikepy.crypto.auth import KEY_PAD
from ikepy.crypto.key_schedule import IkeSuite, Seed
from ikepy.crypto.prf import PrfFunction, prf
from ikepy.dissect import names

Inputs = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One computation: `name` = `formula` of these inputs (name and octets); `output`: octets."""

    name: str
    formula: str
    inputs: Inputs
    output: bytes
    note: str = ""
    rfc: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class SkKeys:
    """The seven secrets of RFC 7296 2.14, readable."""

    sk_d: bytes
    sk_ai: bytes
    sk_ar: bytes
    sk_ei: bytes
    sk_er: bytes
    sk_pi: bytes
    sk_pr: bytes


NAMES = ("SK_d", "SK_ai", "SK_ar", "SK_ei", "SK_er", "SK_pi", "SK_pr")
_USES = {
    "SK_d": "It derives the keys of CHILD_SAs and of the next IKE SA. It protects no message itself.",
    "SK_ai": "It authenticates the initiator's messages. An AEAD has none.",
    "SK_ar": "It authenticates the responder's messages. An AEAD has none.",
    "SK_ei": "It encrypts the initiator's messages. An AEAD's salt is its end.",
    "SK_er": "It encrypts the responder's messages. An AEAD's salt is its end.",
    "SK_pi": "It ties the initiator's identity to AUTH. So nobody can exchange the ID payload.",
    "SK_pr": "It ties the responder's identity to AUTH. So nobody can exchange the ID payload.",
}


# -- the IKE SA --------------------------------------------------------------------------------------------


def initial(suite: IkeSuite, secret: bytes, seed: Seed) -> tuple[list[Step], SkKeys]:
    """Of IKE_SA_INIT (RFC 7296 2.14); `secret` is g^ir. LocalMisuse if an algorithm is not supported."""
    function = prf(suite.prf)
    key = function.key_of_nonces(seed.nonce_i, seed.nonce_r)
    step = Step(
        "SKEYSEED",
        "prf(Ni | Nr, g^ir)",
        (("Ni", seed.nonce_i), ("Nr", seed.nonce_r), ("g^ir", secret)),
        function.compute(key, secret),
        "The nonces make it fresh, the key exchange makes it secret. Who only listens has the nonces alone.",
        "RFC 7296 2.14",
    )
    return _expanded(suite, step, seed)


def further(
    suite: IkeSuite, former: SkKeys, secret: bytes, seed: Seed, number: int = 1
) -> tuple[list[Step], SkKeys]:
    """After an additional key exchange before IKE_AUTH (RFC 9370 2.2.2); `seed` is IKE_SA_INIT's."""
    step = Step(
        f"SKEYSEED({number})",
        f"prf(SK_d({number - 1}), SK({number}) | Ni | Nr)",
        (
            (f"SK_d({number - 1})", former.sk_d),
            (f"SK({number})", secret),
            ("Ni", seed.nonce_i),
            ("Nr", seed.nonce_r),
        ),
        prf(suite.prf).compute(former.sk_d, secret, seed.nonce_i, seed.nonce_r),
        "One more key exchange goes into all keys. An attacker has to break every one of them.",
        "RFC 9370 2.2.2",
    )
    return _expanded(suite, step, seed)


def rekeyed(
    former_prf: int, former_sk_d: bytes, suite: IkeSuite, secrets: Sequence[bytes], seed: Seed
) -> tuple[list[Step], SkKeys]:
    """Of the IKE SA that replaces another one (RFC 7296 2.18, RFC 9370 2.2.4)."""
    inputs, data = _seed_of(secrets, seed.nonce_i, seed.nonce_r)
    step = Step(
        "SKEYSEED",
        f"prf(SK_d (old), {_formula_of(secrets)})",
        (("SK_d (old)", former_sk_d), *inputs),
        prf(former_prf).compute(former_sk_d, data),
        "The old SK_d vouches for who the peer is. A new key exchange makes the new keys independent.",
        "RFC 7296 2.18",
    )
    return _expanded(suite, step, seed)


def resumed(suite: IkeSuite, former_sk_d: bytes, seed: Seed) -> tuple[list[Step], SkKeys]:
    """Of an IKE SA that a ticket resumes (RFC 5723 5.1)."""
    step = Step(
        "SKEYSEED",
        'prf(SK_d (old), "Resumption" | Ni | Nr)',
        (("SK_d (old)", former_sk_d), ("Ni", seed.nonce_i), ("Nr", seed.nonce_r)),
        prf(suite.prf).compute(former_sk_d, b"Resumption", seed.nonce_i, seed.nonce_r),
        "The ticket holds the former SK_d. There is no key exchange, which is what makes it quick.",
        "RFC 5723 5.1",
    )
    return _expanded(suite, step, seed)


def with_ppk(suite: IkeSuite, former: SkKeys, ppk: bytes) -> tuple[list[Step], SkKeys]:
    """With a postquantum preshared key mixed in at IKE_AUTH (RFC 8784 3)."""
    function, steps, mixed = prf(suite.prf), list[Step](), dict[str, bytes]()
    for name in ("SK_d", "SK_pi", "SK_pr"):
        old = getattr(former, name.lower())
        new = function.plus(ppk, old, len(old)).expose()
        inputs = (("PPK", ppk), (f"{name}'", old))
        steps.append(Step(name, f"prf+(PPK, {name}')", inputs, new, _USES[name], "RFC 8784 3"))
        mixed[name.lower()] = new
    kept = {name: getattr(former, name) for name in ("sk_ai", "sk_ar", "sk_ei", "sk_er")}
    return steps, SkKeys(**mixed, **kept)


def _expanded(suite: IkeSuite, skeyseed: Step, seed: Seed) -> tuple[list[Step], SkKeys]:
    """The seven keys: prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) (RFC 7296 2.14)."""
    function = prf(suite.prf)
    integ, encr = integ_key_size(suite.integ), encr_key_size(suite.encr, suite.key_bits)
    sizes = (function.size, integ, integ, encr, encr, function.size, function.size)
    inputs = (
        ("SKEYSEED", skeyseed.output),
        ("Ni", seed.nonce_i),
        ("Nr", seed.nonce_r),
        ("SPIi", seed.spi_i),
        ("SPIr", seed.spi_r),
    )
    data = b"".join(octets for _, octets in inputs[1:])
    blocks, stream = _prf_plus(
        function, skeyseed.output, data, "Ni | Nr | SPIi | SPIr", sum(sizes), "SKEYSEED"
    )
    whole = Step(
        "{SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr}",
        "prf+(SKEYSEED, Ni | Nr | SPIi | SPIr)",
        inputs,
        stream,
        f"prf+ repeats {names.short(names.PRFS, suite.prf)} until there are {len(stream)} octets. The keys "
        "are cut from them in this order.",
        "RFC 7296 2.14",
    )
    return [skeyseed, *blocks, whole, *_cut(stream, sizes)], SkKeys(*_pieces(stream, sizes))


def _cut(stream: bytes, sizes: Sequence[int]) -> list[Step]:
    steps, at = list[Step](), 0
    for name, size, piece in zip(NAMES, sizes, _pieces(stream, sizes), strict=True):
        if size:
            formula = f"octets {at} to {at + size - 1} of it"
            steps.append(Step(name, formula, (), piece, _USES[name], "RFC 7296 2.14"))
        at += size
    return steps


def _pieces(stream: bytes, sizes: Sequence[int]) -> list[bytes]:
    found, at = list[bytes](), 0
    for size in sizes:
        found.append(stream[at : at + size])
        at += size
    return found


def _prf_plus(
    function: PrfFunction, key: bytes, data: bytes, words: str, size: int, of: str
) -> tuple[list[Step], bytes]:
    """prf+ block by block (RFC 7296 2.13)."""
    steps, stream, block = list[Step](), b"", b""
    for number in range(1, -(-size // function.size) + 1):
        former = () if number == 1 else ((f"T{number - 1}", block),)
        before = "" if number == 1 else f"T{number - 1} | "
        block = function.compute(key, block, data, bytes([number]))
        formula = f"prf({of}, {before}{words} | 0x{number:02x})"
        steps.append(Step(f"T{number}", formula, former, block, "", "RFC 7296 2.13"))
        stream += block
    return steps, stream[:size]


# -- CHILD_SAs ---------------------------------------------------------------------------------------------


def child(
    prf_id: int, sk_d: bytes, nonce_i: bytes, nonce_r: bytes, secrets: Sequence[bytes], encr: int, integ: int
) -> tuple[list[Step], tuple[bytes, bytes], tuple[bytes, bytes]]:
    """KEYMAT of a CHILD_SA (RFC 7296 2.17): steps, (encryption, integrity key) to the responder, and back.

    The initiator is the one of the exchange that creates it. `secrets`: of its own key exchanges (PFS).
    `encr`, `integ`: octets of the keys, with the salt. LocalMisuse if the PRF is not supported.
    """
    function = prf(prf_id)
    inputs, data = _seed_of(secrets, nonce_i, nonce_r)
    size = 2 * (encr + integ)
    formula = _formula_of(secrets)
    blocks, stream = _prf_plus(function, sk_d, data, formula, size, "SK_d")
    whole = Step(
        "KEYMAT",
        f"prf+(SK_d, {formula})",
        (("SK_d", sk_d), *inputs),
        stream,
        "The keys of the packets. With a key exchange of its own (PFS) they outlast the loss of SK_d.",
        "RFC 7296 2.17",
    )
    to_r, integ_r, to_i, integ_i = _pieces(stream, (encr, integ, encr, integ))
    cut = [
        Step("encryption key, initiator to responder", f"octets 0 to {encr - 1} of it", (), to_r),
        Step("integrity key, initiator to responder", f"the next {integ} octets", (), integ_r),
        Step("encryption key, responder to initiator", f"the next {encr} octets", (), to_i),
        Step("integrity key, responder to initiator", f"the next {integ} octets", (), integ_i),
    ]
    return [*blocks, whole, *(one for one in cut if one.output)], (to_r, integ_r), (to_i, integ_i)


def _seed_of(secrets: Sequence[bytes], nonce_i: bytes, nonce_r: bytes) -> tuple[Inputs, bytes]:
    """SK(0) | Ni | Nr | SK(1) | ... (RFC 9370 2.2.4)."""
    first = tuple(("g^ir", one) for one in secrets[:1])
    rest = tuple((f"SK({number})", one) for number, one in enumerate(secrets[1:], 1))
    inputs = (*first, ("Ni", nonce_i), ("Nr", nonce_r), *rest)
    return inputs, b"".join(octets for _, octets in inputs)


def _formula_of(secrets: Sequence[bytes]) -> str:
    return " | ".join(name for name, _ in _seed_of(secrets, b"", b"")[0])


# -- AUTH --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Covered:
    """What AUTH of one end covers: its IKE_SA_INIT message, the other end's nonce, its ID payload without the
    generic header, with its own SK_p; `int_auth`: what IKE_INTERMEDIATE adds (RFC 9242 3.3.2)."""

    prf_id: int
    message: bytes
    peer_nonce: bytes
    sk_p: bytes
    id_body: bytes
    int_auth: bytes = b""


def resumption_auth(covered: Covered) -> bytes:
    """AUTH of an end of a resumed IKE SA: prf(SK_p, signed octets) (RFC 5723 4.3.3)."""
    return prf(covered.prf_id).compute(covered.sk_p, signed_octets(covered))


def signed_octets(covered: Covered) -> bytes:
    """What AUTH signs, whatever the method (RFC 7296 2.15)."""
    maced = prf(covered.prf_id).compute(covered.sk_p, covered.id_body)
    return covered.message + covered.peer_nonce + maced + covered.int_auth


def auth(psk: bytes, covered: Covered, *, initiator: bool) -> list[Step]:
    """AUTH by a preshared key, of one end (RFC 7296 2.15). LocalMisuse if the PRF is not supported."""
    function, x, y = prf(covered.prf_id), "i" if initiator else "r", "r" if initiator else "i"
    message, peer_nonce = covered.message, covered.peer_nonce
    sk_p, id_body, int_auth = covered.sk_p, covered.id_body, covered.int_auth
    maced = function.compute(sk_p, id_body)
    octets = message + peer_nonce + maced + int_auth
    padded = function.compute(psk, KEY_PAD)
    more: Inputs = (("IntAuth", int_auth),) if int_auth else ()
    signed = (("message", message), (f"N{y}", peer_nonce), (f"MACedID{x}", maced), *more)
    return [
        Step(
            f"MACedID{x}",
            f"prf(SK_p{x}, ID{x})",
            ((f"SK_p{x}", sk_p), (f"ID{x}", id_body)),
            maced,
            "It ties the identity to the keys of this IKE SA.",
            "RFC 7296 2.15",
        ),
        Step(
            "signed octets",
            " | ".join(name for name, _ in signed),
            signed,
            octets,
            "What the proof covers: the end's own first message, the other end's nonce, and its identity.",
            "RFC 7296 2.15",
        ),
        Step(
            "padded key",
            'prf(PSK, "Key Pad for IKEv2")',
            (("PSK", psk),),
            padded,
            "So an implementation can keep this value in the place of the key itself.",
            "RFC 7296 2.15",
        ),
        Step(
            f"AUTH of the {'initiator' if initiator else 'responder'}",
            'prf(prf(PSK, "Key Pad for IKEv2"), signed octets)',
            (("padded key", padded), ("signed octets", octets)),
            function.compute(padded, octets),
            "If the AUTH payload has this value, its sender knows the key. Nobody else can have made it.",
            "RFC 7296 2.15",
        ),
    ]
