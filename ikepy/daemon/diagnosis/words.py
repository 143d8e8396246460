"""Numbers of packets in sentences."""

from __future__ import annotations


def packets(number: int) -> str:
    """ "1 packet", "2,000 packets"."""
    return f"{number:,} packet{'' if number == 1 else 's'}"


def were(number: int) -> str:
    """ "1 packet was", "2 packets were"."""
    return "was" if number == 1 else "were"
