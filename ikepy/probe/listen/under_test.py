"""The initiator under test as a case has it: what it is made to do, and how we, its responder, answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from ikepy.config.identity import Identity
from ikepy.config.proposals import parse
from ikepy.probe.child import Child
from ikepy.probe.draft import Draft
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.listen.profile import COMMON, Action, Profile
from ikepy.probe.listen.trigger import Trigger
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.target import Address, Network
from ikepy.probe.verdict import Failed, Inconclusive
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import DeletePayload, NotifyPayload, SaPayload
from ikepy.wire.proposal import Proposal

_CROSSING_S = 0.05  # what may be under way still


class UnderTest:
    """One case's initiator. `begins` or `sets_up` come first, with the profile that the case needs."""

    def __init__(self, peer: Peer, trigger: Trigger, case: str) -> None:
        self.peer = peer
        self.profile = COMMON
        self._trigger = trigger
        self._case = case

    # -- what it is made to do -------------------------------------------------------------------------

    async def ask(self, action: Action) -> None:
        """Make it do something. NotApplicable or Inconclusive where it can't be made to."""
        await self._trigger.ask(action, self.profile, self._case)

    @property
    def patience_s(self) -> float:
        """How long what was asked for may take to begin."""
        return self.peer.limits.response_s + self._trigger.patience_s

    async def begins(self, profile: Profile = COMMON) -> tuple[IkeSa, Received]:
        """Its IKE_SA_INIT request, not answered yet, and our end of the IKE_SA."""
        self.profile = profile
        target = self.peer.target.but(ike=profile.takes[0], esp=profile.takes[1])
        if profile.local_id is not None:
            target = target.but(remote_id=Identity.parse(profile.local_id))
        if profile.remote_id is not None:
            target = target.but(local_id=Identity.parse(profile.remote_id))
        self.peer.target = target
        await self.ask(Action.STOP)
        await self.peer.pause(_CROSSING_S)
        self.peer.listen()
        await self.ask(Action.INITIATE)
        return await self.peer.accept(self.patience_s)

    async def sets_up(self, profile: Profile = COMMON) -> IkeSa:
        """The IKE_SA and its child, as it wants them."""
        sa, init = await self.begins(profile)
        await self.answer_auth(sa, await self.authenticates(sa, init))
        return sa

    async def authenticates(self, sa: IkeSa, init: Received, response: Draft | None = None) -> Received:
        """Answer its IKE_SA_INIT request; its IKE_AUTH request, which is right."""
        await self.answer_init(sa, init, response)
        auth = await self.peer.expect_request(ExchangeType.IKE_AUTH, sa=sa, what="an IKE_AUTH request")
        sa.check_auth(auth)
        return auth

    async def answer_init(self, sa: IkeSa, init: Received, response: Draft | None = None) -> None:
        """Answer its IKE_SA_INIT request as it wants, or with another response."""
        response = response or self.init_response(sa, init)
        sa.init_response_octets = await self.peer.answer(sa, init, response)

    def init_response(self, sa: IkeSa, init: Received) -> Draft:
        """A response that takes the target's suite. `Failed` if that is not offered."""
        self.check_offered(init, self.peer.target.ike)
        return sa.init_response(init)

    async def answer_auth(self, sa: IkeSa, auth: Received, response: Draft | None = None) -> Child | None:
        """Answer its IKE_AUTH request as it wants, or with another response; the child, if it wants one."""
        if response is None and auth.maybe(SaPayload) is None:
            own = sa.id_payload()
            response = sa.response(auth, [own, sa.auth_payload(own)])
        await self.peer.answer(sa, auth, response or sa.auth_response(auth))
        sa.port = auth.port
        sa.established = True
        return sa.children[-1] if sa.children else None

    async def rekeys_child(self, sa: IkeSa) -> tuple[Child, Received]:
        """Its request to rekey the child, not answered yet, and that child."""
        (old,) = sa.children
        await self.ask(Action.REKEY_CHILD)
        request = await self._create_child(sa, lambda got: got.notify(NotifyType.REKEY_SA))
        notify = request.notify(NotifyType.REKEY_SA)
        self.peer.check(
            notify is not None and notify.protocol == ProtocolId.ESP and notify.spi == old.spi_out,
            f"N(REKEY_SA) with the initiator's inbound SPI {old.spi_out.hex()}",
            notify,
        )
        return old, request

    async def rekeys_ike(self, sa: IkeSa) -> Received:
        """Its request to rekey the IKE_SA, not answered yet."""
        await self.ask(Action.REKEY_IKE)
        return await self._create_child(sa, lambda got: proposals_of(got)[0].protocol == ProtocolId.IKE)

    async def makes_child(self, sa: IkeSa) -> Received:
        """Its request for a second child, not answered yet."""
        await self.ask(Action.NEW_CHILD)
        return await self._create_child(sa, lambda got: got.notify(NotifyType.REKEY_SA) is None)

    async def _create_child(self, sa: IkeSa, match: Callable[[Received], object]) -> Received:
        return await self.peer.expect_request(
            ExchangeType.CREATE_CHILD_SA,
            sa=sa,
            match=match,
            within=self.patience_s + self.lifetime_s,
            what="a CREATE_CHILD_SA request",
        )

    @property
    def lifetime_s(self) -> float:
        """The longest lifetime in the profile."""
        return max((one.end_s for one in (self.profile.child, self.profile.ike_sa) if one), default=0.0)

    @contextlib.asynccontextmanager
    async def refusing_rekeys(self, sa: IkeSa) -> AsyncIterator[None]:
        """Whatever it asks for by CREATE_CHILD_SA is refused for the time being, so that lifetimes end."""

        async def refuse() -> None:
            while True:
                request = await self._create_child(sa, lambda _: True)
                await self.refuse(sa, request, NotifyType.TEMPORARY_FAILURE)

        task = asyncio.create_task(refuse())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def accept_rekey(self, sa: IkeSa, request: Received, response: Draft | None = None) -> Child:
        """Answer its request for a child, or to rekey one, as it wants or with another response, which is
        made of `child_response`'s; the new child."""
        await self.peer.answer(sa, request, response or self.child_response(sa, request))
        return sa.children[-1]

    def child_response(self, sa: IkeSa, request: Received, *, nonce: bytes | None = None) -> Draft:
        """The response that agrees to a child; that one is `children[-1]` then."""
        return sa.response(request, sa.child_response_payloads(request, nonce=nonce))

    async def accept_ike_rekey(self, sa: IkeSa, request: Received, *, nonce: bytes | None = None) -> IkeSa:
        """Answer its request to rekey the IKE_SA as it wants; the new one, which has the children."""
        draft, new = sa.rekey_response(request, nonce=nonce)
        self.peer.adopt(new)
        await self.peer.answer(sa, request, draft)
        return new

    async def refuse(self, sa: IkeSa, request: Received, type: NotifyType, data: bytes = b"") -> None:
        """Answer a request with an error alone."""
        await self.peer.answer(sa, request, sa.response(request, [NotifyPayload(type, data)]))

    # -- what it is seen to do -------------------------------------------------------------------------

    async def repeats(self, request: Received, what: str) -> float:
        """It sends a request again, octet for octet, as it gets no answer: after how many seconds."""
        again = await self.peer.repeated(request, within=self.peer.limits.repeat_s)
        self.peer.check(again, f"{what} again, the same octets", "it came again" if again else "none")
        return time.monotonic() - request.at

    async def stops(self, request: Received, interval_s: float, what: str) -> None:
        """It does not send a request again within two and a half of its intervals."""
        await self.peer.pause(_CROSSING_S)
        again = await self.peer.repeated(request, copies=request.copies + 1, within=2.5 * interval_s)
        self.peer.check(not again, f"no {what} again", "it came again" if again else "none")

    async def gives_up(self, request: Received, interval_s: float, what: str) -> None:
        """It repeats a request no more, after some time. Inconclusive where the case's time is too short."""
        began, longest = time.monotonic(), interval_s
        while True:
            asked = time.monotonic()
            if not await self.peer.repeated(request, copies=request.copies + 1, within=3 * longest):
                break
            longest = max(longest, time.monotonic() - asked)
            if time.monotonic() - began + 3 * longest > self.peer.limits.case_s:
                raise Inconclusive(f"{what} is still repeated after {time.monotonic() - began:.0f} s")
        self.peer.check(True, f"{what} not repeated for ever", f"{request.copies} repetitions")

    async def deletes(self, sa: IkeSa, child: Child | None, *, within: float | None = None) -> Received:
        """Its request that deletes a child, or the IKE_SA without one. It is answered if we are courteous."""

        def match(got: Received) -> bool:
            deleted = got.all(DeletePayload)
            if child is None:
                return any(one.protocol == ProtocolId.IKE for one in deleted)
            return any(one.protocol == ProtocolId.ESP and child.spi_out in one.spis for one in deleted)

        what = "the IKE_SA" if child is None else f"the child by SPI {child.spi_out.hex()}"
        request = await self.peer.expect_request(
            ExchangeType.INFORMATIONAL,
            sa=sa,
            match=match,
            within=within,
            what=f"a request that deletes {what}",
        )
        self.peer.check(True, f"a request that deletes {what}", request)
        return request

    async def is_deaf(self, sa: IkeSa) -> None:
        """It answers nothing on an IKE_SA that is over, or says no more than that it does not know it."""
        request = sa.informational()
        await self.peer.send(request)
        await self.peer.expect_nothing(
            lambda got: (
                got.header.is_response
                and got.protected
                and got.header.spi_i == sa.spi_i
                and got.header.message_id == request.message_id
            ),
            what="protected response on the IKE_SA that is over",
        )

    async def answers(self, sa: IkeSa, what: str) -> Received:
        """It answers a liveness check on an IKE_SA, with nothing inside (RFC 7296 1.4)."""
        got = await self.peer.ask(sa.informational(), what=f"a response {what}")
        self.peer.check(got.protected and not got.payloads, f"an empty protected response {what}", got)
        return got

    # -- what it offers --------------------------------------------------------------------------------

    def check_offered(self, request: Received, text: str) -> None:
        """It offers these transforms in one proposal, perhaps with others. `Failed` if it does not."""
        offered = proposals_of(request)
        wanted = set(parse(text, ProtocolId(offered[0].protocol))[0].transforms)
        found = [one.number for one in offered if wanted <= set(one.transforms)]
        self.peer.check(found, f"{text} in a proposal", f"proposals {found}" if found else request)

    def check_offers(self, request: Received, *texts: str) -> None:
        """Each text is a proposal of its own that it offers: those transforms and no other, in any order."""
        offered = [set(one.transforms) for one in proposals_of(request)]
        protocol = ProtocolId(proposals_of(request)[0].protocol)
        for text in texts:
            wanted = parse(text, protocol)[0]
            self.peer.check(set(wanted.transforms) in offered, f"a proposal of {text}", str(request))
        numbers = [one.number for one in proposals_of(request)]
        right = list(range(1, len(numbers) + 1))
        self.peer.check(numbers == right, "proposals numbered from 1", numbers)

    def offers_only(self, request: Received, text: str) -> bool:
        """Whether one proposal, with these transforms and no other, is all that it offers."""
        offered = proposals_of(request)
        wanted = parse(text, ProtocolId(offered[0].protocol))[0]
        return [set(one.transforms) for one in offered] == [set(wanted.transforms)]

    # -- hosts behind us -------------------------------------------------------------------------------

    def other_host(self) -> Address:
        """A second host behind us, beside the one that sends echo requests."""
        return next_host(self.peer.target.local_host, self.peer.target.local_net)

    async def ping_from(self, host: Address, child: Child, *, answered: bool) -> None:
        """An echo request of a host behind us through a child, which is answered or not."""
        target = self.peer.target
        self.peer.target = target.but(local_host=host)
        try:
            if answered:
                await self.peer.ping(child)
            else:
                await self.peer.no_ping(child)
        finally:
            self.peer.target = target


def proposals_of(request: Received) -> Sequence[Proposal]:
    """What a request offers. `Failed` if that is nothing."""
    sa = request.maybe(SaPayload)
    if sa is None or not sa.proposals:
        raise Failed(f"expected an SA payload with proposals; came {request}")
    return sa.proposals


def next_host(host: Address, network: Network) -> Address:
    """Another address of a network, near the first one."""
    other = host + 4
    return other if other in network else host - 4
