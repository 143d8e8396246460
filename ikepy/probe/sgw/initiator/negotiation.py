"""SGW.I.1.1.6, 1.1.7 and 1.1.10.4: suites, selectors and secrets that the initiator offers and we choose."""

from __future__ import annotations

from ikepy.crypto.secret import Secret
from ikepy.probe.listen.cases import Function, initiator_case
from ikepy.probe.listen.profile import COMMON, Profile
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.sgw.initiator import suites
from ikepy.probe.target import ESP_SUITE, IKE_SUITE, selector
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NotifyPayload

_PART = "ADVANCED"
HEX_SECRET = "0xabadcafeabadcafeabadcafeabadcafe"
PFS_TWO_GROUPS = COMMON.but("pfs-two-groups", esp=(suites.PFS_OTHER_GROUP_FIRST,))


def _ike_suite(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        sa, init = await nut.begins(profile)
        nut.check_offers(init, *profile.ike)
        await nut.authenticates(sa, init)

    return function


def _esp_suite(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        nut.peer.echo_hosts()
        sa, init = await nut.begins(profile)
        auth = await nut.authenticates(sa, init)
        nut.check_offers(auth, *profile.esp)
        await nut.answer_auth(sa, auth)
        await nut.peer.ping(sa.children[0])

    return function


def _offered_in_init(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        _, init = await nut.begins(profile)
        nut.check_offers(init, *profile.ike)

    return function


def _offered_in_auth(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        auth = await nut.authenticates(*await nut.begins(profile))
        nut.check_offers(auth, *profile.esp)

    return function


for _part, (_words, _suite) in suites.IKE_PARTS.items():
    initiator_case(
        f"SGW.I.1.1.6.1.{_part}",
        rfc="RFC 7296 2.7",
        title=f"Cryptographic algorithm negotiation for IKE_SA: {_words}",
        group=_PART,
    )(_ike_suite(COMMON.but(f"ike-{_part}", ike=(_suite,), takes=(_suite, ESP_SUITE))))

for _part, (_words, _suite) in suites.ESP_PARTS.items():
    initiator_case(
        f"SGW.I.1.1.6.2.{_part}",
        rfc="RFC 7296 2.7",
        title=f"Cryptographic algorithm negotiation for CHILD_SA: {_words}",
        group=_PART,
    )(_esp_suite(COMMON.but(f"esp-{_part}", esp=(_suite,), takes=(IKE_SUITE, _suite))))

for _part, (_words, _suite) in suites.IKE_TWO_TRANSFORMS.items():
    initiator_case(
        f"SGW.I.1.1.6.3.{_part}",
        rfc="RFC 7296 3.3",
        title=f"Sending multiple transforms for IKE_SA: {_words}",
        group=_PART,
    )(_offered_in_init(COMMON.but(f"ike-two-{_part}", ike=(_suite,))))

for _part, (_words, _suite) in suites.ESP_TWO_TRANSFORMS.items():
    initiator_case(
        f"SGW.I.1.1.6.5.{_part}",
        rfc="RFC 7296 3.3",
        title=f"Sending multiple transforms for CHILD_SA: {_words}",
        group=_PART,
    )(_offered_in_auth(COMMON.but(f"esp-two-{_part}", esp=(_suite,))))

initiator_case(
    "SGW.I.1.1.6.4", rfc="RFC 7296 3.3", title="Sending multiple proposals for IKE_SA", group=_PART
)(_offered_in_init(COMMON.but("ike-two-proposals", ike=suites.IKE_TWO_PROPOSALS)))
initiator_case(
    "SGW.I.1.1.6.6", rfc="RFC 7296 3.3", title="Sending multiple proposals for CHILD_SA", group=_PART
)(_offered_in_auth(COMMON.but("esp-two-proposals", esp=suites.ESP_TWO_PROPOSALS)))


@initiator_case("SGW.I.1.1.6.7", rfc="RFC 7296 1.3", group=_PART)
async def other_group_in_rekey(nut: UnderTest) -> None:
    """Receipt of INVALID_KE_PAYLOAD."""
    first, wanted = suites.group_of(suites.OTHER_GROUP_FIRST), suites.group_of(IKE_SUITE)
    sa = await nut.sets_up(PFS_TWO_GROUPS)
    _, request = await nut.rekeys_child(sa)
    ke = request.maybe(KePayload)
    nut.peer.check(ke is not None and ke.group == first, f"a KE payload of group {first}", ke and ke.group)
    await nut.refuse(sa, request, NotifyType.INVALID_KE_PAYLOAD, wanted.to_bytes(2))
    again = await nut.peer.expect_request(
        ExchangeType.CREATE_CHILD_SA, sa=sa, what="another CREATE_CHILD_SA request"
    )
    ke = again.maybe(KePayload)
    nut.peer.check(ke is not None and ke.group == wanted, f"a KE payload of group {wanted}", ke and ke.group)
    nut.peer.check(again.notify(NotifyType.REKEY_SA) is not None, "N(REKEY_SA)", again)
    nut.check_offers(again, suites.PFS_OTHER_GROUP_FIRST)


@initiator_case("SGW.I.1.1.6.9", rfc="RFC 7296 2.7")
async def wrong_ike_choice(nut: UnderTest) -> None:
    """Response with inconsistent SA proposal for IKE_SA."""
    sa, init = await nut.begins()
    sa.target = sa.target.but(ike=suites.IKE_PARTS["A"][1])
    await nut.answer_init(sa, init, sa.init_response(init))
    await nut.peer.expect_nothing(
        lambda got: got.header.exchange == ExchangeType.IKE_AUTH, what="IKE_AUTH request"
    )


@initiator_case("SGW.I.1.1.6.10", rfc="RFC 7296 2.7")
async def wrong_esp_choice(nut: UnderTest) -> None:
    """Response with inconsistent proposal for CHILD_SA."""
    nut.peer.echo_hosts()
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    sa.target = sa.target.but(esp=suites.ESP_PARTS["A"][1])
    await nut.answer_auth(sa, auth)
    await nut.peer.no_ping(sa.children[0])


@initiator_case("SGW.I.1.1.6.12", rfc="RFC 7296 1.2")
async def ike_sa_alone(nut: UnderTest) -> None:
    """Creating an IKE_SA without a CHILD_SA."""
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    own = sa.id_payload()
    refused = NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN)
    await nut.answer_auth(sa, auth, sa.response(auth, [own, sa.auth_payload(own), refused]))
    await nut.answers(sa, "on the IKE_SA without a child")


@initiator_case("SGW.I.1.1.7.1", rfc="RFC 7296 2.9")
async def narrowed(nut: UnderTest) -> None:
    """Narrowing the range of members of the set of traffic selectors."""
    first, _ = nut.peer.echo_hosts()
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    await nut.answer_auth(sa, auth, sa.auth_response(auth, ts_r=[selector(first)]))
    await nut.ping_from(first, sa.children[0], answered=True)
    await nut.ping_from(nut.other_host(), sa.children[0], answered=False)


@initiator_case("SGW.I.1.1.10.4", rfc="RFC 7296 2.15")
async def binary_secret(nut: UnderTest) -> None:
    """HEX string PSK."""
    sa, init = await nut.begins(COMMON.but("hex-secret", secret=HEX_SECRET))
    sa.target = sa.target.but(psk=Secret(bytes.fromhex(HEX_SECRET[2:])))
    auth = await nut.authenticates(sa, init)
    await nut.answer_auth(sa, auth)
