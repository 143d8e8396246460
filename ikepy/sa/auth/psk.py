"""Authenticates both ends by a pre-shared key: one round, AUTH with Shared Key MIC (RFC 7296 2.15)."""

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
        psk = context.config.psk(context.local_id, context.remote_id)
        if psk is None:
            return _no_secret(context, context.remote_id)
        return More((_own(context, psk),), partial(_conclude, context))

    def respond(self, context: Context, message: Received) -> Step:
        psk = context.config.psk(context.local_id, message.remote_id) if context.known else None
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is None:
            return Failed(WANTS_EAP, AuthenticationFault.METHOD)
        # A peer that is not known costs as much as one with a wrong key, and hears the same.
        proven = _proves(context, psk or Secret(context.random(DECOY)), auth, message)
        if psk is None:
            return _no_secret(context, message.remote_id)
        return Done((_own(context, psk),)) if proven else _wrong(context, psk, auth, message)

    def credential(self, context: Context) -> str:
        psk = context.config.psk(context.local_id, context.remote_id)
        return "" if psk is None else f"secret of {words.entry(context.config, psk)}"


def _conclude(context: Context, message: Received) -> Step:
    """Verify the responder's AUTH; its identity selects the secret, as we may have asked for a pattern."""
    psk = context.config.psk(context.local_id, message.remote_id)
    if psk is None:
        return _no_secret(context, message.remote_id)
    auth = query.maybe(message.payloads, AuthPayload)
    if auth is None:
        return Failed(WANTS_EAP, AuthenticationFault.METHOD)
    return Done() if _proves(context, psk, auth, message) else _wrong(context, psk, auth, message)


def _own(context: Context, psk: Secret) -> AuthPayload:
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(context.prf, psk, context.octets))


def _proves(context: Context, psk: Secret, auth: AuthPayload, message: Received) -> bool:
    expected = psk_auth(context.prf, psk, message.octets)
    return auth.method == AuthMethod.SHARED_KEY_MIC and same(auth.data, expected)


def _wrong(context: Context, psk: Secret, auth: AuthPayload, message: Received) -> Failed:
    if auth.method != AuthMethod.SHARED_KEY_MIC:
        return Failed(OTHER_METHOD.format(words.auth_method(auth.method)), AuthenticationFault.METHOD)
    why = words.wrong_secret(context.config, psk, context.local_id, message.remote_id)
    return Failed(why, AuthenticationFault.WRONG_SECRET)


def _no_secret(context: Context, remote_id: Identity) -> Failed:
    return Failed(words.no_secret(context.local_id, remote_id), AuthenticationFault.NO_SECRET)
