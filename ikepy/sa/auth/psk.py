"""Authenticates both ends by a pre-shared key: one round, AUTH with Shared Key MIC (RFC 7296 2.15).

After a secret was replaced, the former one is accepted for a while, and tried where the present one fails.
"""

from __future__ import annotations

from functools import partial

from ikepy.config.identity import Identity
from ikepy.crypto.auth import psk_auth, same
from ikepy.crypto.secret import Secret
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth import words
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received, Step
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload

DECOY = 32  # octets of the random key that is used for peers without a secret
OTHER_METHOD = "it authenticates by {}, which is not supported: let it authenticate with a secret"
WANTS_EAP = "it wants EAP, which is not supported: let it authenticate with a secret"


class PreSharedKey:
    """Both ends prove that they hold the secret that the configuration has for the two identities."""

    def initiate(self, context: Context) -> Step:
        psk = context.secrets.psk(context.local_id, context.remote_id)
        if psk is None:
            return _no_secret(context, context.remote_id)
        tried = context.secrets.to_try(context.local_id, context.remote_id, psk)
        return More((_own(context, tried),), partial(_conclude, context))

    def respond(self, context: Context, message: Received) -> Step:
        psk = context.secrets.psk(context.local_id, message.remote_id) if context.known else None
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is None:
            return Failed(WANTS_EAP, AuthenticationFault.METHOD)
        if psk is None:
            _refuse_slowly(context, auth, message)
            return _no_secret(context, message.remote_id)
        proven = _proven(context, psk, auth, message)
        if proven is None:
            return _wrong(context, psk, auth, message)
        return Done((_own(context, proven),), _which(context, psk, proven))

    def credential(self, context: Context) -> str:
        psk = context.secrets.psk(context.local_id, context.remote_id)
        return "" if psk is None else f"secret of {words.entry(context.secrets.name(psk))}"


def _conclude(context: Context, message: Received) -> Step:
    """Verify the responder's AUTH; its identity selects the secret, as we may have asked for a pattern."""
    psk = context.secrets.psk(context.local_id, message.remote_id)
    if psk is None:
        return _no_secret(context, message.remote_id)
    auth = query.maybe(message.payloads, AuthPayload)
    if auth is None:
        return Failed(WANTS_EAP, AuthenticationFault.METHOD)
    proven = _proven(context, psk, auth, message)
    if proven is None:
        return _wrong(context, psk, auth, message)
    context.secrets.succeeded(context.local_id, context.remote_id)
    return Done(remark=_which(context, psk, proven))


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
