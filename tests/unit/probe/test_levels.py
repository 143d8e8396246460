"""How strongly a case holds a peer to something is what the RFC says: a conforming peer breaks no MUST."""

from __future__ import annotations

import asyncio

import pytest

from ikepy.probe import registry, sets
from ikepy.probe.peer import Peer
from ikepy.probe.registry import Case
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import NotifyPayload
from tests.unit.probe.two_peers import two_peers

SHOULD = (
    # 1.4.1: "normally"; a minimal implementation answers any INFORMATIONAL request emptily (4)
    *("SGW.R.1.1.3.6", "SGW.R.1.2.3.1", "SGW.R.1.2.5.1"),
    *("SGW.R.1.1.10.1.*", "SGW.I.1.1.10.1.*"),  # 3.6
    *("SGW.R.1.4.1.6", "IKEPY.H.2.1", "IKEPY.H.2.2"),  # 2.21.2
    *("SGW.I.1.2.6.[345]", "IKEPY.C.1", "IKEPY.C.2", "IKEPY.C.10", "IKEPY.C.11"),  # 2.8.1, 2.8.2, 2.25
    *("SGW.R.1.4.1.7", "SGW.R.1.4.1.8", "SGW.R.1.4.1.9", "SGW.R.1.4.1.10", "SGW.I.1.2.6.6"),  # 2.25
    *("IKEPY.H.2.24", "IKEPY.H.2.25"),  # 2.25.1
)
MAY = ("SGW.R.1.1.10.2.*", "SGW.I.1.1.10.2.*")  # 3.7


def named(pattern: str) -> list[Case]:
    sets.load()
    return registry.cases((pattern,))


@pytest.mark.parametrize(
    ("pattern", "level"), [*((one, "SHOULD") for one in SHOULD), *((one, "MAY") for one in MAY)]
)
def test_what_is_no_must_in_the_rfc(pattern: str, level: str) -> None:
    found = named(pattern)
    assert found
    assert {one.level for one in found} == {level}


def test_a_peer_that_takes_one_child_alone_lacks_the_second() -> None:
    """RFC 7296 4."""
    (case,) = named("SGW.R.1.1.7.2")

    async def minimal(responder: Peer) -> None:
        sa = await responder.accept_all()
        got = await responder.expect_request(ExchangeType.CREATE_CHILD_SA, sa=sa)
        refusal = NotifyPayload(NotifyType.NO_ADDITIONAL_SAS)
        await responder.answer(sa, got, sa.response(got, [refusal]))

    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            answering = asyncio.create_task(minimal(responder))
            with pytest.raises(NotApplicable, match="a further CHILD_SA"):
                await case.function(initiator)
            await answering

    asyncio.run(scenario())
