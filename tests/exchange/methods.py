"""Methods of authentication besides the product's: a signature that takes its time, a challenge in rounds.

Their keys follow from names, as these are tests: an identity has a key of its own in `Signature`, and whoever
shares `ChallengeResponse.secret` may connect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from hmac import digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ikepy.config.identity import Identity
from ikepy.crypto.auth import SignedOctets, psk_auth
from ikepy.crypto.secret import Secret
from ikepy.sa.auth import ppk
from ikepy.sa.auth.authenticator import Context, Done, Failed, Following, More, Pending, Received, Step
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload, EapPayload, Payload

SLOW = 0.01  # seconds: too long to be computed at once


@dataclass(frozen=True, slots=True)
class Signature:
    """Each end signs its octets; signing and verifying are jobs. `forges`: we hold another key than ours."""

    forges: bool = False

    def initiate(self, context: Context) -> Step:
        following: Following = partial(self._conclude, context)
        return ppk.named(context, lambda keyed: self._sign(keyed, lambda auth: More((auth,), following)))

    def respond(self, context: Context, message: Received) -> Step:
        proven = Failed("nobody knows it") if not context.known else self._sign(context, _done)
        return _verify(message, proven)

    def credential(self, context: Context) -> str:
        return f"the key of {context.local_id}"

    def _conclude(self, context: Context, message: Received) -> Step:
        return _verify(message, Done())

    def _sign(self, context: Context, then: Callable[[AuthPayload], Step]) -> Pending:
        key = _key_of("somebody else" if self.forges else str(context.local_id))
        octets = b"".join(context.octets.parts)
        return Pending(lambda: then(AuthPayload(AuthMethod.DIGITAL_SIGNATURE, key.sign(octets))), SLOW)


def _done(auth: AuthPayload) -> Step:
    return Done((auth,))


def _verify(message: Received, proven: Step) -> Step:
    auth = query.maybe(message.payloads, AuthPayload)
    if auth is None or auth.method != AuthMethod.DIGITAL_SIGNATURE:
        return Failed("it does not sign")
    return Pending(partial(_verified, message, auth.data, proven), SLOW)


def _verified(message: Received, signature: bytes, proven: Step) -> Step:
    try:
        _key_of(str(message.remote_id)).public_key().verify(signature, b"".join(message.octets.parts))
    except InvalidSignature:
        return Failed("a wrong signature")
    return proven


def _key_of(identity: Identity | str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(str(identity).encode()).digest())


@dataclass(frozen=True, slots=True)
class ChallengeResponse:
    """As EAP does it (RFC 7296 2.16): the responder proves its identity first, then challenges the initiator.

        IDi, SA, TSi, TSr        ->
                                 <-  IDr, AUTH, EAP(challenge)
        EAP(response)            ->
                                 <-  EAP(success)
        AUTH                     ->
                                 <-  AUTH, SA, TSi, TSr

    The first AUTH is made with the name of the responder, the others with the key that challenge and secret
    give. `success`: what the responder says in the second round, and the initiator expects. `computes`: each
    step is two jobs. `endless`: the responder challenges again and again. `extra`: what stands besides in the
    second round's messages, `last` in the last response.
    """

    secret: bytes = b"open sesame"
    success: bytes = b"success"
    computes: bool = False
    endless: bool = False
    extra: tuple[Payload, ...] = ()
    last: tuple[Payload, ...] = ()

    def initiate(self, context: Context) -> Step:
        return More((), partial(self._challenged, context))

    def respond(self, context: Context, message: Received) -> Step:
        if query.maybe(message.payloads, AuthPayload) is not None:
            return Failed("it should be challenged")
        challenge = context.random(16)
        own = _auth(context.prf, str(context.local_id).encode(), context.octets)
        return self._later(More((own, EapPayload(challenge)), partial(self._answered, context, challenge)))

    def credential(self, context: Context) -> str:
        return ""

    # -- the initiator's rounds --------------------------------------------------------------------

    def _challenged(self, context: Context, message: Received) -> Step:
        if not _proves(context, message, str(message.remote_id).encode()):
            return Failed("it is not the gateway")
        return self._answer(context, message)

    def _answer(self, context: Context, message: Received) -> Step:
        challenge = query.must(message.payloads, EapPayload).data
        key = self._key(challenge)
        return self._later(More((EapPayload(key), *self.extra), partial(self._accepted, context, key)))

    def _accepted(self, context: Context, key: bytes, message: Received) -> Step:
        eap = query.must(message.payloads, EapPayload).data
        if eap.startswith(b"again"):
            return self._answer(context, message)
        if eap != self.success:
            return Failed("no success")
        following: Following = partial(self._concluded, context, key)
        return ppk.named(
            context,
            lambda keyed: self._later(More((_auth(keyed.prf, key, keyed.octets),), following)),
        )

    def _concluded(self, context: Context, key: bytes, message: Received) -> Step:
        return self._later(Done() if _proves(context, message, key) else Failed("no key"))

    # -- the responder's ---------------------------------------------------------------------------

    def _answered(self, context: Context, challenge: bytes, message: Received) -> Step:
        eap = query.maybe(message.payloads, EapPayload)
        key = self._key(challenge)
        if not context.known or eap is None or eap.data != key:
            return Failed("a wrong response")
        if self.endless:
            again = b"again" + context.random(16)
            return More((EapPayload(again),), partial(self._answered, context, again))
        return self._later(More((EapPayload(self.success), *self.extra), partial(self._proven, context, key)))

    def _proven(self, context: Context, key: bytes, message: Received) -> Step:
        if not _proves(context, message, key):
            return Failed("no key")
        context = context.under(message.keys)
        return self._later(Done((_auth(context.prf, key, context.octets), *self.last)))

    def respond_to(self, challenge: bytes) -> bytes:
        """The response that a challenge asks for: who gives it has not proven an identity yet."""
        return self._key(challenge)

    def _key(self, challenge: bytes) -> bytes:
        return digest(self.secret, challenge, "sha256")

    def _later(self, step: Step) -> Step:
        """Two jobs, one after the other, where steps take their time."""
        return Pending(lambda: Pending(lambda: step, SLOW), SLOW) if self.computes else step


def _auth(prf: int, key: bytes, octets: SignedOctets) -> AuthPayload:
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(prf, Secret(key), octets))


def _proves(context: Context, message: Received, key: bytes) -> bool:
    return query.maybe(message.payloads, AuthPayload) == _auth(context.prf, key, message.octets)
