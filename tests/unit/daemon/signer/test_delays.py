"""A signature that takes long delays nothing else: neither the event loop nor other jobs.

How long things take is not measured: the signer stands still until everything else is done.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ikepy.crypto.schemes import Scheme
from ikepy.daemon.effects.computing import Computing
from ikepy.daemon.signer.signer import Signer
from ikepy.sa.api.computation import Job
from ikepy.sa.api.effects import Compute, Rank
from tests.pki import chain

PATIENCE = 20.0
TURNS = 1000  # of the event loop
SIGNATURES = 8  # at once; more than the processors of most machines, fewer than there are threads


@pytest.fixture
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


def test_other_work_goes_on_while_the_signer_stands_still(signer: Signer) -> None:
    moon = chain("ed25519").moon
    signer.load("any", moon.pkcs8)
    assert signer.pid is not None
    told: dict[int, object] = {}

    async def until(*tickets: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while not told.keys() >= set(tickets):  # noqa: ASYNC110  what fills it is under test
                await asyncio.sleep(0.001)

    async def scenario() -> None:
        computing = Computing(told.__setitem__, threads=1)

        def submit(ticket: int, job: Job, *, waits: bool) -> None:
            computing.submit(Compute(ticket, job, 0.01, Rank.STRANGER, ticket, waits=waits))

        try:
            os.kill(signer.pid or 0, signal.SIGSTOP)
            for ticket in range(SIGNATURES):
                submit(ticket, signer.job(moon.key_id, Scheme.ED25519, b"%d" % ticket), waits=True)
            submit(100, lambda: "a key exchange", waits=False)
            submit(101, lambda: "another one that waits", waits=True)
            await until(100, 101)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert told.keys() == {100, 101}
            os.kill(signer.pid or 0, signal.SIGCONT)
            await until(*range(SIGNATURES))
        finally:
            os.kill(signer.pid or 0, signal.SIGCONT)
            computing.close()

    asyncio.run(scenario())
    public = moon.key.public_key()
    assert isinstance(public, Ed25519PublicKey)
    for ticket in range(SIGNATURES):
        signature = told[ticket]
        assert isinstance(signature, bytes)
        public.verify(signature, b"%d" % ticket)
