"""Sources of randomness whose output a test knows."""

import random
from collections.abc import Callable

Random = Callable[[int], bytes]


def fixed(data: bytes) -> Random:
    """Gives `data`, to a caller who asks for exactly so much."""

    def draw(size: int) -> bytes:
        assert size == len(data)
        return data

    return draw


def scalar(private_key: str) -> Random:
    """Makes the private key of an elliptic curve's key exchange the one given in hex.

    A scalar is 1 + (what is drawn mod (order - 1)).
    """
    number = int(private_key, 16) - 1
    return lambda size: number.to_bytes(size, "big")


def seeded(seed: int) -> Random:
    """A stream that is the same in every run."""
    return random.Random(seed).randbytes


def none(size: int) -> bytes:
    """For a caller who must not ask."""
    raise AssertionError(f"{size} random bytes were asked for")
