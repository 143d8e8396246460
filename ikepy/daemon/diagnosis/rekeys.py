"""Says in words why a rekey was refused: what differs from the first offer, which the peer took.

RFC 7296 1.3.2 and 1.3.3. A child that comes with the IKE_SA has no key exchange of its own (1.2), so that an
offer of its rekey may be the first one with a group; and it asks for all configured selectors again, of which
the peer may have taken a part (2.9.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ikepy.config.model import Connection
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import Dated
from ikepy.daemon.diagnosis.refusals import notify_name, selectors, suites
from ikepy.sa.api.ends import Failure, KeyExchangeMismatch, Party, ProposalMismatch
from ikepy.sa.api.events import ChildRekeyFailed, IkeRekeyFailed
from ikepy.sa.auth.words import shortened
from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import NotifyType
from ikepy.wire.proposal import Proposal

_COMPARE = "Compare {entry}.esp_proposals and the lifetimes with the peer's; its log names the cause."
# What a refusal means beside what differs, and what to do about it; `entry`: the child's key path.
_MEANINGS: dict[int, tuple[str, str]] = {
    NotifyType.TS_UNACCEPTABLE: (
        "Some peers take nothing but the selectors in use for a rekey.",
        "Make {entry}.local_ts and remote_ts what is in use, mirrored at the peer.",
    ),
    NotifyType.NO_ADDITIONAL_SAS: (
        "The peer is at a limit, or makes no second SA in an IKE_SA, as minimal ones (RFC 7296 4).",
        "Raise the peer's limit, if it has one. After three refusals, or 30 s before the child expires, the "
        "IKE_SA is authenticated anew instead.",
    ),
    NotifyType.TEMPORARY_FAILURE: (
        "The peer is busy with these SAs, or can't carry the child now.",
        "If it stays so, look at the peer's log.",
    ),
}


def of_child_rekey(
    name: str, failed: Dated[ChildRekeyFailed], connection: Connection, *, up: bool
) -> Finding:
    """Why a child was not rekeyed. `up`: it still is; else it has expired."""
    event, at = failed.event, failed.at
    failure, entry = event.failure, f"connections.{connection.name}.children.{name}"
    what = f"The rekey of {name} failed: {_who(failure)}."
    if up:
        what += " It is tried again; traffic flows until the child expires."
    ours, theirs = _offered(connection, name), _theirs(failure)
    if not _is_about_suites(failure):
        meaning, do = _MEANINGS.get(failure.notify or 0, ("", _COMPARE))
        return Finding(
            Code.REKEY_REFUSED,
            Severity.ERROR,
            what,
            " ".join(filter(None, (*_differences(event, connection), meaning))),
            do.format(entry=entry),
            at=at,
        )
    if proposals.key_exchanges(event.child.proposal):
        return Finding(
            Code.REKEY_REFUSED,
            Severity.ERROR,
            what,
            f"The peer took {proposals.describe(event.child.proposal)} before, which is in use: its "
            "configuration has changed since, or it has no room for another child.",
            _COMPARE.format(entry=entry),
            at=at,
            ours=suites(ours),
            theirs=theirs,
        )
    # Nothing else of the proposals differs from those that the peer took with the IKE_SA.
    nothing = (
        "Our proposals have no key exchange: a peer that wants one takes a child without it only with the "
        "IKE_SA."
    )
    return Finding(
        Code.PFS,
        Severity.ERROR,
        what,
        f"A PFS mismatch. {' '.join(_other_suites(event, connection)) or nothing}",
        f"Give {entry}.esp_proposals the group that the peer has for PFS"
        f"{', or none if it has none' if _wants_group(ours) else ''}; its log names it.",
        at=at,
        ours=suites(ours),
        theirs=theirs,
    )


def of_ike_rekey(failed: Dated[IkeRekeyFailed], connection: Connection, *, up: bool) -> Finding:
    """Why the IKE_SA was not rekeyed. `up`: one still is; else it has expired."""
    event, at = failed.event, failed.at
    cause, in_use = event.failure.cause, event.sa.proposal
    again = "; it is authenticated anew" if event.retry_in is None else "; it is tried again"
    took = "" if in_use is None else f"The peer took {proposals.describe(in_use)} at first, which is in use. "
    return Finding(
        Code.REKEY_REFUSED,
        Severity.WARNING,
        f"The rekey of the IKE_SA failed: {_who(event.failure)}{again if up else ''}.",
        shortened(f"{took}{event.text}"),
        f"Compare connections.{connection.name}.proposals with the peer's; its log names the cause.",
        at=at,
        ours=suites(cause.ours) if isinstance(cause, ProposalMismatch) else (),
        theirs=_theirs(event.failure),
    )


def _who(failure: Failure) -> str:
    match failure.by:
        case Party.PEER:
            return f"the peer refused it, {notify_name(failure.notify)}"
        case Party.US:
            return f"we refused it, {notify_name(failure.notify)}"
        case Party.NOBODY:
            return "no answer came"


def _is_about_suites(failure: Failure) -> bool:
    return isinstance(failure.cause, ProposalMismatch | KeyExchangeMismatch)


def _theirs(failure: Failure) -> tuple[str, ...] | None:
    match failure.cause:
        case ProposalMismatch(theirs=theirs) if theirs is not None:
            return suites(theirs)
        case KeyExchangeMismatch(wanted=wanted):
            return (proposals.group_name(wanted),)
    return None


def _offered(connection: Connection, name: str) -> tuple[Proposal, ...]:
    """The ESP proposals of a child; none if it is not configured any more."""
    child = connection.children.get(name)
    return () if child is None else child.esp_proposals


def _wants_group(offered: Iterable[Proposal]) -> bool:
    return any(proposals.groups(offered))  # NONE is 0


def _differences(event: ChildRekeyFailed, connection: Connection) -> Iterator[str]:
    """What the rekey's offer has that the offer had not which the peer took; sentences."""
    found = False
    for sentence in (*_other_suites(event, connection), *_other_selectors(event, connection)):
        found = True
        yield sentence
    if not found:
        yield "Nothing in the rekey's offer differs from what the peer took at first."


def _other_suites(event: ChildRekeyFailed, connection: Connection) -> Iterator[str]:
    offered, in_use = _offered(connection, event.child.name), event.child.proposal
    if proposals.key_exchanges(in_use):
        return
    if _wants_group(offered):
        yield (
            f"In use is {proposals.describe(in_use)}, without a key exchange, as of each child that comes "
            f"with its IKE_SA; the rekey asks for {proposals.key_exchange_names(offered)}."
        )


def _other_selectors(event: ChildRekeyFailed, connection: Connection) -> Iterator[str]:
    child, in_use, sa = connection.children.get(event.child.name), event.child, event.sa
    if child is None:
        return
    own = [one.ip for one in sa.network.addresses] or [sa.path.local.address]
    local = child.local_selectors(*own)
    remote = child.remote_selectors(*(sa.network.leases or (sa.path.remote.address,)))
    if (frozenset(local), frozenset(remote)) != (frozenset(in_use.ts_local), frozenset(in_use.ts_remote)):
        asked, taken = selectors([(local, remote), (in_use.ts_local, in_use.ts_remote)])
        yield f"Of {asked}, which the rekey asks for, the peer took {taken} at first."
