"""Authenticates a resumed IKE_SA: AUTH = prf(SK_px, <octets>), by keys that only its two ends can have
(RFC 5723 4.3.3). What was proven before is not proven again: identities and user are those of the ticket."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.config.identity import Identity
from ikepy.crypto.auth import resumption_auth, same
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import NOTHING, Granted
from ikepy.errors import LocalMisuse
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received, Step
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload

REMARK = "resumed"


@dataclass(frozen=True, slots=True)
class ByTicket:
    """`local_id`, `remote_id`: who authenticated each other when the ticket was granted. `eap_id`, `granted`,
    `until`: as `Done` has them."""

    local_id: Identity
    remote_id: Identity
    eap_id: str = ""
    granted: Granted = NOTHING
    until: float | None = None

    def initiate(self, context: Context) -> Step:
        return More((self._own(context),), lambda message: self._verify(context, message))

    def respond(self, context: Context, message: Received) -> Step:
        found = self._verify(context, message)
        return replace(found, payloads=(self._own(context),)) if isinstance(found, Done) else found

    def credential(self, context: Context) -> str:
        return "the ticket"

    def _own(self, context: Context) -> AuthPayload:
        ours, _ = _keys(context)
        return AuthPayload(AuthMethod.SHARED_KEY_MIC, resumption_auth(context.prf, ours, context.octets))

    def _verify(self, context: Context, message: Received) -> Step:
        if message.remote_id != self.remote_id or context.local_id != self.local_id:
            return Failed("it has another identity than in its ticket", AuthenticationFault.OTHER_IDENTITY)
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is None or auth.method != AuthMethod.SHARED_KEY_MIC:
            return Failed("it resumes, with a proof of another kind", AuthenticationFault.METHOD)
        _, theirs = _keys(context)
        if not context.known or not same(auth.data, resumption_auth(context.prf, theirs, message.octets)):
            return Failed("it does not have the keys of its ticket")
        return Done(remark=REMARK, eap_id=self.eap_id, granted=self.granted, until=self.until)


def _keys(context: Context) -> tuple[Secret, Secret]:
    """SK_p of ours and of the peer."""
    if context.sk_p is None:
        raise LocalMisuse("an IKE_SA without SK_pi and SK_pr")
    return context.sk_p
