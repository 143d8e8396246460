"""Explains refusals: texts for our own log, never for the peer, that show what differed.

They may quote what an unauthenticated peer sent, so every text has a bounded length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.sa.api.ends import AuthenticationFailure, AuthenticationFault, Silence
from ikepy.sa.api.path import Path
from ikepy.sa.auth.words import identity, shortened
from ikepy.sa.exchange import authentication
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state.child_sa import texts
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import ADDITIONAL_KEY_EXCHANGES, ExchangeType, TransformType
from ikepy.wire.proposal import Proposal

SMALL = 1200  # octets of a message that needs no IP fragments on any usual path
MOST_NAMED = 3  # connections listed in one line
MOST_PROPOSALS, MOST_TRANSFORMS = 8, 32  # shown of one side's offer, and of each of its proposals

_TYPES = {
    TransformType.ENCR: "encryption",
    TransformType.INTEG: "integrity",
    TransformType.PRF: "PRF",
    TransformType.KE: "key exchange",
    TransformType.ESN: "ESN",
    **{t: f"additional key exchange {n}" for n, t in enumerate(ADDITIONAL_KEY_EXCHANGES, 1)},
}


def suites(offered: Iterable[Proposal]) -> str:
    """The proposals of one side, as charon prints them."""
    shown = (
        replace(one, transforms=one.transforms[:MOST_TRANSFORMS]) for one in islice(offered, MOST_PROPOSALS)
    )
    return shortened(", ".join(map(proposals.describe, shown)) or "nothing")


def nothing_in_common(theirs: Sequence[Proposal], ours: Sequence[Proposal]) -> str:
    """The proposals of both sides, after the transform types for which they have no algorithm in common."""
    differing = [
        name
        for type, name in _TYPES.items()
        if not _of_type(theirs, type) & _of_type(ours, type) and (type in _types(theirs) | _types(ours))
    ]
    what = f"no common {' nor '.join(differing)}; " if differing else ""
    return f"{what}the peer's: {suites(theirs)}; ours: {suites(ours)}"


def _types(offered: Sequence[Proposal]) -> set[int]:
    return {t.type for proposal in offered for t in proposal.transforms}


def _of_type(offered: Sequence[Proposal], type: TransformType) -> set[tuple[int, int | None]]:
    """The transforms of one type (ID, key length); a proposal without this type offers NONE (3.3.3)."""
    found: set[tuple[int, int | None]] = set()
    for proposal in offered:
        own = {(t.id, t.key_length) for t in proposal.transforms if t.type == type}
        found |= own or {(0, None)}
    return found


def selectors(of: Selectors) -> str:
    """A child's selectors: our side, then the peer's."""
    return shortened(f"{texts(of.local)} === {texts(of.remote)}")


def unlike(theirs: Selectors, ours: Iterable[Selectors]) -> str:
    """The selectors that the peer proposes, and those of our children; our side first in each."""
    own = shortened(", ".join(selectors(one) for one in ours))
    return f"the peer's: {selectors(theirs)}; ours: {own}"


def no_connection_for(path: Path) -> str:
    """Says that no connection has both addresses of the path."""
    return f"no connection has {path.local.address} in local_addrs and {path.remote.address} in remote_addrs"


def no_connection(
    candidates: Sequence[Connection], id_i: Identity, id_r: Identity | None, local: Identity
) -> str:
    """Says which of IDi and IDr no connection has. `local`: our identity where a connection names none."""
    by_name = [one for one in candidates if id_i.matches(one.remote.id)]
    by_own = [one for one in candidates if id_r is None or id_r.folded == (one.local.own_id or local).folded]
    told = []
    if not by_name:
        named = [f"{identity(one.remote.id)} ({one.name})" for one in candidates[:MOST_NAMED]]
        there = _some(named, len(candidates))
        told.append(f"IDi, the peer's {identity(id_i)}, is no remote.id; there are {there}")
    if id_r is not None and not by_own:
        named = [f"{identity(one.local.own_id or local)} ({one.name})" for one in candidates[:MOST_NAMED]]
        there = _some(named, len(candidates))
        told.append(f"IDr, {identity(id_r)} for us, is no local.id; there are {there}")
    if not told:
        told.append(
            f"no connection has both IDi {identity(id_i)} and IDr {identity(id_r)} with its proposals"
        )
    return "; ".join(told)


def _some(names: Sequence[str], of: int) -> str:
    more = f" and {of - len(names)} more" if of > len(names) else ""
    return ", ".join(names) + more


def silence(sa: IkeSa, now: float) -> tuple[Silence, str]:
    """Says which request got no response, and possible reasons."""
    request = next(iter(sa.window.outstanding.values()), None)
    remote = sa.path.remote
    if request is None or sa.established_at is not None:
        silent = now - sa.heard_at
        return Silence(None, silent), f"nothing authentic came from {remote} for {silent:.0f} s"
    octets, parts = sum(map(len, request.datagrams)), len(request.datagrams)
    silent = now - request.since
    since = f"for {silent:.0f} s"
    if not sa.has_keys:
        return Silence(ExchangeType.IKE_SA_INIT, silent, octets, parts), (
            f"nothing came from {remote} {since}; UDP port {remote.port} may be filtered on the way, "
            "the address may be wrong, or no IKE daemon listens there"
        )
    way = "in one packet" if parts == 1 else f"in {parts} fragments"
    hint = ""
    if parts == 1 and octets > SMALL:
        hint = "; IP fragments may be dropped on the way" + (
            ", see fragment_size" if sa.fragmentation else ", and the peer does not take IKE fragments"
        )
    elif remote.port != sa.connection.remote_port:
        hint = f"; UDP port {remote.port} may be filtered on the way"
    task = sa.tasks.awaiting(request.message_id)
    exchange = ExchangeType.IKE_AUTH if task is None else task.exchange
    text = f"{remote} answered IKE_SA_INIT but not {exchange.name} ({octets} octets {way}) {since}{hint}"
    return Silence(exchange, silent, octets, parts), text


def not_believed(sa: IkeSa) -> AuthenticationFailure:
    """The peer says no more than that we did not authenticate."""
    fault, remote_id = AuthenticationFault.NOT_SAID, sa.connection.remote.id
    return AuthenticationFailure(fault, sa.local_id, remote_id, _credential(sa))


def _credential(sa: IkeSa) -> str:
    """How the log calls what we authenticate with; "" if there is none."""
    context = authentication.context(sa, authentication.expected_id(sa))
    return authentication.authenticator(sa).credential(context)


def our_claim(sa: IkeSa) -> str:
    """The identities and the secret of our IKE_AUTH: AUTHENTICATION_FAILED does not say which was wrong."""
    connection = sa.connection
    asked = connection.remote.id
    id_r = "" if asked is None or asked.is_pattern else f", IDr {identity(asked)}"
    credential = _credential(sa)
    key = f", {credential}" if credential else ""
    hint = ""
    if sa.nat.local and connection.local.id is None:
        hint = "; a NAT gives us another address than this identity: set local.id"
    return f"for one of: IDi {identity(sa.local_id)}{id_r}{key}{hint}"
