"""SGW.I.1.2.2 to 1.2.4: CREATE_CHILD_SA requests of the initiator that replace a CHILD_SA or the IKE_SA."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.probe.listen.cases import Function, initiator_case
from ikepy.probe.listen.profile import COMMON, Lifetimes, Profile
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.received import Received
from ikepy.probe.sgw.initiator import suites
from ikepy.probe.sgw.initiator.initial import ENDS_SOON
from ikepy.probe.target import ESP_SUITE, IKE_SUITE
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import KePayload

CHILD_ENDS_SOON = COMMON.but("child-ends", child=Lifetimes(1, 3))
PFS = COMMON.but("pfs", esp=(suites.PFS,))
TWO_PRFS = COMMON.but("two-prfs", ike=(IKE_SUITE, suites.OTHER_PRF), needs_child=False)
CHILDLESS = COMMON.but("childless", needs_child=False)
_REQUEST = "CREATE_CHILD_SA request"


@initiator_case("SGW.I.1.2.2.1", rfc="RFC 7296 2.1")
async def request_repeated(nut: UnderTest) -> None:
    """Retransmissions of CREATE_CHILD_SA requests."""
    _, request = await nut.rekeys_child(await nut.sets_up())
    await nut.repeats(request, f"the {_REQUEST}")


@initiator_case("SGW.I.1.2.2.2", rfc="RFC 7296 2.1")
async def request_stopped(nut: UnderTest) -> None:
    """Stop of retransmission of CREATE_CHILD_SA requests."""
    sa = await nut.sets_up()
    _, request = await nut.rekeys_child(sa)
    interval = await nut.repeats(request, f"the {_REQUEST}")
    await nut.accept_rekey(sa, request)
    await nut.stops(request, interval, _REQUEST)


@initiator_case("SGW.I.1.2.3.1", rfc="RFC 7296 2.8")
async def old_child_closed(nut: UnderTest) -> None:
    """Close the replaced CHILD_SA."""
    sa = await nut.sets_up()
    old, request = await nut.rekeys_child(sa)
    await nut.accept_rekey(sa, request)
    await nut.deletes(sa, old)


@initiator_case("SGW.I.1.2.3.2", rfc="RFC 7296 2.8")
async def new_child_used(nut: UnderTest) -> None:
    """Use of the new CHILD_SA."""
    await _rekey_and_use(nut, COMMON)


@initiator_case("SGW.I.1.2.3.7", rfc="RFC 7296 1.3.3", group="ADVANCED")
async def perfect_forward_secrecy(nut: UnderTest) -> None:
    """Perfect Forward Secrecy."""
    await _rekey_and_use(nut, PFS)


async def _rekey_and_use(nut: UnderTest, profile: Profile) -> None:
    nut.peer.echo_hosts()
    sa = await nut.sets_up(profile)
    await nut.peer.ping(sa.children[0])
    old, request = await nut.rekeys_child(sa)
    if profile is PFS:
        nut.peer.check(request.maybe(KePayload) is not None, "a KE payload", request)
        nut.check_offered(request, suites.PFS)
    new = await nut.accept_rekey(sa, request)
    await nut.deletes(sa, old)
    await nut.peer.ping(new)


@initiator_case("SGW.I.1.2.3.3", rfc="RFC 7296 2.8")
async def child_expires(nut: UnderTest) -> None:
    """Lifetime of CHILD_SA expires."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up(CHILD_ENDS_SOON)
    child = sa.children[0]
    await nut.peer.ping(child)
    async with nut.refusing_rekeys(sa):
        await nut.peer.pause(nut.lifetime_s + nut.peer.limits.quiet_s)
        await nut.peer.no_ping(child)


def _child_offers(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        sa = await nut.sets_up(profile)
        _, request = await nut.rekeys_child(sa)
        _check_choice_again(nut, request, profile.takes[1], profile.esp)

    return function


def _ike_offers(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        request = await nut.rekeys_ike(await nut.sets_up(profile))
        _check_choice_again(nut, request, profile.takes[0], profile.ike)

    return function


def _check_choice_again(nut: UnderTest, request: Received, in_use: str, configured: Sequence[str]) -> None:
    """A rekey offers all that is configured. NotApplicable where it offers no more than what is in use, which
    no RFC forbids."""
    if nut.offers_only(request, in_use):
        raise NotApplicable(f"a rekey offers the suite in use alone, {in_use}")
    nut.check_offers(request, *configured)


for _part, (_words, _suite) in suites.ESP_TWO_TRANSFORMS.items():
    initiator_case(
        f"SGW.I.1.2.3.4.{_part}",
        rfc="RFC 7296 3.3",
        title=f"Sending multiple transforms to rekey CHILD_SA: {_words}",
        group="ADVANCED",
    )(_child_offers(COMMON.but(f"esp-two-{_part}", esp=(_suite,))))

for _part, (_words, _suite) in suites.IKE_TWO_TRANSFORMS.items():
    initiator_case(
        f"SGW.I.1.2.4.4.{_part}",
        rfc="RFC 7296 3.3",
        title=f"Sending multiple transforms to rekey IKE_SA: {_words}",
        group="ADVANCED",
    )(_ike_offers(CHILDLESS.but(f"ike-two-{_part}-childless", ike=(_suite,))))

initiator_case(
    "SGW.I.1.2.3.5",
    rfc="RFC 7296 3.3",
    title="Sending multiple proposals to rekey CHILD_SA",
    group="ADVANCED",
)(_child_offers(COMMON.but("esp-two-proposals", esp=suites.ESP_TWO_PROPOSALS)))
initiator_case(
    "SGW.I.1.2.4.5", rfc="RFC 7296 3.3", title="Sending multiple proposals to rekey IKE_SA", group="ADVANCED"
)(_ike_offers(CHILDLESS.but("ike-two-proposals-childless", ike=suites.IKE_TWO_PROPOSALS)))


@initiator_case("SGW.I.1.2.3.6", rfc="RFC 7296 2.8")
async def rekey_fails(nut: UnderTest) -> None:
    """Rekeying failure.

    The specification wants silence at once; the RFC closes the IKE_SA when it expires and no attempt to rekey
    it succeeded (2.8).
    """
    sa = await nut.sets_up(ENDS_SOON)
    request = await nut.rekeys_ike(sa)
    await nut.refuse(sa, request, NotifyType.NO_PROPOSAL_CHOSEN)
    async with nut.refusing_rekeys(sa):
        await nut.peer.pause(nut.lifetime_s + nut.peer.limits.quiet_s)
        await nut.is_deaf(sa)


@initiator_case("SGW.I.1.2.3.8", rfc="RFC 7296 2.8")
async def old_child_used(nut: UnderTest) -> None:
    """Use of the old CHILD_SA."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])
    old, request = await nut.rekeys_child(sa)
    sa.courteous = False  # the old one is not closed before its delete is answered
    new = await nut.accept_rekey(sa, request)
    await nut.peer.ping(old, reply_by=[old, new])
    sa.courteous = True


@initiator_case("SGW.I.1.2.4.1", rfc="RFC 7296 2.8")
async def old_ike_sa_closed(nut: UnderTest) -> None:
    """Close the replaced IKE_SA."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    new = await nut.accept_ike_rekey(sa, await nut.rekeys_ike(sa))
    await nut.deletes(sa, None)
    await nut.peer.ping(new.children[0])


@initiator_case("SGW.I.1.2.4.2", rfc="RFC 7296 2.8")
async def new_ike_sa_used(nut: UnderTest) -> None:
    """Use of the new IKE_SA."""
    sa = await nut.sets_up(CHILDLESS)
    new = await nut.accept_ike_rekey(sa, await nut.rekeys_ike(sa))
    await nut.deletes(sa, None)
    await nut.answers(new, "on the new IKE_SA")


@initiator_case("SGW.I.1.2.4.3", rfc="RFC 7296 2.8")
async def ike_sa_expires(nut: UnderTest) -> None:
    """Lifetime of IKE_SA expires."""
    sa = await nut.sets_up(ENDS_SOON)
    await nut.answers(sa, "on the IKE_SA")
    async with nut.refusing_rekeys(sa):
        await nut.peer.pause(nut.lifetime_s + nut.peer.limits.quiet_s)
        await nut.is_deaf(sa)


@initiator_case("SGW.I.1.2.4.6", rfc="RFC 7296 2.8")
async def old_ike_sa_used(nut: UnderTest) -> None:
    """Use of the old IKE_SA."""
    sa = await nut.sets_up(CHILDLESS)
    request = await nut.rekeys_ike(sa)
    sa.courteous = False  # it goes when its delete is answered
    await nut.accept_ike_rekey(sa, request)
    await nut.answers(sa, "on the old IKE_SA")
    sa.courteous = True


@initiator_case("SGW.I.1.2.4.7", rfc="RFC 7296 2.18", group="ADVANCED")
async def other_prf(nut: UnderTest) -> None:
    """Changing PRFs when rekeying the IKE_SA."""
    sa = await nut.sets_up(TWO_PRFS)
    request = await nut.rekeys_ike(sa)
    nut.check_offers(request, *TWO_PRFS.ike)
    sa.target = sa.target.but(ike=suites.OTHER_PRF, esp=ESP_SUITE)
    new = await nut.accept_ike_rekey(sa, request)
    await nut.deletes(sa, None)
    await nut.answers(new, "on the new IKE_SA")
