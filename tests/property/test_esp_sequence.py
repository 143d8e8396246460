"""A sequence number and an IV are never used twice under one key, whatever goes wrong on the way."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from esp.datapath.sa_database import InstallError, SaDatabase
from esp.sa.outbound import LIMIT
from esp.sa.suites import SUITES, Suite
from tests.unit.esp.bed import outbound
from tests.unit.esp.packets import ipv4, keys_for, sa_pair

BAD = b"\x00 no IP packet"  # its framing fails in the middle of a batch
batches = st.lists(st.sampled_from([ipv4(), ipv4(payload=bytes(50)), BAD]), max_size=6)


def nonces(suite: Suite, rows: list[memoryview]) -> Iterator[tuple[bytes, bytes]]:
    """Sequence number (32 bits) and IV of each packet."""
    for row in rows:
        yield bytes(row[4:8]), bytes(row[8 : 8 + suite.iv_length])


@given(st.sampled_from(SUITES), st.lists(batches, max_size=8), st.booleans(), st.integers(0, 40))
def test_one_sa(suite: Suite, work: list[list[bytes]], esn: bool, left: int) -> None:
    """Batches good and bad, right up to the end of the numbers."""
    sa, _ = sa_pair(suite, esn=esn, used=LIMIT[esn] - left)
    used: list[tuple[bytes, bytes]] = []
    wanted = 0
    for batch in work:
        wanted += batch.index(BAD) + 1 if BAD in batch else len(batch)
        with suppress(KeyError):
            used += nonces(suite, sa.seal_batch(batch))
        assert sa.sequence == min(LIMIT[esn], LIMIT[esn] - left + wanted)
    assert len({number for number, _ in used}) == len(used)
    assert not suite.iv_length or len({iv for _, iv in used}) == len(used)
    if not suite.random_iv:
        assert all(struct.unpack("!Q", iv)[0] & 0xFFFFFFFF == int.from_bytes(n, "big") for n, iv in used)


class Installs(RuleBasedStateMachine):
    """Control installs, removes and installs again, by mistake too; packets and errors in between."""

    def __init__(self) -> None:
        super().__init__()
        self.database = SaDatabase()
        self.used: set[tuple[bytes, bytes]] = set()  # keys and nonce

    @rule(child=st.integers(1, 30), key=st.integers(1, 3), standby=st.booleans())
    def install(self, child: int, key: int, standby: bool) -> None:
        message = outbound(child, key, suite=SUITES[0], standby=standby)
        with suppress(InstallError):
            self.database.install_outbound(message)

    @rule(child=st.integers(1, 30))
    def activate(self, child: int) -> None:
        self.database.activate(child)

    @rule(child=st.integers(1, 30))
    def remove(self, child: int) -> None:
        self.database.remove_outbound(child)

    @rule()
    def remove_device(self) -> None:
        self.database.remove_device(1)

    @rule(batch=batches)
    def send(self, batch: list[bytes]) -> None:
        entry = self.database.outbound(1, ipv4())
        if entry is None:
            return
        with suppress(KeyError):
            for _, iv in nonces(SUITES[0], entry.sa.seal_batch(batch)):
                nonce = (keys_for(SUITES[0], entry.sa.spi), iv)
                assert nonce not in self.used
                self.used.add(nonce)


TestInstalls = Installs.TestCase
TestInstalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@dataclass
class FailingSeal:
    """An operating system that has no randomness left, every so often."""

    failures: list[bool]

    def __call__(self, length: int) -> bytes:
        if self.failures and self.failures.pop():
            raise OSError("no randomness")
        return bytes(range(length % 256)) if length < 256 else bytes(length)


@contextmanager
def failing(failures: list[bool]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.urandom", FailingSeal(failures))
        yield


@given(st.sampled_from([s for s in SUITES if s.random_iv]), st.lists(st.booleans(), max_size=10))
def test_errors_in_the_seal_itself(suite: Suite, failures: list[bool]) -> None:
    sa, _ = sa_pair(suite)
    numbers = []
    with failing(list(failures)):
        for _ in range(len(failures) + 2):
            with suppress(OSError):
                numbers += [bytes(row[4:8]) for row in sa.seal_batch([ipv4()])]
    assert len(set(numbers)) == len(numbers)
    assert sa.sequence == len(failures) + 2
