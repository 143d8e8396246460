"""Tells of several IKE_SAs with one peer: who began them, and what leaves one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ikepy.config.model import Connection
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.traffic import SETTLED
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.auth.words import shortened


def several(established: Sequence[IkeSaSnapshot], connection: Connection, now: float) -> Iterator[Finding]:
    """A finding for each identity that has more than one, if that lasts: at a reauthentication two stand for
    a moment."""
    by_peer: defaultdict[str, list[IkeSaSnapshot]] = defaultdict(list)
    for sa in established:
        by_peer[str(sa.remote_id)].append(sa)
    for peer, sas in by_peer.items():
        age = max(0.0 if sa.established_at is None else now - sa.established_at for sa in sas)
        if len(sas) > 1 and age > SETTLED:
            ours = sum(sa.initiator for sa in sas)
            who, why = _who_began(ours, len(sas) - ours)
            yield Finding(
                Code.SEVERAL_IKE_SAS,
                Severity.WARNING,
                f"There are {len(sas)} IKE_SAs with {shortened(peer)}, {who}, the oldest {age:.0f} s ago.",
                why,
                _remedy(connection),
            )


def _who_began(ours: int, theirs: int) -> tuple[str, str]:
    if not ours:
        return "all begun by the peer", (
            "It begins anew while older ones stand: it has lost them without a delete, or takes one for each "
            "child."
        )
    if not theirs:
        return "all begun here", "Commands began them, or the peer does not take our deletes."
    return f"{ours} begun here, {theirs} by the peer", "Both ends start."


def _remedy(connection: Connection) -> str:
    if connection.unique == "replace":
        return "Look at the log: the older ones are to be replaced."
    return (
        f'Set connections.{connection.name}.unique = "replace" (it is "{connection.unique}"), so that a '
        "new one ends the older ones; or let one end only start."
    )
