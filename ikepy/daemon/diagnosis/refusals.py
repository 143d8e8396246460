"""Says in words why an IKE_SA or a child did not come up: each failure that an event carries, as a finding.

Texts may quote what an unauthenticated peer sent: each has a bounded length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from itertools import islice

from esp.packet.selectors import Selector
from ikepy.config.model import Connection
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import Dated, Ended, Try
from ikepy.daemon.diagnosis.silence import of_silence
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    End,
    Failure,
    HalfOpenLimit,
    KeyExchangeMismatch,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import ChildSetUpFailed, ResponseIgnored
from ikepy.sa.auth.words import identity, shortened
from ikepy.sa.exchange.mismatch import MOST_PROPOSALS, MOST_TRANSFORMS
from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import ExchangeType, IdType, NotifyType
from ikepy.wire.proposal import Proposal

MOST_SELECTORS = 16  # children whose selectors are shown of one side


def suites(offered: Iterable[Proposal]) -> tuple[str, ...]:
    """The proposals of one side, one a line."""
    shown = (
        replace(one, transforms=one.transforms[:MOST_TRANSFORMS]) for one in islice(offered, MOST_PROPOSALS)
    )
    return tuple(shortened(proposals.describe(one)) for one in shown) or ("nothing",)


def selectors(sides: Iterable[tuple[tuple[Selector, ...], tuple[Selector, ...]]]) -> tuple[str, ...]:
    """Pairs of selectors, ours first, one a line."""
    return tuple(
        shortened(f"{' '.join(map(str, local))} === {' '.join(map(str, remote))}")
        for local, remote in islice(sides, MOST_SELECTORS)
    )


def notify_name(number: int | None) -> str:
    try:
        return "an error" if number is None else NotifyType(number).name
    except ValueError:
        return f"the error {number}"


def of_try(tried: Try, connection: Connection, ignored: Dated[ResponseIgnored] | None = None) -> Finding:
    """Why an IKE_SA did not come up. `ignored`: what came, and was no answer that we could use."""
    ours = tried.sa is not None and tried.sa.initiator
    failure = tried.failure
    match None if failure is None else failure.cause:
        case Silence() as silence if ignored is not None and silence.exchange is ExchangeType.IKE_SA_INIT:
            return of_ignored(ignored)
        case Silence() as silence:
            found = of_silence(silence, tried, connection)
        case ProposalMismatch() as cause:
            found = _of_ike_proposals(cause, tried, connection)
        case AuthenticationFailure() as cause:
            found = _of_authentication(cause, tried, connection, ours)
        case KeyExchangeMismatch() as cause:
            found = _of_key_exchange(cause)
        case HalfOpenLimit():
            found = Finding(
                Code.HALF_OPEN_LIMIT,
                Severity.WARNING,
                f"{tried.path.remote} began an IKE_SA, and was ended before it authenticated.",
                "Too many peers had begun and not authenticated.",
                "If these are your peers, raise daemon.init_limit_half_open; if not, somebody floods "
                "this gateway.",
            )
        case _:
            found = _of_other(tried, failure)
    return replace(found, at=tried.at)


def _of_ike_proposals(cause: ProposalMismatch, tried: Try, connection: Connection) -> Finding:
    ours, key = suites(cause.ours), f"connections.{connection.name}.proposals"
    if cause.theirs is None:
        return Finding(
            Code.IKE_PROPOSALS,
            Severity.ERROR,
            f"The peer {tried.path.remote.address} refused IKE_SA_INIT: NO_PROPOSAL_CHOSEN.",
            "It takes none of our IKE proposals, or has no connection for our address "
            f"{tried.path.local.address}. It does not tell which, nor what it would take.",
            f"Put what the peer is configured for into {key}; the peer's log shows both sides."
            + _of_pq(connection),
            ours=ours,
        )
    return Finding(
        Code.IKE_PROPOSALS,
        Severity.ERROR,
        f"We refused IKE_SA_INIT of {tried.path.remote.address}: NO_PROPOSAL_CHOSEN.",
        "No IKE proposal suits both ends.",
        f"Make {key} and the peer's proposals have one in common.{_of_pq(connection)}",
        ours=ours,
        theirs=suites(cause.theirs),
    )


def _of_pq(connection: Connection) -> str:
    """What `pq` may have to do with it: ML-KEM stands at the end of proposals, which are cut."""
    entry = f"connections.{connection.name}.pq"
    return {
        "require": f' {entry} = "require" insists on ML-KEM; if the peer has none, "prefer" does without it.',
        "off": f' {entry} = "off" takes no ML-KEM; if the peer insists on it, "prefer" has it.',
    }.get(connection.pq, "")


def _of_key_exchange(cause: KeyExchangeMismatch) -> Finding:
    wanted = proposals.group_name(cause.wanted)
    return Finding(
        Code.KEY_EXCHANGE,
        Severity.ERROR,
        f"The peer asks for key exchange {wanted} (INVALID_KE_PAYLOAD), which we don't allow.",
        "Our proposals have no such group; the peer takes no other.",
        f"Add {wanted} to our proposals, or one of ours to the peer's.",
        ours=(proposals.key_exchange_names(cause.ours),),
        theirs=(wanted,),
    )


def of_ignored(ignored: Dated[ResponseIgnored]) -> Finding:
    """Nothing authenticates such a response, so that it may be forged: the try goes on until its end."""
    event = ignored.event
    if isinstance(event.failure.cause, KeyExchangeMismatch):
        return replace(_of_key_exchange(event.failure.cause), at=ignored.at)
    return Finding(
        Code.REFUSED,
        Severity.ERROR,
        shortened(f"The peer's answers are of no use: {event.text}."),
        "They are against the protocol, or somebody forges them.",
        f"Look at the peer's log, and who answers at {event.sa.path.remote}.",
        at=ignored.at,
    )


def _of_authentication(
    cause: AuthenticationFailure, tried: Try, connection: Connection, ours: bool
) -> Finding:
    sa, local, remote = tried.sa, identity(cause.local_id), identity(cause.remote_id)
    where, entry = tried.path.remote.address, f"connections.{connection.name}"
    if cause.fault is AuthenticationFault.NOT_SAID:
        if sa is not None and sa.nat_local and connection.local.id is None:
            return Finding(
                Code.NAT_IDENTITY,
                Severity.ERROR,
                f"The peer {where} refused our identity {local}: AUTHENTICATION_FAILED.",
                "A NAT gives us another address than this identity, which is the address behind the NAT"
                f"{' (a private one)' if _is_private(cause) else ''}; the peer knows us by another.",
                f"Set {entry}.local.id to the identity that the peer is configured for.",
            )
        used = f", with the {cause.credential}" if cause.credential else ""
        return Finding(
            Code.AUTHENTICATION,
            Severity.ERROR,
            f"The peer {where} refused us: AUTHENTICATION_FAILED.",
            "The peer expects another identity, or does not believe our proof; it does not say which. "
            f"We said that we are {local}, and that it is to be {remote}{used}.",
            f"Compare {entry}.local.id and remote.id, and the secret, password or certificate, with what "
            "the peer has; its log names the cause.",
        )
    reason = shortened(cause.reason or "our log says why")
    if ours and cause.fault in (AuthenticationFault.NO_SECRET, AuthenticationFault.NO_CERTIFICATE):
        text = f"We can't authenticate to {where}, and ended the IKE_SA."
    else:
        whose = "The peer's" if ours else f"{where}:"
        text = f"{whose} authentication failed, and we refused it."
    fault = {
        AuthenticationFault.WRONG_SECRET: (
            f"Its identity {remote} is known; its secret is another one than ours.",
            "Write the same secret on both ends; mind blanks, quotes and 0x/0s prefixes.",
        ),
        AuthenticationFault.NO_SECRET: (
            f"There is no secret for {remote} and our identity {local}.",
            "Add both identities to the ids of a [secrets] entry.",
        ),
        AuthenticationFault.NO_CONNECTION: (
            f"No connection has the identity {remote} for the peer and {local} for us: {reason}.",
            f"Set {entry}.remote.id and local.id to what the peer says, or correct the peer's.",
        ),
        AuthenticationFault.OTHER_IDENTITY: (
            f"It says that it is {remote}, which is not what {entry}.remote.id has.",
            f"Set {entry}.remote.id to that, or correct the peer's own identity.",
        ),
        AuthenticationFault.USER: (
            f"EAP came to nothing with the identity {remote}: {reason}.",
            "Correct the user's password or certificate at the end that has the wrong one: "
            "[secrets.eap-NAME], or the RADIUS server.",
        ),
        AuthenticationFault.METHOD: (
            f"It authenticates by another method than {entry}.remote.auth asks for: {reason}.",
            f"Configure the same methods on both ends: its own is our {entry}.remote.auth.",
        ),
        AuthenticationFault.NO_CERTIFICATE: (
            f"We can't sign as {local}: {reason}.",
            f"Look at {entry}.local (id, certs), at [secrets], and the directory private; ikepy check tells "
            "what does not fit.",
        ),
        AuthenticationFault.UNTRUSTED: (
            f"The certificate or key of {remote} is not to be believed: {reason}.",
            f"If the peer is right, correct {entry}.remote (cacerts, certs, pubkeys, auth, revocation) or "
            "what is in x509ca and x509crl; else the peer needs another certificate.",
        ),
        AuthenticationFault.WRONG_SIGNATURE: (
            f"The signature of {remote} is not one of the key in its certificate, or of another kind than "
            f"{entry}.remote.auth permits: {reason}.",
            "Look at the certificate and private key that the peer has.",
        ),
        AuthenticationFault.NOT_UNIQUE: (
            f"{remote} has an IKE_SA already, and unique = keep.",
            f'End the older one (ikepy terminate), or set {entry}.unique = "replace".',
        ),
        AuthenticationFault.NOT_HEARD: (
            f"{remote} has failed too often, and is not heard for a while.",
            "Mend its secret or identity first: what failed before stands in the log.",
        ),
    }
    why, do = fault.get(cause.fault, ("It did not prove its identity.", "Look at our log."))
    return Finding(Code.AUTHENTICATION, Severity.ERROR, text, why, do)


def _is_private(cause: AuthenticationFailure) -> bool:
    of = cause.local_id
    if of is None or of.id_type not in (IdType.IPV4_ADDR, IdType.IPV6_ADDR):
        return False
    return ip_address(of.data).is_private


def _of_other(tried: Try, failure: Failure | None) -> Finding:
    if failure is None or (failure.notify is None and failure.by is not Party.PEER):
        who = "we ended it"
    elif failure.by is Party.PEER:
        who = f"the peer refused it: {notify_name(failure.notify)}"
    else:
        who = f"we refused it: {notify_name(failure.notify)}"
    return Finding(
        Code.REFUSED,
        Severity.ERROR,
        f"An IKE_SA with {tried.path.remote.address} did not come up: {who}.",
        shortened(tried.text),
        _do_of_other(failure),
    )


def _do_of_other(failure: Failure | None) -> str:
    if failure is None:
        return ""
    if failure.notify == NotifyType.INTERNAL_ADDRESS_FAILURE:
        return "The peer's pool has no address left for us, as its log says: it is to be enlarged there."
    return "Look at the peer's log." if failure.by is Party.PEER else ""


def of_child(name: str, failed: Dated[ChildSetUpFailed], connection: Connection) -> Finding:
    """Why a child did not come up. `name` "": the peer's request fits none of ours."""
    event, at = failed.event, failed.at
    failure, entry = event.failure, f"connections.{connection.name}.children.{name or '<name>'}"
    who = "The peer" if failure.by is Party.PEER else "We"
    whose = f"the child {name}" if name else "the peer's request for a child"
    notify, cause = notify_name(failure.notify), failure.cause
    if isinstance(cause, SelectorMismatch):
        theirs = None if cause.theirs is None else selectors((cause.theirs,))
        return Finding(
            Code.SELECTORS,
            Severity.ERROR,
            f"{who} refused {whose}: {notify}.",
            "The traffic selectors don't fit (here: ours === the peer's networks)."
            + (
                " Some peers take one pair of networks a child, or refuse 0.0.0.0/0."
                if theirs is None
                else ""
            ),
            f"Make {entry}.local_ts and remote_ts what the peer has, mirrored; with one pair only, "
            "a child for each.",
            at=at,
            ours=selectors(cause.ours),
            theirs=theirs,
        )
    if isinstance(cause, ProposalMismatch):
        return Finding(
            Code.CHILD_PROPOSALS,
            Severity.ERROR,
            f"{who} refused {whose}: {notify}.",
            "No ESP proposal suits both ends: encryption, integrity, key exchange (PFS) or ESN.",
            f"Make {entry}.esp_proposals and the peer's have one in common.",
            at=at,
            ours=suites(cause.ours),
            theirs=None if cause.theirs is None else suites(cause.theirs),
        )
    why, do = shortened(event.text), ""
    if failure.notify == NotifyType.NO_ADDITIONAL_SAS and failure.by is Party.PEER:
        why = (
            "The peer is at a limit, or makes no second child in an IKE_SA, as minimal ones (RFC 7296 4): "
            "where a child was rekeyed in vain and has expired, a new IKE_SA brings the next."
        )
        do = f"Raise the peer's limit; or: ikepy rekey --ike {connection.name} --reauth."
    elif failure.notify == NotifyType.INTERNAL_ADDRESS_FAILURE and failure.by is Party.US:
        pools = ", ".join(f"pools.{name}.addrs" for name in connection.pools[:MOST_SELECTORS])
        do = f"Give more addresses in {pools}; ikepy list-pools --leases shows who has those that there are."
    elif failure.notify == NotifyType.FAILED_CP_REQUIRED:
        do = f"Have the client ask for a virtual address, or remove connections.{connection.name}.pools."
        if failure.by is Party.PEER:
            do = f'Ask the peer for an address: connections.{connection.name}.vips = ["0.0.0.0"].'
    return Finding(Code.REFUSED, Severity.ERROR, f"{who} refused {whose}: {notify}.", why, do, at=at)


_ENDS = {
    End.TIMEOUT: "the peer did not answer any more (dead peer detection)",
    End.REFUSED: "the peer refused to go on with it",
    End.DELETED_BY_PEER: "the peer deleted it",
    End.RESTARTED: "the peer started anew (INITIAL_CONTACT)",
    End.EXPIRED: "its life was over before a rekey succeeded",
    End.ADDRESS_GONE: "our address is gone",
    End.FAULT: "an internal fault, see the log",
    End.DELETED: "it was deleted here",
    End.REPLACED: "another one replaced it",
    End.LOST_BY_PEER: "the peer has restarted, and proved that it does not know it any more (RFC 6290)",
    End.REDIRECTED: "its gateway, or we, sent the other to another gateway (REDIRECT)",
    End.REAUTHENTICATED: "it was authenticated anew",
}


def end_text(end: End) -> str:
    """Which end ended an IKE_SA, and why."""
    return _ENDS[end]


def of_end(ended: Ended, connection: Connection) -> Finding:
    """Why an IKE_SA that was up is not any more."""
    lived = "" if ended.lived is None else f" after {ended.lived:.0f} s"
    code = Code.PEER_RESTARTED if ended.end in (End.RESTARTED, End.LOST_BY_PEER) else Code.ENDED
    hint = {
        End.TIMEOUT: "Look whether the peer runs, and whether UDP 500 and 4500 still pass.",
        End.DELETED_BY_PEER: "The peer's log says why it did so: its idle timeout, its lifetime, or "
        "its operator.",
        End.EXPIRED: f"Compare connections.{connection.name}.rekey_time and proposals with the peer's.",
    }
    ours = ended.end in (End.DELETED, End.REPLACED, End.REAUTHENTICATED)
    severity = Severity.NOTE if ours else Severity.WARNING
    what = f"The IKE_SA ended{lived}: {end_text(ended.end)}."
    return Finding(code, severity, what, "", hint.get(ended.end, ""), at=ended.at)
