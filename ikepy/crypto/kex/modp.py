"""Diffie-Hellman modulo a prime (RFC 3526, RFC 6989 2.1).

By GMP: `cryptography` has deprecated finite field groups and will drop them.
"""

from __future__ import annotations

import gmpy2
from gmpy2 import mpz

from ikepy.crypto.kex.diffie_hellman import Derive, DiffieHellman
from ikepy.crypto.kex.modp_groups import GENERATOR, GROUPS, ModpGroup
from ikepy.wire.constants import KeGroup

# Key pair and g^ir, measured with `python -m benchmarks.kex` and rounded up.
_SECONDS = {
    KeGroup.MODP_1024: 0.0003,
    KeGroup.MODP_1536: 0.0006,
    KeGroup.MODP_2048: 0.0012,
    KeGroup.MODP_3072: 0.0035,
    KeGroup.MODP_4096: 0.007,
    KeGroup.MODP_6144: 0.018,
    KeGroup.MODP_8192: 0.036,
}


def _method(group: KeGroup, seconds: float) -> DiffieHellman:
    parameters = GROUPS[group]
    return DiffieHellman(
        group,
        seconds,
        parameters.size,
        parameters.exponent_size,
        lambda private: _key_pair(parameters, private),
        lambda public: 1 < int.from_bytes(public, "big") < parameters.prime - 1,
    )


def _key_pair(group: ModpGroup, drawn: bytes) -> tuple[bytes, Derive]:
    prime = mpz(group.prime)
    private = mpz(1 << 8 * len(drawn) | int.from_bytes(drawn, "big"))  # always as long: never 0 or 1

    def derive(peer_public: bytes) -> bytes:
        peer = int.from_bytes(peer_public, "big")
        return _power(peer, private, prime).to_bytes(group.size, "big")

    return _power(GENERATOR, private, prime).to_bytes(group.size, "big"), derive


def _power(base: int, private: mpz, prime: mpz) -> int:
    """Modular power in a time that does not depend on the exponent; releases the GIL."""
    with gmpy2.context(allow_release_gil=True):
        return int(gmpy2.powmod_sec(base, private, prime))


METHODS = tuple(_method(group, seconds) for group, seconds in _SECONDS.items())
