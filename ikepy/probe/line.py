"""What a case sends, within its bounds, and what goes on beside it: repetitions, waits, tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine

from ikepy.probe.child import Child, unreachable
from ikepy.probe.target import Target
from ikepy.probe.trace import Trace
from ikepy.probe.transport import Transport
from ikepy.probe.verdict import CaseEnd, Inconclusive, NotApplicable

COURTESIES = 64  # jobs beside a case


class Line:
    """A case's way to the peer. Every datagram is traced; `Inconclusive` beyond `limits.datagrams`."""

    def __init__(self, target: Target, transport: Transport) -> None:
        self.target = target
        self.trace = Trace()
        self._transport = transport
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def send_ike(self, octets: bytes, port: int) -> None:
        """Send octets as an IKE message from one of our ports."""
        self._permit()
        self.trace.add(await self._transport.send_ike(octets, port))

    async def send_esp(self, octets: bytes) -> None:
        """Send octets as an ESP packet."""
        self._permit()
        self.trace.add(await self._transport.send_esp(octets))

    async def send_unreachable(self, child: Child) -> None:
        """Tell the peer by ICMP that our address is unreachable, about an ESP packet of a child.
        `NotApplicable` without the right to send it."""
        self._permit()
        try:
            await self._transport.send_icmp(unreachable(self.target.host, self.target.local, child.spi_in))
        except PermissionError:
            raise NotApplicable("ICMP errors need the right to open raw sockets") from None

    def _permit(self) -> None:
        most = self.target.limits.datagrams
        if self.trace.sent >= most:
            raise Inconclusive(f"the case has sent {most} datagrams, its limit")
        self.trace.sent += 1  # not when it leaves: several jobs may wait for their turn

    def repeat(self, octets: bytes, port: int) -> asyncio.Task[None]:
        """Send an IKE message again and again, each time after twice as long."""

        async def again() -> None:
            seconds = self.target.limits.retransmit_s
            while True:
                await asyncio.sleep(seconds)
                await self.send_ike(octets, port)
                seconds *= 2

        return self.do(again())

    def do(self, job: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a job beside the case, until that ends at the latest."""
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def courtesy(self, job: Coroutine[None, None, None]) -> None:
        """Run a job beside the case, unless COURTESIES are under way: a peer that floods us gets no more."""
        if len(self._tasks) < COURTESIES:
            self.do(job)
        else:
            job.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What a job could not send is nobody's error: the case finds its limit when it sends itself."""
        self._tasks.discard(task)
        if not task.cancelled() and not isinstance(error := task.exception(), CaseEnd | OSError | None):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a job beside the case failed", "exception": error, "task": task}
            )

    async def wait(self, deadline: float) -> bool:
        """Until something more comes; False when the time (of `time.monotonic`) is over."""
        try:
            await asyncio.wait_for(self._arrived.wait(), max(deadline - time.monotonic(), 0))
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Something came: all who wait look again."""
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def close(self) -> None:
        """End what runs beside the case."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
