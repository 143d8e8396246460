"""Authenticates the initiator by EAP within IKE_AUTH (RFC 7296 2.16), also both ends by EAP alone (RFC 5998).

    IDi, [IDr,] SA, TS             ->
                                   <-  IDr, [CERT, AUTH,] EAP
    EAP                            ->
                                   <-  EAP        (as often as the method wants)
    EAP                            ->
                                   <-  EAP-Success
    AUTH                           ->
                                   <-  AUTH, SA, TS

Both last AUTH are made with the MSK, or with SK_p by methods that make no keys. EAP-Success proves nothing:
an initiator believes the responder by its certificate or secret, or by the keys of a method that is mutual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ikepy.config.identity import Identity
from ikepy.config.model import ANY_USER, AuthLocal, AuthRemote
from ikepy.crypto.auth import SignedOctets, psk_auth, same
from ikepy.crypto.secret import Secret
from ikepy.eap.packet import EapType, type_name
from ikepy.eap.server import ask_identity
from ikepy.eap.turns import Accepted, Refused, Say, Trust, Turn
from ikepy.errors import LocalMisuse
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth import eap_methods, ppk, words
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Pending, Received, Step, earlier
from ikepy.sa.auth.credentials import Presented, Untrusted, Verdict
from ikepy.sa.auth.eap_methods import Effort
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, NotifyType
from ikepy.wire.payloads import AuthPayload, EapPayload, NotifyPayload, Payload

MUTUAL = frozenset({EapType.TLS})  # RFC 5998 4 wants more than MSCHAPv2 gives
EAP_ONLY = NotifyPayload(NotifyType.EAP_ONLY_AUTHENTICATION)
NOT_ALONE = "it does not support EAP alone (RFC 5998), and local has auth = {!r}: give local another one"
OTHER_METHOD = "it authenticates by {}, and auth = {!r} is configured for it"
NO_EAP = "EAP ended without a word"
NO_AUTH = "no AUTH after EAP"
NO_KEY = "AUTH after EAP is not made with the key of EAP: somebody may be in between"
VERIFYING = 0.005  # seconds of a chain


@dataclass(frozen=True, slots=True)
class EapProver:
    """As initiator we answer the responder's EAP; as responder, EAP alone is our proof as well."""

    auth: AuthLocal
    remote: AuthRemote

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        if context.initiator:
            return More((), partial(self._begin, context))
        if context.known and not context.peer.eap_only:
            return Failed(NOT_ALONE.format(self.auth.eap), AuthenticationFault.METHOD)
        return Done()

    def credential(self, context: Context) -> str:
        return f"EAP identity {eap_methods.own_user(self.auth, context)}"

    def _begin(self, context: Context, message: Received) -> Step:
        peer = eap_methods.peer(self.auth, context, MUTUAL if self.remote.eap else None)
        if isinstance(peer, str):
            return Failed(peer, AuthenticationFault.USER)
        talk = _Talk(
            eap_methods.effort(self.auth.eap),
            partial(self._verify, context, message),
            partial(self._accepted, context),
        )
        return talk.hear(peer.receive, message)

    def _verify(self, context: Context, message: Received, trust: Trust[Turn]) -> Callable[[], Verdict]:
        """The EAP server's certificate has to be the AAA server's, or else the responder's."""
        identity = self.auth.aaa_id or message.remote_id
        return context.credentials.verify(self.remote, identity, Presented(trust.certificates))

    def _accepted(self, context: Context, accepted: Accepted, until: float | None) -> Step:
        if self.remote.eap and not _is_mutual(accepted):
            return Failed(eap_methods.WEAK.format(type_name(accepted.method)), AuthenticationFault.METHOD)
        following = partial(self._conclude, context, accepted, until)

        def prove(context: Context) -> Step:
            own = _auth(context, _keys(context, accepted)[0], context.octets)
            return More((own,), following)

        return ppk.named(context, prove)

    def _conclude(self, context: Context, accepted: Accepted, until: float | None, message: Received) -> Step:
        failed = _unproven(context.under(message.keys), accepted, message)
        if failed is not None:
            return failed
        remark = f"authenticated by {type_name(accepted.method)} as {words.user(accepted.user)}"
        return Done(remark=remark, mutual=_is_mutual(accepted), until=until)


@dataclass(frozen=True, slots=True)
class EapVerifier:
    """As responder we let the initiator prove itself by EAP; as initiator, EAP alone proves the responder."""

    auth: AuthRemote
    local: AuthLocal

    @property
    def mutual(self) -> bool:
        return True

    def asks(self, context: Context) -> tuple[Payload, ...]:
        return (EAP_ONLY,)

    def verify(self, context: Context, message: Received) -> Step:
        if context.initiator:
            raise LocalMisuse("a responder that is to be asked by EAP")
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is not None:
            why = OTHER_METHOD.format(words.auth_method(auth.method), self.auth.eap)
            return Failed(why, AuthenticationFault.METHOD)
        begin = eap_methods.server(self.auth, self.local, context)
        if isinstance(begin, str):
            return Failed(begin, AuthenticationFault.METHOD)
        identifier = context.random(1)[0]
        talk = _Talk(
            eap_methods.effort(self.auth.eap),
            partial(self._verify, context, None if self.auth.eap_id else message.remote_id),
            partial(self._accepted, context),
        )
        if self.auth.eap_id == ANY_USER:
            return talk.step(ask_identity(identifier, begin))
        return talk.run(partial(begin, self.auth.eap_id or str(message.remote_id), identifier))

    def _verify(
        self, context: Context, claimed: Identity | None, trust: Trust[Turn]
    ) -> Callable[[], Verdict]:
        """`claimed`: its IKE identity if that is the user: as text it could mean one of another type."""
        identity = claimed or Identity.of_user(trust.user)
        if identity is None:
            return lambda: Untrusted(f"{words.user(trust.user)} is no name of a user")
        job = context.credentials.verify(self.auth, identity, Presented(trust.certificates))
        return job if context.known else partial(_nobody, job)

    def _accepted(self, context: Context, accepted: Accepted, until: float | None) -> Step:
        if self.local.eap and not _is_mutual(accepted):
            return Failed(eap_methods.WEAK.format(type_name(accepted.method)), AuthenticationFault.METHOD)
        success = EapPayload(accepted.octets)
        return More((success,), partial(self._conclude, context, accepted, until))

    def _conclude(self, context: Context, accepted: Accepted, until: float | None, message: Received) -> Step:
        context = context.under(message.keys)
        failed = _unproven(context, accepted, message)
        if failed is not None:
            return failed
        own = _auth(context, _keys(context, accepted)[0], context.octets)
        user = accepted.granted.user or accepted.user
        remark = f"authenticated by {type_name(accepted.method)}: {words.user(user)}"
        return Done((own,), remark, eap_id=user, granted=accepted.granted, until=until)


@dataclass(frozen=True, slots=True)
class _Talk:
    """Carries the turns of one end in IKE_AUTH messages. `verify`: the job for a chain; `accepted`: what
    follows EAP-Success; `until`: as `Done` has it, of the chains so far."""

    effort: Effort
    verify: Callable[[Trust[Turn]], Callable[[], Verdict]]
    accepted: Callable[[Accepted, float | None], Step]
    until: float | None = None

    def hear(self, following: Callable[[bytes], Turn], message: Received) -> Step:
        eap = query.maybe(message.payloads, EapPayload)
        if eap is None:
            return Failed(NO_EAP, AuthenticationFault.METHOD)
        return self.run(partial(following, eap.data))

    def run(self, turn: Callable[[], Turn]) -> Step:
        """Take a turn, beside all else where it takes its time."""
        if self.effort.seconds == 0:
            return self.step(turn())
        return Pending(lambda: self.step(turn()), self.effort.seconds, self.effort.waits)

    def step(self, turn: Turn) -> Step:
        match turn:
            case Say(octets, following):
                return More((EapPayload(octets),), partial(self.hear, following))
            case Trust():
                return Pending(partial(self._verified, turn, self.verify(turn)), VERIFYING, waits=True)
            case Accepted():
                return self.accepted(turn, self.until)
            case Refused(octets, why, _):
                payloads = (EapPayload(octets),) if octets else ()
                return Failed(why, AuthenticationFault.USER, payloads)

    def _verified(self, turn: Trust[Turn], job: Callable[[], Verdict]) -> Step:
        verdict = job()
        if isinstance(verdict, Untrusted):
            return self.step(turn.then(verdict.why))
        talk = replace(self, until=earlier(self.until, verdict.until))
        return talk.step(turn.then(None))


def _nobody(job: Callable[[], Verdict]) -> Verdict:
    """For a peer that no connection is for: the same work, for nothing."""
    job()
    return Untrusted("no connection is for it")


def _keys(context: Context, accepted: Accepted) -> tuple[Secret, Secret]:
    """What our AUTH is made with, and the peer's."""
    if accepted.msk is not None:
        return accepted.msk, accepted.msk
    if context.sk_p is None:
        raise LocalMisuse("EAP without keys, and without SK_p")
    return context.sk_p


def _is_mutual(accepted: Accepted) -> bool:
    return accepted.msk is not None and accepted.method in MUTUAL


def _auth(context: Context, key: Secret, octets: SignedOctets) -> AuthPayload:
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(context.prf, key, octets))


def _unproven(context: Context, accepted: Accepted, message: Received) -> Failed | None:
    """Whether the peer's AUTH after EAP is wrong."""
    auth = query.maybe(message.payloads, AuthPayload)
    if auth is None:
        return Failed(NO_AUTH, AuthenticationFault.METHOD)
    expected = _auth(context, _keys(context, accepted)[1], message.octets)
    if auth.method != expected.method or not same(auth.data, expected.data):
        return Failed(NO_KEY, AuthenticationFault.NOT_PROVEN)
    return None
