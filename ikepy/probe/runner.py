"""Runs cases one behind the other against one peer, and keeps what each came to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ikepy.errors import IntegrityError, PeerError, WireError
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.listen.trigger import Trigger
from ikepy.probe.peer import Peer
from ikepy.probe.registry import Case
from ikepy.probe.target import Target
from ikepy.probe.trace import Trace
from ikepy.probe.transport import Transport
from ikepy.probe.verdict import CaseEnd, Verdict
from ikepy.wire.constants import NotifyType

_CLOSE_S = 10.0
_ENOUGH = (
    3  # failed cases, after which a host that has sent nothing, or has refused us each time, is left alone
)


@dataclass(slots=True)
class Result:
    """What a case came to. `seconds`: how long it took; `sas`: its IKE_SAs, which have the keys."""

    case: Case
    verdict: Verdict
    reason: str
    seconds: float
    trace: Trace = field(default_factory=Trace)
    sas: list[IkeSa] = field(default_factory=list)


async def run(
    cases: Sequence[Case],
    target: Target,
    told: Callable[[Result], None] = lambda _: None,
    initiator: Trigger | None = None,
) -> list[Result]:
    """Run the cases in their order; `told` hears of each result at once, and `initiator` makes one begin.

    A host that has sent nothing when some cases have failed is left alone, and so is one that takes us for
    somebody else: many then no longer hear our address. OSError where the ports can't be had."""
    transport = Transport(target)
    transport.open()
    results: list[Result] = []
    try:
        for number, one in enumerate(cases):
            began = time.monotonic()
            in_vain = _in_vain(results, transport, target)
            if in_vain:
                result = Result(one, Verdict.INCONCLUSIVE, in_vain, 0.0)
            else:
                result = await run_case(one, target, transport, initiator)
            results.append(result)
            told(result)
            if number + 1 < len(cases) and not in_vain:
                await asyncio.sleep(max(began + target.limits.interval_s - time.monotonic(), 0))
    finally:
        transport.close()
    return results


def _in_vain(results: Sequence[Result], transport: Transport, target: Target) -> str:
    """Why no further case is to be run, else nothing."""
    failed = [one for one in results if one.verdict is Verdict.FAIL]
    refused = sum(NotifyType.AUTHENTICATION_FAILED.name in one.reason for one in failed)
    if refused >= _ENOUGH and not any(sa.established for one in results for sa in one.sas):
        return f"{target.host} has refused us {refused} times by AUTHENTICATION_FAILED and never let us in"
    if len(failed) >= _ENOUGH and not transport.received:
        return f"{target.host} has sent nothing so far"
    return ""


async def run_case(
    one: Case, target: Target, transport: Transport, initiator: Trigger | None = None
) -> Result:
    """Run one case with a peer of its own, and delete what it leaves."""
    peer = Peer(target, transport, initiator)
    began = time.monotonic()
    with transport.listened_by(peer.receiver):
        verdict, reason = await _verdict(one, peer)
        seconds = time.monotonic() - began
        try:
            async with asyncio.timeout(_CLOSE_S):
                await peer.close()
        except OSError as error:  # TimeoutError is one
            why = f": {error.strerror}" if error.strerror else ""
            reason = f"{reason}; its IKE_SAs could not be deleted{why}".lstrip("; ")
    return Result(one, verdict, reason, seconds, peer.trace, peer.sas)


async def _verdict(one: Case, peer: Peer) -> tuple[Verdict, str]:
    try:
        async with asyncio.timeout(peer.limits.case_s):
            await one.function(peer)
    except CaseEnd as end:
        return end.verdict, end.reason
    except TimeoutError:
        return Verdict.INCONCLUSIVE, f"took longer than {peer.limits.case_s:g} s"
    except (PeerError, WireError, IntegrityError) as error:
        return Verdict.FAIL, f"what came can't be used: {error}"
    except Exception as error:  # of the case's own doing: it says nothing of the peer
        return Verdict.INCONCLUSIVE, f"the case failed by itself: {type(error).__name__}: {error}"
    return Verdict.PASS, ""
