"""IKEPY.I: an initiator under hostile or broken answers, and answers in fragments (RFC 7296 2.6, 2.21; RFC
7383).

Before IKE_AUTH anybody can answer: what is malformed, or not what was asked for, must not end a set-up that
the right answer may still complete, and must not make the initiator send without end.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ikepy.probe.draft import AnyPayload, Draft, RawPayload, flipped
from ikepy.probe.extensions.common import GROUP, said
from ikepy.probe.ike_sa import NO_SPI, IkeSa
from ikepy.probe.listen.cases import initiator_case
from ikepy.probe.listen.profile import COMMON
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.received import Received
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, KePayload, NotifyPayload, SaPayload
from ikepy.wire.redirect import encode_gateway

_FRAGMENT = 48  # octets of plaintext
_MOST_TRIES = 8  # of IKE_SA_INIT, before it is a loop
_WITHOUT_CHILD = COMMON.but(COMMON.name, needs_child=False)
_FORGED_GATEWAY = "elsewhere.ikepy.invalid"


def _auth_response(sa: IkeSa, auth: Received) -> Draft:
    """The right answer to IKE_AUTH, with a child if one is asked for."""
    if auth.maybe(SaPayload) is not None:
        return sa.auth_response(auth)
    own = sa.id_payload()
    return sa.response(auth, [own, sa.auth_payload(own)])


def _in_place(draft: Draft, type: int, payload: AnyPayload) -> Draft:
    """With another payload in the place of the one of that type."""
    return draft.but(payloads=tuple(payload if one.type == type else one for one in draft.payloads))


async def _no_auth_after(nut: UnderTest, sa: IkeSa, wrong: Draft, init: Received, what: str) -> None:
    """A wrong answer to IKE_SA_INIT is followed by no IKE_AUTH."""
    await nut.peer.send(wrong, sa, port=init.port)
    await nut.peer.expect_nothing(
        lambda got: got.header.spi_i == sa.spi_i and got.header.exchange == ExchangeType.IKE_AUTH,
        what=f"IKE_AUTH after {what}",
    )


async def _comes_up(nut: UnderTest, sa: IkeSa, init: Received, right: Draft) -> None:
    """With the right answer the IKE_SA comes up all the same."""
    auth = await nut.authenticates(sa, init, right)
    await nut.answer_auth(sa, auth)
    await nut.answers(sa, "afterwards")


@initiator_case("IKEPY.I.1", rfc="RFC 7296 2.21.1, 3.9", level="SHOULD", group=GROUP)
async def malformed_answer(nut: UnderTest) -> None:
    """A malformed answer to IKE_SA_INIT is ignored: the right one, which comes later, is taken."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    right = nut.init_response(sa, init)
    short = _in_place(right, PayloadType.NONCE, RawPayload(PayloadType.NONCE, bytes(8)))
    await _no_auth_after(nut, sa, short, init, "a nonce of 8 octets")
    await _comes_up(nut, sa, init, right)


@initiator_case("IKEPY.I.2", rfc="RFC 6989 2.1, RFC 7296 2.21.1", group=GROUP)
async def public_values(nut: UnderTest) -> None:
    """A public value of 0, of 1, or of the wrong length is followed by no IKE_AUTH."""
    for change in ("zero", "one", "short"):
        sa, init = await nut.begins(_WITHOUT_CHILD)
        right = nut.init_response(sa, init)
        ke = next(one for one in right.payloads if isinstance(one, KePayload))
        size = len(ke.data)
        data = {"zero": bytes(size), "one": bytes(size - 1) + b"\1", "short": ke.data[:-1]}[change]
        wrong = _in_place(right, PayloadType.KE, KePayload(ke.group, data))
        await _no_auth_after(nut, sa, wrong, init, f"a public value: {change}")


@initiator_case("IKEPY.I.3", rfc="RFC 7296 1.2, 2.7", group=GROUP)
async def group_that_was_not_offered(nut: UnderTest) -> None:
    """INVALID_KE_PAYLOAD that names a group which was not offered is not followed."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    strange = 1  # 768 bits
    notify = NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, strange.to_bytes(2, "big"))
    await nut.peer.send(sa.response(init, [notify]).but(spi_r=NO_SPI), sa, port=init.port)
    await nut.peer.pause(nut.peer.limits.quiet_s)
    requests = [got for got in nut.peer.inbox if not got.header.is_response]
    groups = {ke.group for got in requests if (ke := got.maybe(KePayload)) is not None}
    nut.peer.check(strange not in groups, f"no KE payload of group {strange}", said(requests))


@initiator_case("IKEPY.I.4", rfc="RFC 7296 2.6", group=GROUP)
async def cookies_without_end(nut: UnderTest) -> None:
    """Another cookie each time: it gives up, or waits, before it has asked eight times."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    request, tries = init, 0
    while tries < _MOST_TRIES:
        cookie = NotifyPayload(NotifyType.COOKIE, os.urandom(32))
        await nut.peer.send(sa.response(request, [cookie]).but(spi_r=NO_SPI), sa, port=request.port)
        await nut.peer.pause(nut.peer.limits.quiet_s / 2)
        found = [got for got in nut.peer.inbox if got.header.exchange == ExchangeType.IKE_SA_INIT]
        nut.peer.inbox.clear()
        if not found:
            break
        request, tries = found[-1], tries + 1
    nut.peer.check(tries < _MOST_TRIES, f"less than {_MOST_TRIES} requests at once", tries)


@initiator_case("IKEPY.I.5", rfc="RFC 7296 2.15, 2.21.2", group=GROUP)
async def wrong_auth(nut: UnderTest) -> None:
    """A wrong AUTH in the answer to IKE_AUTH: the IKE_SA is not used, and no liveness check is answered."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    auth = await nut.authenticates(sa, init)
    right = _auth_response(sa, auth)
    payloads = [
        AuthPayload(one.method, os.urandom(len(one.data))) if isinstance(one, AuthPayload) else one
        for one in right.payloads
    ]
    await nut.peer.answer(sa, auth, right.but(payloads=tuple(payloads)))
    sa.port = auth.port
    await nut.peer.pause(nut.peer.limits.quiet_s)
    await nut.is_deaf(sa)


@initiator_case("IKEPY.I.6", rfc="RFC 7383 2.6", group=GROUP)
async def answer_in_fragments(nut: UnderTest) -> None:
    """The answer to IKE_AUTH in fragments, the last one first: the IKE_SA comes up."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    supported = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED
    if init.notify(supported) is None:
        raise NotApplicable("the initiator does not announce IKEV2_FRAGMENTATION_SUPPORTED")
    nut.check_offered(init, nut.peer.target.ike)
    auth = await nut.authenticates(sa, init, sa.init_response(init, extra=[NotifyPayload(supported)]))
    await _send(nut, _auth_response(sa, auth).fragments(_FRAGMENT)[::-1], auth)
    sa.port, sa.established = auth.port, True
    await nut.answers(sa, "on the IKE_SA")


@initiator_case("IKEPY.I.7", rfc="RFC 7383 2.6", group=GROUP)
async def damaged_fragment(nut: UnderTest) -> None:
    """A damaged fragment of the answer to IKE_AUTH comes before the right one: the IKE_SA comes up."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    supported = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED
    if init.notify(supported) is None:
        raise NotApplicable("the initiator does not announce IKEV2_FRAGMENTATION_SUPPORTED")
    nut.check_offered(init, nut.peer.target.ike)
    auth = await nut.authenticates(sa, init, sa.init_response(init, extra=[NotifyPayload(supported)]))
    pieces = _auth_response(sa, auth).fragments(_FRAGMENT)
    await _send(nut, [pieces[0], flipped(pieces[1])], auth)
    await nut.peer.pause(nut.peer.limits.quiet_s)
    await _send(nut, pieces[1:], auth)
    sa.port, sa.established = auth.port, True
    await nut.answers(sa, "on the IKE_SA")


async def _send(nut: UnderTest, pieces: Sequence[bytes], auth: Received) -> None:
    for piece in pieces:
        await nut.peer.send_octets(piece, auth.port)


@initiator_case("IKEPY.I.8", rfc="RFC 7296 2.3, 3.14", group=GROUP)
async def damaged_answer(nut: UnderTest) -> None:
    """A damaged answer to IKE_AUTH, and one with another message ID, are ignored: the right one is taken."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    auth = await nut.authenticates(sa, init)
    right = _auth_response(sa, auth)
    await nut.peer.send(right.but(spoil=flipped), sa, port=auth.port)
    await nut.peer.send(right.but(message_id=5), sa, port=auth.port)
    await nut.peer.pause(nut.peer.limits.quiet_s)
    await nut.answer_auth(sa, auth, right)
    await nut.answers(sa, "on the IKE_SA")


@initiator_case("IKEPY.I.9", rfc="RFC 5685 3", group=GROUP)
async def redirect_that_nobody_asked_for(nut: UnderTest) -> None:
    """REDIRECT for who has not announced REDIRECT_SUPPORTED is ignored: the right answer is taken."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    if init.notify(NotifyType.REDIRECT_SUPPORTED) is not None:
        raise NotApplicable("the initiator announces REDIRECT_SUPPORTED")
    right = nut.init_response(sa, init)
    data = encode_gateway(_FORGED_GATEWAY, sa.nonce_i)
    wrong = sa.response(init, [NotifyPayload(NotifyType.REDIRECT, data)]).but(spi_r=NO_SPI, cipher=None)
    await _no_auth_after(nut, sa, wrong, init, "a REDIRECT")
    await _comes_up(nut, sa, init, right)


@initiator_case("IKEPY.I.10", rfc="RFC 5685 3, 9.2", group=GROUP)
async def redirect_with_a_false_nonce(nut: UnderTest) -> None:
    """REDIRECT with another nonce than that of the request is ignored: the right answer is taken."""
    sa, init = await nut.begins(_WITHOUT_CHILD)
    if init.notify(NotifyType.REDIRECT_SUPPORTED) is None:
        raise NotApplicable("the initiator does not announce REDIRECT_SUPPORTED")
    right = nut.init_response(sa, init)
    data = encode_gateway(_FORGED_GATEWAY, os.urandom(len(sa.nonce_i)))
    wrong = sa.response(init, [NotifyPayload(NotifyType.REDIRECT, data)]).but(spi_r=NO_SPI, cipher=None)
    await _no_auth_after(nut, sa, wrong, init, "a REDIRECT with a false nonce")
    await _comes_up(nut, sa, init, right)
