"""Composes authentication of how we prove ourselves and how the peer must, in rounds (RFC 4739).

    one round                                          the initiator by EAP (RFC 7296 2.16)

    IDi, [CERT,] [CERTREQ,] [IDr,] AUTH ->             IDi, [CERTREQ,] [IDr] ->
                      <- IDr, [CERT,] AUTH                             <- IDr, [CERT,] AUTH, EAP
                                                       EAP ->
    and another one, which both announce                               <- EAP (success)
    by ANOTHER_AUTH_FOLLOWS beside AUTH                AUTH ->
                                                                       <- AUTH
    IDi, [CERT,] AUTH ->
                      <- [IDr, [CERT,] AUTH]

An end that has no further round sends a message without AUTH while the other one goes on. The caller sends
the ID payloads of the first round, the later ones are ours. Nothing here has a state: what is to be
remembered is captured in `More.following`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.eap.granted import NOTHING
from ikepy.errors import LocalMisuse
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth import words
from ikepy.sa.auth.authenticator import (
    Context,
    Done,
    Failed,
    Following,
    More,
    Prover,
    Received,
    Step,
    Verifier,
    after,
    earlier,
)
from ikepy.sa.message import query
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, IdPayload, NotifyPayload, Payload

FOLLOWS = NotifyPayload(NotifyType.ANOTHER_AUTH_FOLLOWS)
SUPPORTED = NotifyPayload(NotifyType.MULTIPLE_AUTH_SUPPORTED)
NO_MULTIPLE = "it supports one round of authentication alone (RFC 4739), and local2 or remote2 is configured"
TOO_FEW = "it authenticates once, and remote2 asks for a second time"
TOO_MANY = "it wants to authenticate once more, for which there is no remote2"


@dataclass(frozen=True, slots=True)
class LocalRound:
    """What we prove ourselves with in one round."""

    auth: AuthLocal
    prover: Prover


@dataclass(frozen=True, slots=True)
class RemoteRound:
    """What the peer must prove itself with in one round."""

    auth: AuthRemote
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class _Heard:
    """How far a round is as initiator. `going`: takes the peer's next message, for our proof, None: it is
    complete. `proven`: so is the peer's. `found`: what this showed. `follows`: it says that it authenticates
    once more. `first`: it has said nothing yet."""

    going: Following | None
    proven: bool
    found: Done
    follows: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Rounds:
    """An `Authenticator`: the first round has both, later ones one or both."""

    local: tuple[LocalRound, ...]
    remote: tuple[RemoteRound, ...]

    @property
    def several(self) -> bool:
        """Whether MULTIPLE_AUTH_SUPPORTED is to be said."""
        return len(self.local) > 1 or len(self.remote) > 1

    def credential(self, context: Context) -> str:
        return self.local[0].prover.credential(context)

    # -- as initiator ------------------------------------------------------------------------------

    def initiate(self, context: Context) -> Step:
        if self.several and not context.peer.multiple:
            return Failed(NO_MULTIPLE, AuthenticationFault.METHOD)
        return self._begin(context, 0, Done())

    def _begin(self, context: Context, number: int, found: Done) -> Step:
        """Our first message of a round."""
        context = self._ours(context, number)
        step: Step = Done()
        if number < len(self.local):
            step = self.local[number].prover.prove(context, None)
        return after(step, partial(self._send, context, number, found))

    def _send(self, context: Context, number: int, found: Done, ours: Done | More) -> Step:
        payloads = [*self._own_id(context, number), *ours.payloads]
        if number == 0:
            payloads += [one for each in self.remote for one in each.verifier.asks(context)]
            payloads += [SUPPORTED] if self.several else []
        if isinstance(ours, Done) and number + 1 < len(self.local):
            payloads.append(FOLLOWS)
        heard = _Heard(
            ours.following if isinstance(ours, More) else None,
            proven=number >= len(self.remote),
            found=found,
            first=number == 0,
        )
        if query.maybe(payloads, AuthPayload) is not None:
            context = replace(context, ppk=None)
        return More(tuple(payloads), partial(self._hear, context, number, heard))

    def _hear(self, context: Context, number: int, heard: _Heard, message: Received) -> Step:
        """The peer's answer: first its proof, before we go on with ours, which may tell it something."""
        context = context.under(message.keys)
        heard = replace(heard, follows=heard.follows or _follows(message))
        if heard.proven or self.remote[number].verifier.mutual:
            return self._go_on(context, number, heard, message)
        found = self._theirs(context, number, message)
        if isinstance(found, Failed):
            return found
        step = self.remote[number].verifier.verify(context, found)

        def verified(theirs: Done | More) -> Step:
            if isinstance(theirs, More):
                raise LocalMisuse("a verifier asks the responder for more")
            both = _both(heard.found, theirs)
            return self._go_on(context, number, replace(heard, proven=True, found=both), message)

        return after(step, verified)

    def _go_on(self, context: Context, number: int, heard: _Heard, message: Received) -> Step:
        if heard.going is None:
            return self._end(context, number, heard)
        if heard.first and heard.proven and query.notify(message.payloads, NotifyType.REDIRECT) is not None:
            return heard.found  # EAP is not worth while: it sends us elsewhere (RFC 5685 6)

        def went(ours: Done | More) -> Step:
            if isinstance(ours, Done):
                proven = heard.proven or ours.mutual
                both = _both(heard.found, ours)
                return self._end(context, number, replace(heard, proven=proven, found=both))
            last = query.maybe(ours.payloads, AuthPayload) is not None
            more = (FOLLOWS,) if last and number + 1 < len(self.local) else ()
            later = replace(context, ppk=None) if last else context
            heard_on = replace(heard, going=ours.following, first=False)
            following = partial(self._hear, later, number, heard_on)
            return More((*ours.payloads, *more), following)

        return after(heard.going(message), went)

    def _end(self, context: Context, number: int, heard: _Heard) -> Step:
        """A round is over for both."""
        if not heard.proven:
            return Failed("it has not proven its identity", AuthenticationFault.METHOD)
        failed = self._unexpected(number, follows=heard.follows)
        if failed is not None:
            return failed
        if number + 1 < max(len(self.local), len(self.remote)):
            return self._begin(context, number + 1, heard.found)
        context.secrets.succeeded(context.local_id, context.remote_id)
        return heard.found

    # -- as responder ------------------------------------------------------------------------------

    def respond(self, context: Context, message: Received) -> Step:
        return self._take(replace(context, peer=context.peer.and_in(message.payloads)), 0, Done(), message)

    def _take(self, context: Context, number: int, found: Done, message: Received) -> Step:
        """The peer's first message of a round."""
        if self.several and not context.peer.multiple and context.known:
            return Failed(NO_MULTIPLE, AuthenticationFault.METHOD)
        context = self._ours(context.under(message.keys), number)
        claimed = self._theirs(context, number, message)
        if isinstance(claimed, Failed):
            return claimed
        step: Step = Done()
        if number < len(self.remote):
            step = self.remote[number].verifier.verify(context, claimed)
        return after(step, partial(self._prove, context, number, found, claimed))

    def _prove(
        self,
        context: Context,
        number: int,
        found: Done,
        message: Received,
        theirs: Done | More,
    ) -> Step:
        """Our proof goes with the first response of a round, also if the peer's takes longer."""
        proof: Step = Done()
        if number < len(self.local):
            proof = self.local[number].prover.prove(context, theirs)

        def proved(ours: Done | More) -> Step:
            if isinstance(ours, More):
                raise LocalMisuse("a responder's proof takes several messages")
            payloads = [*self._own_id(context, number), *ours.payloads]
            payloads += [FOLLOWS] if number + 1 < len(self.local) else []
            return self._respond(context, number, found, tuple(payloads), message, theirs)

        return after(proof, proved)

    def _respond(
        self,
        context: Context,
        number: int,
        found: Done,
        own: tuple[Payload, ...],
        message: Received,
        theirs: Done | More,
        id_i: IdPayload | None = None,
    ) -> Step:
        payloads = (*own, *theirs.payloads)
        if isinstance(theirs, More):
            if id_i is None and number:
                id_i = query.identity(message.payloads, PayloadType.ID_I)
            going = partial(self._go_on_responding, context, number, found, theirs.following, id_i)
            return More(payloads, going)
        found = _both(found, theirs)
        failed = self._unexpected(number, follows=_follows(message))
        if failed is not None:
            return failed
        if number + 1 < max(len(self.local), len(self.remote)):
            return More(payloads, partial(self._take, context, number + 1, found))
        return replace(found, payloads=payloads)

    def _go_on_responding(
        self,
        context: Context,
        number: int,
        found: Done,
        following: Following,
        id_i: IdPayload | None,
        message: Received,
    ) -> Step:
        """`id_i`: with which the peer began this round, if that is not the first one."""
        context = context.under(message.keys)
        if id_i is not None and context.peer_octets is not None:
            identity = Identity(id_i.id_type, id_i.data)
            message = replace(message, remote_id=identity, octets=context.peer_octets(id_i))
        step = following(message)
        return after(step, lambda theirs: self._respond(context, number, found, (), message, theirs, id_i))

    # -- identities --------------------------------------------------------------------------------

    def _ours(self, context: Context, number: int) -> Context:
        """With our identity of a round: of the first unless it has one of its own."""
        own = self.local[number].auth.own_id if 0 < number < len(self.local) else None
        if own is None or context.own_octets is None:
            return context
        return replace(context, local_id=own, octets=context.own_octets(own))

    def _own_id(self, context: Context, number: int) -> list[Payload]:
        """Our ID payload of a later round."""
        if not 0 < number < len(self.local):
            return []
        type = PayloadType.ID_I if context.initiator else PayloadType.ID_R
        return [IdPayload(type, context.local_id.id_type, context.local_id.data)]

    def _theirs(self, context: Context, number: int, message: Received) -> Received | Failed:
        """The message with the peer's identity of a round, which must be the one that is configured."""
        if not 0 < number < len(self.remote):
            return message
        payload = query.identity(
            message.payloads, PayloadType.ID_R if context.initiator else PayloadType.ID_I
        )
        if payload is not None and context.peer_octets is not None:
            identity = Identity(payload.id_type, payload.data)
            message = replace(message, remote_id=identity, octets=context.peer_octets(payload))
        wanted = self.remote[number].auth.id
        if not message.remote_id.matches(wanted):
            return Failed(
                f"its second identity {words.identity(message.remote_id)} is not {words.identity(wanted)}",
                AuthenticationFault.OTHER_IDENTITY,
            )
        return message

    def _unexpected(self, number: int, *, follows: bool) -> Failed | None:
        """Refuse a peer that authenticates more or less often than is configured."""
        wanted = number + 1 < len(self.remote)
        if follows == wanted:
            return None
        return Failed(TOO_FEW if wanted else TOO_MANY, AuthenticationFault.METHOD)


def _follows(message: Received) -> bool:
    return query.notify(message.payloads, NotifyType.ANOTHER_AUTH_FOLLOWS) is not None


def _joined(remarks: Sequence[str]) -> str:
    return "; ".join(filter(None, remarks))


def _both(one: Done, other: Done) -> Done:
    """What two rounds have found."""
    return Done(
        remark=_joined((one.remark, other.remark)),
        eap_id=other.eap_id or one.eap_id,
        granted=one.granted if other.granted == NOTHING else other.granted,
        until=earlier(one.until, other.until),
    )
