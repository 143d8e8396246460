"""The peer that a case plays: it sends any message, waits for any answer, and judges what comes.

`establish`, `init`, `accept` and `ping` do what a case needs before its point; `send`, `ask`, `expect` and
`check` are for the point itself. What nobody waits for stays in the inbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Sequence

from ikepy.probe.child import Child, echo_request
from ikepy.probe.draft import Draft
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.inbox import EspPacket, Inbox
from ikepy.probe.line import Line
from ikepy.probe.listen.trigger import Trigger
from ikepy.probe.received import Received, exchange_name, notify_name
from ikepy.probe.target import Address, Target
from ikepy.probe.trace import Trace
from ikepy.probe.transport import Transport
from ikepy.probe.verdict import CaseEnd, Failed, NotApplicable
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import NotifyPayload

Match = Callable[[Received], object]
_echo_ids = itertools.count(0x1AE1)


class Peer:
    """One case's end. It is closed by the runner, which then deletes what still stands."""

    def __init__(self, target: Target, transport: Transport, initiator: Trigger | None = None) -> None:
        """`initiator`: makes the peer begin, where that is the initiator."""
        self.target = target
        self.initiator = initiator
        self.limits = target.limits
        self.last_sent = b""  # octets of the last message that was made and sent
        self._line = Line(target, transport)
        self.receiver = Inbox(self._line)

    @property
    def trace(self) -> Trace:
        """What was sent, received and judged so far."""
        return self._line.trace

    @property
    def sas(self) -> list[IkeSa]:
        """The case's IKE_SAs."""
        return self.receiver.sas

    @property
    def inbox(self) -> list[Received]:
        """The messages that came and were not waited for."""
        return self.receiver.messages

    @property
    def esp_inbox(self) -> list[EspPacket]:
        """The ESP packets that came and were not waited for."""
        return self.receiver.packets

    # -- before the point ----------------------------------------------------------------------------

    def new_sa(self, target: Target | None = None) -> IkeSa:
        """An IKE_SA that we are to begin, by another target's identity if one is given; nothing is sent."""
        return self.adopt(IkeSa(target or self.target, initiator=True))

    def as_identity(self, name: str) -> Target:
        """The target with our identity for a set-up of the peer by this name. `NotApplicable` where the run
        has none."""
        identity = self.target.identities.get(name)
        if identity is None:
            raise NotApplicable(f"no identity is given for the set-up {name!r} of the peer (--identity)")
        return self.target.but(local_id=identity)

    async def trigger(self, name: str) -> bool:
        """Make the peer do something by itself (initiate, rekey-child, rekey-ike, delete-child, delete-ike),
        where the run has a command for it. False: it has none, and the peer's own timers do it within
        `limits.lifetime_s`; `NotApplicable` where nobody waits for these."""
        command = self.target.triggers.get(name)
        if command is None:
            if self.limits.lifetime_s <= 0:
                raise NotApplicable(f"nothing makes the peer act by itself (--trigger {name}, --lifetime)")
            return False
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
        self._line.do(self._reap(process))
        return True

    @property
    def acts_within_s(self) -> float:
        """Seconds until what was triggered has come, or the peer's timers have acted."""
        return max(self.limits.response_s, self.limits.lifetime_s)

    @staticmethod
    async def _reap(process: asyncio.subprocess.Process) -> None:
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def adopt(self, sa: IkeSa) -> IkeSa:
        """Messages of this IKE_SA, as one that a rekey made, are ours and are opened from now on."""
        self.sas.append(sa)
        self.claim(sa.spi_i)
        return sa

    def claim(self, spi_i: bytes) -> None:
        """Messages with this initiator's SPI are ours from now on; those of what we send are it anyway."""
        self.receiver.claimed.add(spi_i)

    async def init(self, sa: IkeSa | None = None, request: Draft | None = None) -> IkeSa:
        """IKE_SA_INIT, with a cookie if the peer wants one; the IKE_SA has keys then. `Failed` if not."""
        sa = sa or self.new_sa()
        _, answer = await self.ask_init(request or sa.init_request())
        sa.take_init_response(answer)
        return sa

    async def ask_init(self, request: Draft) -> tuple[Draft, Received]:
        """Send an IKE_SA_INIT request, again with a cookie if the peer wants one (RFC 7296 2.6): the request
        that was answered, and the answer, whatever it is. `Failed` if none comes."""
        answer = await self.ask(request, what="an IKE_SA_INIT response")
        cookie = answer.notify(NotifyType.COOKIE)
        if cookie is None or len(answer.payloads) != 1:
            return request, answer
        first = NotifyPayload(NotifyType.COOKIE, cookie.data)
        request = request.but(payloads=(first, *request.payloads))
        answer = await self.ask(request, what="a response to an IKE_SA_INIT request with its cookie")
        return request, answer

    async def auth(self, sa: IkeSa) -> Child:
        """IKE_AUTH after `init`: the first child. `Failed` if the peer does not agree."""
        request = sa.auth_request()
        answer = await self.ask(request, what="an IKE_AUTH response")
        return sa.take_auth_response(answer, request)

    async def establish(self, sa: IkeSa | None = None) -> IkeSa:
        """IKE_SA_INIT, unless it is over, and IKE_AUTH; then there is `sa.child`. `Failed` if the peer does
        not agree."""
        if sa is None or sa.keys is None:
            sa = await self.init(sa)
        if self.target.childless:
            sa.check_auth(await self.ask(sa.auth_request(), what="an IKE_AUTH response"))
            sa.established = True
        else:
            await self.auth(sa)
        return sa

    async def create_child(self, sa: IkeSa, rekey: Child | None = None) -> Child:
        """CREATE_CHILD_SA for a further child, or one that takes the place of `rekey`, without deleting
        that. `Failed` if the peer does not agree."""
        request = sa.create_child_request(rekey=rekey)
        return sa.take_create_child(await self.ask(request, what="a CREATE_CHILD_SA response"), request)

    async def rekey_ike(self, sa: IkeSa) -> IkeSa:
        """CREATE_CHILD_SA that replaces the IKE_SA, which is not deleted; the new one is adopted."""
        request, new = sa.rekey_request()
        self.adopt(new)
        sa.take_rekey(await self.ask(request, what="a response to the rekey of the IKE_SA"), new)
        return new

    async def accept(self, within: float | None = None) -> tuple[IkeSa, Received]:
        """As responder: wait for an IKE_SA_INIT request of the peer; its IKE_SA, which has not answered yet.
        `Failed` if none comes."""
        self.listen()
        request = await self.expect_request(ExchangeType.IKE_SA_INIT, within=within)
        sa = IkeSa(self.target, initiator=False, spi_i=request.header.spi_i)
        sa.port = request.port
        return self.adopt(sa), request

    def listen(self) -> None:
        """Take requests of IKE_SAs that we don't know from now on, before the peer is made to begin."""
        self.receiver.listening = True

    async def accept_all(self, within: float | None = None) -> IkeSa:
        """As responder: answer IKE_SA_INIT and IKE_AUTH of the peer as it wants. `Failed` if it does not come
        up."""
        sa, init = await self.accept(within)
        sa.init_response_octets = await self.send(sa.init_response(init), sa)
        auth = await self.expect_request(ExchangeType.IKE_AUTH, sa=sa)
        await self.answer_auth(sa, auth)
        return sa

    async def answer_auth(self, sa: IkeSa, auth: Received) -> Child:
        """As responder: check the peer's IKE_AUTH request and answer it; the child."""
        sa.check_auth(auth)
        sa.port = auth.port
        await self.answer(sa, auth, sa.auth_response(auth))
        sa.established = True
        return sa.children[-1]

    # -- messages ------------------------------------------------------------------------------------

    async def send(self, draft: Draft, sa: IkeSa | None = None, *, port: int | None = None) -> bytes:
        """Send a message once; the octets that were sent. It leaves from the IKE_SA's port unless `port`
        says otherwise."""
        self.last_sent = octets = draft.encode()
        self.claim(draft.spi_i)
        sa = sa or self.receiver.sa_of(draft.spi_i, draft.spi_r)
        if sa is not None and draft.exchange == ExchangeType.IKE_SA_INIT and sa.initiator:
            sa.init_request_octets = octets
        await self.send_octets(octets, self._port(sa) if port is None else port)
        return octets

    async def send_octets(self, octets: bytes, port: int | None = None) -> None:
        """Send octets as an IKE message, whatever they are."""
        await self._line.send_ike(octets, self.target.local_port if port is None else port)

    async def ask(
        self, draft: Draft, *, within: float | None = None, what: str = "", again: bool = True
    ) -> Received:
        """Send a request and wait for its response. It is sent again, octet for octet, while none comes,
        unless `again` is False. `Failed` if none comes in time (`within`: seconds)."""

        def match(got: Received) -> bool:
            header = got.header
            return (
                (header.is_response, header.message_id, header.exchange)
                == (True, draft.message_id, draft.exchange)
            ) and header.spi_i == draft.spi_i

        self.inbox[:] = [got for got in self.inbox if not match(got)]  # late copies of former answers
        octets = await self.send(draft)
        port = self._port(self.receiver.sa_of(draft.spi_i, draft.spi_r))
        repeat = self._line.repeat(octets, port) if again else None

        wanted = what or f"a response to {exchange_name(draft.exchange)} request {draft.message_id}"
        try:
            return await self.expect(match, within=within, what=wanted)
        finally:
            if repeat is not None:
                repeat.cancel()

    async def answer(self, sa: IkeSa, request: Received, draft: Draft | None = None) -> bytes:
        """Answer a request of the peer, emptily without `draft`; again if it asks again."""
        octets = await self.send(draft or sa.response(request), sa, port=request.port)
        request.answer = octets
        return octets

    async def expect(self, match: Match, *, within: float | None = None, what: str = "a message") -> Received:
        """Wait for a message that `match` accepts, understood or not waited for before. `Failed` if none
        comes in time."""
        seconds = self.limits.response_s if within is None else within
        deadline = time.monotonic() + seconds
        while True:
            for got in self.inbox:
                if not got.problem and match(got):
                    self.inbox.remove(got)
                    return got
            if not await self._line.wait(deadline):
                raise Failed(f"expected {what} within {seconds:g} s; {self._what_came()}")

    async def expect_request(
        self,
        exchange: int,
        *,
        sa: IkeSa | None = None,
        match: Match = lambda _: True,
        within: float | None = None,
        what: str = "",
    ) -> Received:
        """Wait for a request of the peer. `Failed` if none comes in time."""

        def wanted(got: Received) -> bool:
            return bool(
                not got.header.is_response
                and got.header.exchange == exchange
                and (sa is None or got.header.spi_i == sa.spi_i)
                and match(got)
            )

        return await self.expect(wanted, within=within, what=what or f"a request {exchange_name(exchange)}")

    async def expect_nothing(
        self, match: Match = lambda _: True, *, within: float | None = None, what: str
    ) -> None:
        """Wait, and `Failed` if a message comes that `match` accepts."""
        deadline = time.monotonic() + (self.limits.quiet_s if within is None else within)
        while True:
            for got in self.inbox:
                if match(got):
                    self.judge(f"no {what}", str(got), passed=False)
            if not await self._line.wait(deadline):
                self.judge(f"no {what}", "none", passed=True)
                return

    async def repeated(self, request: Received, *, copies: int = 1, within: float) -> bool:
        """Whether a request of the peer came that often again within so many seconds."""
        deadline = time.monotonic() + within
        while request.copies < copies:
            if not await self._line.wait(deadline):
                return False
        return True

    def check(self, condition: object, expected: str, came: object = "") -> None:
        """Judge one thing: `Failed` unless the condition holds. Both texts stand in the report."""
        self.judge(expected, str(came), passed=bool(condition))

    def judge(self, expected: str, came: str, *, passed: bool) -> None:
        """As `check`."""
        self.trace.judge(expected, came, passed=passed)
        if not passed:
            raise Failed(f"expected {expected}; came {came}" if came else f"expected {expected}")

    def check_notify(self, got: Received, *types: NotifyType) -> NotifyPayload:
        """`Failed` unless the message has a notify of one of these types; that notify."""
        found = next((n for type in types if (n := got.notify(type)) is not None), None)
        self.check(found is not None, " or ".join(f"N({notify_name(one)})" for one in types), got)
        if found is None:
            raise Failed("unreachable")
        return found

    @staticmethod
    def lacking(got: Received, what: str, *refusals: NotifyType) -> None:
        """`NotApplicable` where the peer refuses what it may lack, by NO_PROPOSAL_CHOSEN or by these."""
        for refusal in refusals or (NotifyType.NO_PROPOSAL_CHOSEN,):
            if got.notify(refusal) is not None:
                raise NotApplicable(f"the peer does not take {what}: {got}")

    async def pause(self, seconds: float) -> None:
        """Wait; what comes meanwhile is kept, courtesies are done."""
        await asyncio.sleep(seconds)

    async def alive(self, sa: IkeSa) -> bool:
        """Whether the peer answers a liveness check on an IKE_SA."""
        try:
            answer = await self.ask(sa.informational())
        except Failed:
            return False
        return answer.error is None

    # -- through the tunnel --------------------------------------------------------------------------

    async def send_esp(self, octets: bytes) -> None:
        """Send an ESP packet, whatever it is."""
        await self._line.send_esp(octets)

    async def send_unreachable(self, child: Child) -> None:
        """Tell the peer by ICMP that our address is unreachable, about an ESP packet of a child. Not
        protected, and so not to be believed. `NotApplicable` without the right to send it."""
        await self._line.send_unreachable(child)

    async def expect_esp(
        self,
        match: Callable[[EspPacket], object],
        *,
        within: float | None = None,
        what: str = "an ESP packet",
    ) -> EspPacket:
        """Wait for an ESP packet that `match` accepts. `Failed` if none comes in time."""
        seconds = self.limits.response_s if within is None else within
        deadline = time.monotonic() + seconds
        while True:
            for got in self.esp_inbox:
                if match(got):
                    self.esp_inbox.remove(got)
                    return got
            if not await self._line.wait(deadline):
                others = "; ".join(map(str, self.esp_inbox[-3:]))
                raise Failed(f"expected {what} within {seconds:g} s; came {others or 'no ESP packet'}")

    def echo_hosts(self) -> tuple[Address, Address]:
        """Source and destination of echo requests. `NotApplicable` where nobody behind the peer answers."""
        if self.target.childless:
            raise NotApplicable("the run is childless: the peer installs no CHILD_SA here")
        if self.target.remote_host is None:
            raise NotApplicable("no host behind the peer is named that answers echo requests")
        return self.target.local_host, self.target.remote_host

    async def ping(
        self,
        child: Child,
        *,
        source: Address | None = None,
        reply_by: Sequence[Child] = (),
        within: float | None = None,
    ) -> EspPacket:
        """Send an echo request through a child, and wait for the reply, which comes under the same child, or
        one of `reply_by`. `Failed` if none comes."""
        usual, destination = self.echo_hosts()
        source = source or usual
        identifier = next(_echo_ids) & 0xFFFF
        allowed = tuple(reply_by) or (child,)

        def match(got: EspPacket) -> bool:
            return got.inner is not None and got.inner.is_reply and got.inner.identifier == identifier

        repeat = self._line.do(self._ping_again(child, source, destination, identifier))
        try:
            got = await self.expect_esp(match, within=within, what="an echo reply through the tunnel")
        finally:
            repeat.cancel()
        spis = " or ".join(one.spi_in.hex() for one in allowed)
        self.check(got.child in allowed, f"the echo reply under SPI {spis}", f"SPI {got.octets[:4].hex()}")
        return got

    async def _ping_again(self, child: Child, source: Address, destination: Address, identifier: int) -> None:
        for sequence in range(6):  # the first one may be there before the peer has the child
            await self.send_esp(child.seal(echo_request(source, destination, identifier, sequence)))
            await asyncio.sleep(self.limits.retransmit_s * 2**sequence / 16)

    async def no_esp(self, match: Callable[[EspPacket], object], *, what: str) -> None:
        """Wait, and `Failed` if an ESP packet comes that `match` accepts."""
        deadline = time.monotonic() + self.limits.quiet_s
        while True:
            for got in self.esp_inbox:
                if match(got):
                    self.judge(f"no {what}", str(got), passed=False)
            if not await self._line.wait(deadline):
                self.judge(f"no {what}", "none", passed=True)
                return

    async def no_ping(self, child: Child) -> None:
        """Send an echo request through a child, and `Failed` if a reply comes."""
        source, destination = self.echo_hosts()
        identifier = next(_echo_ids) & 0xFFFF
        await self.send_esp(child.seal(echo_request(source, destination, identifier, 0)))

        def reply(got: EspPacket) -> bool:
            return got.inner is not None and got.inner.is_reply and got.inner.identifier == identifier

        await self.no_esp(reply, what="echo reply")

    # -- the end ---------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Delete the IKE_SAs that still stand, and end what runs beside the case. Those that are half-open
        are established for that: a peer may take no more of us while it has many of these. Raises OSError
        where nothing can be sent."""
        try:
            for sa in self.sas:
                with contextlib.suppress(CaseEnd):
                    await self._finish(sa)
                if sa.established and sa.keys is not None:
                    with contextlib.suppress(CaseEnd):
                        await self.ask(sa.delete(), within=self.limits.quiet_s, again=False)
                    sa.established = False
        finally:
            await self._line.close()

    async def _finish(self, sa: IkeSa) -> None:
        """IKE_AUTH, if IKE_SA_INIT alone was answered."""
        if not sa.initiator or sa.established or sa.next_id != 1:
            return
        if sa.keys is None and sa.init_answer is not None:
            sa.take_init_response(sa.init_answer)
        if sa.keys is not None:
            await self.ask(sa.auth_request(), within=self.limits.quiet_s, again=False)
            sa.established = True

    def _what_came(self) -> str:
        return "came " + ("; ".join(str(got) for got in self.inbox[-3:]) or "nothing")

    def _port(self, sa: IkeSa | None) -> int:
        return self.target.local_port if sa is None else sa.port
