"""The MODP primes are what their formulas say (RFC 2409 6.2, RFC 3526 sections 2 to 7)."""

import pytest

from ikepy.crypto.kex.modp_groups import GROUPS
from ikepy.wire.constants import KeGroup
from tests.key_exchanges import begin
from tests.unit.crypto.randomness import fixed, seeded

# Group, bits n, k: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + k)
FORMULAS = [
    (KeGroup.MODP_1024, 1024, 129093),
    (KeGroup.MODP_1536, 1536, 741804),
    (KeGroup.MODP_2048, 2048, 124476),
    (KeGroup.MODP_3072, 3072, 1690314),
    (KeGroup.MODP_4096, 4096, 240904),
    (KeGroup.MODP_6144, 6144, 929484),
    (KeGroup.MODP_8192, 8192, 4743158),
]


def pi_shifted(bits: int) -> int:
    """[2^bits pi], by Machin's formula."""
    guard = 64
    one = 1 << bits + guard

    def arctan_of_inverse(x: int) -> int:
        power = total = one // x
        sign, divisor = -1, 3
        while power:
            power //= x * x
            total += sign * (power // divisor)
            sign, divisor = -sign, divisor + 2
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> guard


@pytest.mark.parametrize(("group", "bits", "k"), FORMULAS)
def test_prime(group: KeGroup, bits: int, k: int) -> None:
    prime = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_shifted(bits - 130) + k)
    assert GROUPS[group].prime == prime
    assert GROUPS[group].size == bits // 8


@pytest.mark.parametrize(("group", "bits", "k"), FORMULAS[:3])
def test_public_value_is_a_power_of_two(group: KeGroup, bits: int, k: int) -> None:
    exchange = begin(group, seeded(bits))
    # Both p and (p-1)/2 are prime and 2 is a square: its powers form the subgroup of order (p-1)/2.
    prime = GROUPS[group].prime
    assert pow(int.from_bytes(exchange.public, "big"), (prime - 1) // 2, prime) == 1


@pytest.mark.parametrize(("group", "bits", "k"), FORMULAS)
def test_private_exponents(group: KeGroup, bits: int, k: int) -> None:
    """g^ir of two exponents known to the test. An exponent is the bytes drawn behind a leading one."""
    row = GROUPS[group]
    drawn_i, drawn_r = b"\0" * row.exponent_size, b"\x5a" * row.exponent_size
    initiator, responder = begin(group, fixed(drawn_i)), begin(group, fixed(drawn_r))
    i, r = int.from_bytes(b"\x01" + drawn_i, "big"), int.from_bytes(b"\x01" + drawn_r, "big")
    assert int.from_bytes(initiator.public, "big") == pow(2, i, row.prime)
    expected = pow(pow(2, r, row.prime), i, row.prime).to_bytes(bits // 8, "big")
    assert initiator.finish(responder.public).expose() == expected
    assert responder.finish(initiator.public).expose() == expected
