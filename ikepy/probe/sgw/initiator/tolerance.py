"""SGW.I.1.1.4, 1.1.5 and 1.1.11: unknown payloads, cookies, and values that are to be ignored."""

from __future__ import annotations

import os

from ikepy.probe.draft import RawPayload
from ikepy.probe.ike_sa import NO_SPI, IkeSa
from ikepy.probe.listen.cases import Function, in_parts, initiator_case
from ikepy.probe.listen.profile import COMMON
from ikepy.probe.listen.under_test import UnderTest, proposals_of
from ikepy.probe.received import Received
from ikepy.probe.reserved import ID_RESERVED, with_reserved
from ikepy.probe.sgw.initiator.suites import OTHER_GROUP_FIRST, group_of
from ikepy.probe.target import IKE_SUITE
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload
from ikepy.wire.proposal import Transform

UNKNOWN = {"A": 1, "B": 32, "C": 49, "D": 255}  # payload types
UNKNOWN_ERROR, UNKNOWN_STATUS = 16383, 65535
VERSION_FLAG = 0x10
_CRITICAL = {False: "is not set", True: "is set"}
TWO_GROUPS = COMMON.but("two-groups", ike=(OTHER_GROUP_FIRST,))


def _unknown_payload(type: int, *, critical: bool) -> Function:
    async def function(nut: UnderTest) -> None:
        nut.peer.echo_hosts()
        sa = await nut.sets_up()
        await nut.peer.ping(sa.children[0])
        old, request = await nut.rekeys_child(sa)
        response = nut.child_response(sa, request)
        unknown = RawPayload(type, bytes(4), critical=critical)
        new = await nut.accept_rekey(sa, request, response.but(payloads=(unknown, *response.payloads)))
        if critical:
            await nut.peer.no_ping(new)
        else:
            await nut.deletes(sa, old)
            await nut.peer.ping(new)

    return function


for _number, _critical in ((1, False), (2, True)):
    for _part, _type in UNKNOWN.items():
        initiator_case(
            f"SGW.I.1.1.4.{_number}.{_part}",
            rfc="RFC 7296 2.5",
            title=f"Unrecognized payload type {_type}, whose critical bit {_CRITICAL[_critical]}",
        )(_unknown_payload(_type, critical=_critical))


async def _cookie(nut: UnderTest, sa: IkeSa, init: Received) -> Received:
    """Ask for a cookie, and judge the request that comes then."""
    cookie = NotifyPayload(NotifyType.COOKIE, os.urandom(32))
    draft = sa.response(init, [cookie]).but(spi_r=NO_SPI)
    await nut.peer.answer(sa, init, draft)
    again = await nut.peer.expect_request(
        ExchangeType.IKE_SA_INIT, sa=sa, what="an IKE_SA_INIT request with the cookie"
    )
    first = again.payloads[0]
    nut.peer.check(
        isinstance(first, NotifyPayload) and first.notify == NotifyType.COOKIE and first.data == cookie.data,
        "N(COOKIE) with our data as the first payload",
        again,
    )
    nut.peer.check(again.header.message_id == 0, "message ID 0", again.header.message_id)
    return again


def _rest(request: Received) -> list[Payload]:
    """A request's payloads without its cookie."""
    cookie = request.notify(NotifyType.COOKIE)
    return [one for one in request.payloads if one is not cookie]


def _offers(request: Received) -> list[set[Transform]]:
    """All that must be offered again (RFC 7296 1.2): who wants another group may prefer it now."""
    return [set(one.transforms) for one in proposals_of(request)]


async def _wrong_group(nut: UnderTest, sa: IkeSa, init: Received, spi_r: bytes = NO_SPI) -> Received:
    """Want the other group (RFC 7296 1.2), and judge the request that comes then."""
    wanted = group_of(IKE_SUITE)
    notify = NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, wanted.to_bytes(2))
    await nut.peer.answer(sa, init, sa.response(init, [notify]).but(spi_r=spi_r))
    again = await nut.peer.expect_request(
        ExchangeType.IKE_SA_INIT, what="an IKE_SA_INIT request with the other group"
    )
    ke = again.maybe(KePayload)
    nut.peer.check(ke is not None and ke.group == wanted, f"a KE payload of group {wanted}", ke and ke.group)
    nut.peer.check(_offers(again) == _offers(init), "the same proposals as before, in any order", again)
    return again


def _check_first_group(nut: UnderTest, init: Received) -> None:
    ke, first = init.maybe(KePayload), group_of(OTHER_GROUP_FIRST)
    nut.check_offered(init, OTHER_GROUP_FIRST)
    nut.peer.check(ke is not None and ke.group == first, f"a KE payload of group {first}", ke and ke.group)


@initiator_case("SGW.I.1.1.5.1", rfc="RFC 7296 2.6", group="ADVANCED")
async def cookie_returned(nut: UnderTest) -> None:
    """Retrying IKE_SA_INIT request with a Notify payload of type COOKIE."""
    sa, init = await nut.begins()
    again = await _cookie(nut, sa, init)
    nut.peer.check(_rest(again) == _rest(init), "all other payloads as before", again)


@initiator_case("SGW.I.1.1.5.2", rfc="RFC 7296 2.6.1", group="ADVANCED")
async def cookie_and_group(nut: UnderTest) -> None:
    """Interaction of COOKIE and INVALID_KE_PAYLOAD."""
    sa, init = await nut.begins(TWO_GROUPS)
    _check_first_group(nut, init)
    init = await _wrong_group(nut, sa, await _cookie(nut, sa, init))
    sa = _same_or_new(nut, sa, init)
    if init.notify(NotifyType.COOKIE) is None:
        init = await _cookie(nut, sa, init)
    await nut.authenticates(sa, init)


@initiator_case("SGW.I.1.1.5.3", rfc="RFC 7296 2.6.1", group="ADVANCED")
async def cookie_and_group_and_cookie(nut: UnderTest) -> None:
    """Interaction of COOKIE and INVALID_KE_PAYLOAD with unoptimized responder."""
    sa, init = await nut.begins(TWO_GROUPS)
    _check_first_group(nut, init)
    init = await _wrong_group(nut, sa, await _cookie(nut, sa, init))
    sa = _same_or_new(nut, sa, init)
    again = await _cookie(nut, sa, init)
    nut.peer.check(_rest(again) == _rest(init), "all other payloads as before", again)
    await nut.authenticates(sa, again)


def _same_or_new(nut: UnderTest, sa: IkeSa, init: Received) -> IkeSa:
    """The IKE_SA of a request that may come with another SPI of the initiator's."""
    if init.header.spi_i == sa.spi_i:
        return sa
    new = IkeSa(nut.peer.target, initiator=False, spi_i=init.header.spi_i)
    new.port = init.port
    return nut.peer.adopt(new)


def _other_group(spi_r: bytes) -> Function:
    async def function(nut: UnderTest) -> None:
        sa, init = await nut.begins(TWO_GROUPS)
        _check_first_group(nut, init)
        await _wrong_group(nut, sa, init, spi_r)

    return function


for _part, _spi_r, _words in (("A", NO_SPI, "zero"), ("B", bytes(7) + b"\1", "not zero")):
    in_parts(
        "SGW.I.1.1.6.11",
        _other_group(_spi_r),
        {_part: f"Receipt of INVALID_KE_PAYLOAD in initial exchange, responder's SPI is {_words}"},
        rfc="RFC 7296 1.2",
        group="ADVANCED",
    )


@initiator_case("SGW.I.1.1.11.1", rfc="RFC 7296 2.5")
async def reserved_in_init(nut: UnderTest) -> None:
    """Non-zero RESERVED fields in IKE_SA_INIT response."""
    sa, init = await nut.begins()
    await nut.authenticates(sa, init, with_reserved(nut.init_response(sa, init)))


@initiator_case("SGW.I.1.1.11.2", rfc="RFC 7296 2.5")
async def reserved_in_auth(nut: UnderTest) -> None:
    """Non-zero RESERVED fields in IKE_AUTH response."""
    nut.peer.echo_hosts()
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    response = sa.auth_response(auth, own=sa.id_payload(reserved=ID_RESERVED))
    await nut.answer_auth(sa, auth, with_reserved(response))
    await nut.peer.ping(sa.children[0])


@initiator_case("SGW.I.1.1.11.3", rfc="RFC 7296 3.1")
async def version_bit(nut: UnderTest) -> None:
    """Version bit is set."""
    sa, init = await nut.begins()
    response = nut.init_response(sa, init)
    await nut.authenticates(sa, init, response.but(flags=response.flags | VERSION_FLAG))


@initiator_case("SGW.I.1.1.11.4", rfc="RFC 7296 3.10.1")
async def unknown_error(nut: UnderTest) -> None:
    """Unrecognized Notify Message Type of error."""
    nut.peer.echo_hosts()
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    await nut.answer_auth(sa, auth, sa.auth_response(auth).with_payloads(NotifyPayload(UNKNOWN_ERROR)))
    await nut.peer.no_ping(sa.children[0])


@initiator_case("SGW.I.1.1.11.5", rfc="RFC 7296 3.10.1")
async def unknown_status(nut: UnderTest) -> None:
    """Unrecognized Notify Message Type of status.

    The specification's judgement is that of 1.1.11.4, word for word; its purpose and its figure, and the RFC,
    say that such a notify is ignored.
    """
    nut.peer.echo_hosts()
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    await nut.answer_auth(sa, auth, sa.auth_response(auth).with_payloads(NotifyPayload(UNKNOWN_STATUS)))
    await nut.peer.ping(sa.children[0])
