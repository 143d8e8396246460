"""Impairments of what is heard: what must be refused is taken, what must be heeded or ignored is not.

They change a message of the peer's, decrypted, before the machine has it (RFC 7296 2.5, 2.15, 3.1, 3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ikepy.crypto.auth import psk_auth
from ikepy.impair.delivery import header_of
from ikepy.impair.draft import CRITICAL, Draft
from ikepy.impair.impairment import Deliveries, Impairment, Stages, Word
from ikepy.impair.payloads import DETECTION, NOTIFIES
from ikepy.sa.auth.authenticator import Authenticator, Context, More, Received, Step, after
from ikepy.wire.constants import IKE_VERSION, AuthMethod, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.payloads import AuthPayload, Payload

KNOWN = frozenset(map(int, PayloadType))
VERSION = 17  # where it stands in the IKE header
MINOR = 0x0F
DEFINED_FLAGS = int(HeaderFlag.INITIATOR | HeaderFlag.RESPONSE | HeaderFlag.VERSION)


def heard(change: Callable[[Draft], None]) -> Stages:
    return Stages(heard=change)


def take_critical(draft: Draft) -> None:
    draft.drop([part for part in draft.parts if part.type not in KNOWN])


def refuse_unknown(draft: Draft) -> None:
    for part in draft.parts:
        if part.type not in KNOWN:
            part.flags |= CRITICAL


def refuse_reserved_bits(draft: Draft) -> None:
    draft.lost = draft.lost or any(part.flags & ~CRITICAL for part in draft.parts)


def ignore_notify(draft: Draft, *notify: int) -> None:
    draft.drop(draft.notifies(*notify))


def ignore_deletes(draft: Draft) -> None:
    draft.drop(draft.of_type(PayloadType.DELETE))


def ignore_first_child(draft: Draft) -> None:
    if draft.within(ExchangeType.IKE_AUTH):
        draft.drop(draft.of_type(PayloadType.SA, PayloadType.TS_I, PayloadType.TS_R))


def refuse_minor(data: bytes) -> Deliveries:
    return [] if len(data) > VERSION and data[VERSION] & MINOR else [(0.0, data)]


def take_major(draft: Draft) -> None:
    if draft.header.version > IKE_VERSION:
        draft.change(version=IKE_VERSION)


def refuse_reserved_flags(data: bytes) -> Deliveries:
    header = header_of(data)
    return [] if header is not None and header.flags & ~DEFINED_FLAGS else [(0.0, data)]


@dataclass(frozen=True, slots=True)
class Credulous:
    """Believes any AUTH by a pre-shared key: puts the right one in its place before it is verified."""

    inner: Authenticator

    def initiate(self, context: Context) -> Step:
        return self._believing(context, self.inner.initiate(context))

    def respond(self, context: Context, message: Received) -> Step:
        return self._believing(context, self.inner.respond(context, _righted(context, message)))

    def credential(self, context: Context) -> str:
        return self.inner.credential(context)

    def _believing(self, context: Context, step: Step) -> Step:
        def go_on(found: Step) -> Step:
            if not isinstance(found, More):
                return found
            following = found.following
            return replace(
                found,
                following=lambda message: self._believing(context, following(_righted(context, message))),
            )

        return after(step, go_on)


def _righted(context: Context, message: Received) -> Received:
    secret = context.secrets.psk(context.local_id, message.remote_id)
    if secret is None:
        return message
    right = AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(context.prf, secret, message.octets))
    payloads: list[Payload] = [right if isinstance(one, AuthPayload) else one for one in message.payloads]
    return replace(message, payloads=tuple(payloads))


IMPAIRMENTS = (
    Impairment(
        "accept-unknown-critical",
        "ignores unknown payloads even if they are critical",
        "2.5",
        lambda _: heard(take_critical),
    ),
    Impairment(
        "refuse-unknown-payloads",
        "refuses unknown payloads that are not critical",
        "2.5",
        lambda _: heard(refuse_unknown),
    ),
    Impairment(
        "refuse-reserved-bits",
        "drops messages with a reserved bit in a payload's header",
        "2.5",
        lambda _: heard(refuse_reserved_bits),
    ),
    Impairment(
        "refuse-reserved-flags",
        "drops messages with a reserved flag in the IKE header",
        "3.1",
        lambda _: Stages(receiving=refuse_reserved_flags),
    ),
    Impairment(
        "refuse-minor-version",
        "drops messages of a higher minor version",
        "3.1",
        lambda _: Stages(receiving=refuse_minor),
    ),
    Impairment(
        "accept-major-version",
        "reads messages of a higher major version as if they were of version 2",
        "2.5",
        lambda _: heard(take_major),
    ),
    Impairment(
        "ignore-notify",
        "does not hear one kind of notify",
        "3.10.1",
        lambda notify: heard(lambda draft: ignore_notify(draft, notify)),
        Word(NOTIFIES, what="the name of a notify"),
    ),
    Impairment(
        "ignore-nat-detection",
        "does not hear NAT_DETECTION notifies, so that it never finds a NAT",
        "2.23",
        lambda _: heard(lambda draft: ignore_notify(draft, *DETECTION)),
    ),
    Impairment(
        "ignore-delete",
        "does not hear Delete payloads",
        "1.4.1",
        lambda _: heard(ignore_deletes),
    ),
    Impairment(
        "ignore-v2-ike-auth-child",
        "does not hear what IKE_AUTH says of a child",
        "1.2",
        lambda _: heard(ignore_first_child),
        libreswan=True,
    ),
    Impairment(
        "accept-bad-auth",
        "believes any AUTH by a pre-shared key, right or wrong",
        "2.15",
        lambda _: Stages(authenticator=Credulous),
    ),
)
