"""Tells of several IKE_SAs with one peer: who began them, and what leaves one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.traffic import SETTLED
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.auth.words import shortened
from ikepy.wire.constants import IdType


def several(established: Sequence[IkeSaSnapshot], connection: Connection, now: float) -> Iterator[Finding]:
    """A finding for each peer that has more than one, if that lasts: at a reauthentication two stand for a
    moment. With `unique = "never"` many peers may share an identity: nothing is said."""
    by_ends: defaultdict[object, list[IkeSaSnapshot]] = defaultdict(list)
    for sa in established if connection.unique != "never" else ():
        by_ends[_folded(sa.local_id), _folded(_peer(sa))].append(sa)
    for sas in by_ends.values():
        age = max(0.0 if sa.established_at is None else now - sa.established_at for sa in sas)
        if len(sas) > 1 and age > SETTLED:
            ours = sum(sa.initiator for sa in sas)
            peer = shortened(str(_peer(sas[0])))
            who, why = _who_began(ours, len(sas) - ours)
            yield Finding(
                Code.SEVERAL_IKE_SAS,
                Severity.WARNING,
                f"There are {len(sas)} IKE_SAs with {peer}, {who}, the oldest {age:.0f} s ago.",
                why,
                _remedy(connection),
            )


def _peer(sa: IkeSaSnapshot) -> Identity | None:
    """Its user, if EAP has authenticated one: as `unique` tells peers apart. Clients of the same private
    network may have one identity."""
    if not sa.eap_id:
        return sa.remote_id
    return Identity.of_user(sa.eap_id) or Identity(IdType.FQDN, sa.eap_id.encode())


def _folded(identity: Identity | None) -> Identity | None:
    return None if identity is None else identity.folded


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
