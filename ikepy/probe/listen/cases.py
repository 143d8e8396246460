"""Registers cases whose subject begins: functions of an `UnderTest`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.peer import Peer
from ikepy.probe.registry import Level, case
from ikepy.probe.verdict import Inconclusive

Function = Callable[[UnderTest], Awaitable[None]]


def initiator_case(
    id: str, *, rfc: str, level: Level = "MUST", title: str = "", group: str = "BASIC"
) -> Callable[[Function], Function]:
    """As `registry.case`, with the initiator's role. LocalMisuse if the ID is taken."""

    def register(function: Function) -> Function:
        async def listen(peer: Peer) -> None:
            if peer.initiator is None:
                raise Inconclusive("nobody makes the initiator begin")
            await function(UnderTest(peer, peer.initiator, id))

        told = title or (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        case(id, rfc=rfc, level=level, title=told, role="initiator", group=group)(listen)
        return function

    return register


def in_parts(
    id: str,
    function: Function,
    parts: dict[str, str],
    *,
    rfc: str,
    level: Level = "MUST",
    group: str = "BASIC",
) -> None:
    """Register one function under the IDs of several parts, each with its title."""
    for part, title in parts.items():
        initiator_case(f"{id}.{part}", rfc=rfc, level=level, title=title, group=group)(function)
