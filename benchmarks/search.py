"""The highest rate at which nothing is lost (RFC 2544 26.1), in few trials."""

from __future__ import annotations

import math
from collections.abc import Callable

TRIALS = 24  # at most
SENDER = 0.9  # a sender that offers less than this share of what it was asked for can do no more


def highest(
    trial: Callable[[float], float | None], guess: float, *, factor: float, resolution: float
) -> float:
    """The highest rate offered in a trial that was passed, 0 if there was none.

    `trial` is given a rate and gives the rate that was really offered, or None where too much was lost. From
    `guess` on the rate is multiplied (or divided) by `factor` until one trial is passed and one is not; what
    lies between these two is halved until they are less than `resolution` (a ratio) apart.
    """
    best = low = 0.0
    high = math.inf
    rate = guess
    for _ in range(TRIALS):
        offered = trial(rate)
        if offered is None:
            high = min(high, rate)
        else:
            low, best = max(low, rate), max(best, offered)
            if offered < SENDER * rate:
                break
        if low and high < low * resolution:
            break
        if not low:
            rate = high / factor
        elif math.isinf(high):
            rate = low * factor
        else:
            rate = math.sqrt(low * high)
    return best
