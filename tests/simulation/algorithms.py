"""The proposals, preshared keys and certificates that a run chooses from."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.exchange.network import PSK

from .sites import Options

KINDS = ("mldsa44", "mldsa65", "ed25519")  # of the certificates' keys

ALGORITHMS: list[tuple[list[str], list[tuple[str, ...]]]] = [
    (["aes128gcm16-prfsha256-x25519"], [("aes128gcm16",)]),
    (["aes128gcm16-prfsha256-x25519"], [("aes128gcm16-x25519",)]),
    # One end guesses the other's group wrong: INVALID_KE_PAYLOAD.
    (["aes128gcm16-prfsha256-x25519-ecp256", "aes128gcm16-prfsha256-ecp256"], [("aes128gcm16",)]),
    (["aes128gcm16-prfsha256-x25519"], [("aes128gcm16-x25519-ecp256",), ("aes128gcm16-ecp256",)]),
]

QUANTUM_SAFE: list[tuple[list[str], list[tuple[str, ...]]]] = [
    (["aes128gcm16-prfsha256-x25519-ke1_mlkem768"], [("aes128gcm16-x25519-ke1_mlkem768",)]),
    (["aes128gcm16-prfsha256-mlkem1024"], [("aes128gcm16-mlkem768-ke1_x25519",)]),
    # One end guesses the other's group wrong: INVALID_KE_PAYLOAD.
    (
        [
            "aes128gcm16-prfsha256-x25519-ecp256-ke1_mlkem768",
            "aes128gcm16-prfsha256-ecp256-ke1_mlkem768",
        ],
        [("aes128gcm16-x25519-ecp256-ke1_mlkem768",), ("aes128gcm16-ecp256-ke1_mlkem768",)],
    ),
    # Two more, one of which is for those that want it.
    (
        [
            "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke3_ecp256-ke3_none",
            "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_mlkem1024-ke3_ecp256",
        ],
        [
            ("aes128gcm16-x25519-ke1_mlkem768-ke2_mlkem1024",),
            ("aes128gcm16-x25519-ke1_mlkem768-ke2_mlkem1024",),
        ],
    ),
]
PPK = "5a" * 32


def quantum_safe(options: dict[str, Options], chance: random.Random) -> dict[str, Options]:
    """Additional key exchanges, and perhaps a PPK."""
    ike, esp = chance.choice(QUANTUM_SAFE)
    named = chance.random() < 0.5
    required = named and chance.random() < 0.5
    safe: dict[str, Options] = {}
    for n, (name, one) in enumerate(options.items()):
        known = named and (required or chance.random() < 0.8)
        words = f'ppk_id = "ppk1"\nppk_required = {str(required).lower()}' if known else ""
        safe[name] = replace(
            one,
            proposals=ike[n % len(ike)],
            esp_proposals=esp[n % len(esp)],
            ppk=words,
            ppk_key=PPK if known else "",
        )
    return safe


def signed(options: dict[str, Options], chance: random.Random) -> dict[str, Options]:
    """Certificates of one kind; their signatures may be larger than a datagram."""
    kind = chance.choice(KINDS)
    all_signed = {name: replace(one, signed=kind, authenticator=PSK) for name, one in options.items()}
    return quantum_safe(all_signed, chance) if chance.random() < 0.5 else all_signed
