"""Public values for KE payloads: real ones where ikepy has the method, else random ones of the right size.

No secret is ever derived: a probe that only asks needs none.
"""

from __future__ import annotations

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Random

# Octets: RFC 2409 6.1, 5114 2.1 to 2.5, 6954 2, 9385. The primes of the MODP groups among them begin with a
# set bit, so that a value that begins with 0 is below them.
_SIZES = {1: 96, 22: 128, 23: 256, 24: 256, 25: 48, 26: 56, 27: 56, 33: 64, 34: 128}
_MODP_768 = 1
_ML_KEM_512, _Q, _COEFFICIENTS, _RHO = 35, 3329, 2 * 256, 32


def public_value(group: int, random: Random) -> bytes:
    """What an initiator sends for `group`: 32 random octets where nothing is known of it."""
    if group in registry.supported():
        return registry.method(group).begin(random)().public
    if group == _ML_KEM_512:
        return _encapsulation_key(random)
    if group == _MODP_768:
        return (1 << 8 * _SIZES[group] - 2).to_bytes(_SIZES[group], "big")  # a power of its generator, 2
    return b"\0" + random(_SIZES.get(group, 32) - 1)


def _encapsulation_key(random: Random) -> bytes:
    """Reduced coefficients of 12 bits each, then rho (FIPS 203 5.1): passes the check of FIPS 203 7.2."""
    raw = random(2 * _COEFFICIENTS)
    numbers = [int.from_bytes(raw[n : n + 2], "big") % _Q for n in range(0, len(raw), 2)]
    packed = 0
    for place, number in enumerate(numbers):
        packed |= number << 12 * place
    return packed.to_bytes(_COEFFICIENTS * 12 // 8, "little") + random(_RHO)
