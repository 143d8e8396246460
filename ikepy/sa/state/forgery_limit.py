"""Rate limits for forged or replayed messages under the SPIs of an IKE_SA (`driver.forged_messages`)."""

from __future__ import annotations

from ikepy.sa.admission.rate_limit import Rate

# Each per second and IKE_SA.
EXPLANATIONS = 10.0  # worthless messages that are processed all the same, to log the reason
REPEATS = 10.0  # requests answered again, on its path and on all others together
UNPROTECTED = 20.0  # unprotected messages read, from its peer and from all others


class ForgeryLimit:
    """The limits of one IKE_SA."""

    def __init__(self) -> None:
        self._explanations = Rate(EXPLANATIONS)
        self._repeats = Rate(REPEATS), Rate(REPEATS)
        self._unprotected = Rate(UNPROTECTED), Rate(UNPROTECTED)

    def explains(self, now: float) -> bool:
        """Whether to process a worthless message all the same, so that the reason is logged."""
        return self._explanations.allow(now)

    def repeated(self, expected: bool, now: float) -> bool:
        """Whether to answer a repeated request again; `expected`: it came on the IKE_SA's path."""
        return self._repeats[expected].allow(now)

    def unprotected(self, expected: bool, now: float) -> bool:
        """Whether to read one more unprotected message; `expected`: it came from the peer's address."""
        return self._unprotected[expected].allow(now)
