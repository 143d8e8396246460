"""Authenticates by a pre-shared key: AUTH with Shared Key MIC (RFC 7296 2.15).

After a secret was replaced, the former one is accepted for a while, and tried where the present one fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ikepy.config.identity import Identity
from ikepy.crypto.auth import psk_auth, same
from ikepy.crypto.secret import Secret
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth import ppk, words
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received, Step
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload, Payload

DECOY = 32  # octets of the random key that is used for peers without a secret
OTHER_METHOD = 'it authenticates by {}, and auth = "psk" is configured for it'
WANTS_EAP = 'it wants EAP, and auth = "psk" is configured for it'


@dataclass(frozen=True, slots=True)
class PskProver:
    """We prove that we hold the secret that the configuration has for the two identities."""

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        return ppk.named(context, partial(self._prove, proven))

    def _prove(self, proven: Done | More | None, context: Context) -> Step:
        if isinstance(proven, Done) and proven.secret is not None:
            return Done((_own(context, proven.secret),))
        psk = context.secrets.psk(context.local_id, context.remote_id)
        if psk is None:
            return _no_secret(context, context.remote_id)
        if context.initiator:
            psk = context.secrets.to_try(context.local_id, context.remote_id, psk)
        return Done((_own(context, psk),))

    def credential(self, context: Context) -> str:
        psk = context.secrets.psk(context.local_id, context.remote_id)
        return "" if psk is None else f"secret of {words.entry(context.secrets.name(psk))}"


@dataclass(frozen=True, slots=True)
class PskVerifier:
    """The peer proves that it does. Its identity selects the secret, as we may have asked for a pattern."""

    mutual: bool = False

    def asks(self, context: Context) -> tuple[Payload, ...]:
        return ()

    def verify(self, context: Context, message: Received) -> Step:
        psk = context.secrets.psk(context.local_id, message.remote_id) if context.known else None
        auth = query.maybe(message.payloads, AuthPayload)
        if psk is None and context.initiator:
            return _no_secret(context, message.remote_id)
        if auth is None:
            return Failed(WANTS_EAP, AuthenticationFault.METHOD)
        if psk is None:
            _refuse_slowly(context, auth, message)
            return _no_secret(context, message.remote_id)
        proven = _proven(context, psk, auth, message)
        if proven is None:
            return _wrong(context, psk, auth, message)
        return Done(remark=_which(context, psk, proven), secret=proven)


def _own(context: Context, psk: Secret) -> AuthPayload:
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(context.prf, psk, context.octets))


def _proven(context: Context, psk: Secret, auth: AuthPayload, message: Received) -> Secret | None:
    """The secret that the peer has proven to hold: the present one or a former one; None if it has none."""
    for secret in (psk, *context.secrets.former(psk)):
        if _proves(context, secret, auth, message):
            return secret
    return None


def _refuse_slowly(context: Context, auth: AuthPayload, message: Received) -> None:
    """Let a peer that is not known cost as much as one with a wrong key; it hears the same, too."""
    decoy = Secret(context.random(DECOY))
    for _ in range(1 + context.secrets.most_former):
        _proves(context, decoy, auth, message)


def _proves(context: Context, psk: Secret, auth: AuthPayload, message: Received) -> bool:
    expected = psk_auth(context.prf, psk, message.octets)
    return auth.method == AuthMethod.SHARED_KEY_MIC and same(auth.data, expected)


def _which(context: Context, psk: Secret, proven: Secret) -> str:
    """For the log, while there are two."""
    name = words.entry(context.secrets.name(psk))
    if proven is not psk:
        return (
            f"authenticated by the former secret of {name}, which is accepted for a while only "
            "(daemon.old_secret_grace): let the peer use the new one"
        )
    return f"authenticated by the new secret of {name}" if context.secrets.former(psk) else ""


def _wrong(context: Context, psk: Secret, auth: AuthPayload, message: Received) -> Failed:
    if auth.method != AuthMethod.SHARED_KEY_MIC:
        return Failed(OTHER_METHOD.format(words.auth_method(auth.method)), AuthenticationFault.METHOD)
    why = words.wrong_secret(context.secrets.name(psk), context.local_id, message.remote_id)
    return Failed(why, AuthenticationFault.WRONG_SECRET)


def _no_secret(context: Context, remote_id: Identity) -> Failed:
    return Failed(words.no_secret(context.local_id, remote_id), AuthenticationFault.NO_SECRET)
