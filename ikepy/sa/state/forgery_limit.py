"""How much an IKE_SA puts up with of what comes under its SPIs and is worth nothing (`worthless`)."""

from __future__ import annotations

from ikepy.sa.admission.rate_limit import Rate

TRACES = 10.0  # a second of an IKE_SA that are received nevertheless, and tell what is wrong with them
REPEATS = 10.0  # a second of an IKE_SA that are answered again, on its path and on all others together
UNPROTECTED = 20.0  # a second of an IKE_SA that are looked at, from its peer's address and from all others


class ForgeryLimit:
    """How much of it one IKE_SA puts up with."""

    def __init__(self) -> None:
        self._traces = Rate(TRACES)
        self._repeats = Rate(REPEATS), Rate(REPEATS)
        self._unprotected = Rate(UNPROTECTED), Rate(UNPROTECTED)

    def traced(self, now: float) -> bool:
        """Whether a worthless message may be received nevertheless, so that its reason is told."""
        return self._traces.allow(now)

    def repeated(self, expected: bool, now: float) -> bool:
        """Whether a request may be answered again; `expected`: it comes on the IKE_SA's path."""
        return self._repeats[expected].allow(now)

    def unprotected(self, expected: bool, now: float) -> bool:
        """Whether to look at one more message that is not protected; `expected`: it comes from the peer."""
        return self._unprotected[expected].allow(now)
