"""ikepy against a real strongSwan: every test gets namespaces and daemons of its own.

When a test ends, both logs are held against what they may never say, and shown if the test failed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ikepy.lab import strongswan
from ikepy.lab.netns import Namespace
from ikepy.lab.pair import Pair
from tests.interop.bed import Bed
from tests.interop.nat import BehindNat, NatPair

_PREFIX = "iki"  # iki-<pid>-<number>-<node>
_NAMESPACES = Path("/run/netns")


@pytest.fixture(scope="session")
def prefixes() -> Iterator[str]:
    """Prefixes for namespaces; what runs that were killed have left is removed."""
    reason = strongswan.missing()
    if reason is not None:
        pytest.skip(reason)
    for path in _NAMESPACES.glob(f"{_PREFIX}-*"):
        made_by = re.match(rf"{_PREFIX}-(\d+)-", path.name)
        if made_by and not Path("/proc", made_by[1]).exists():
            Namespace(path.name).delete()
    return (f"{_PREFIX}-{os.getpid()}-{number}-" for number in itertools.count())


@pytest.fixture
def bed(prefixes: Iterator[str], tmp_path: Path) -> Iterator[Bed]:
    """ikepy and strongSwan on one cable, not yet started."""
    with Pair(next(prefixes)) as pair:
        for number, gateway, host in ((1, pair.left, pair.left_host), (2, pair.right, pair.right_host)):
            gateway.ip(f"addr add 10.{number}.1.1/24 dev lan")
            host.ip(f"addr add 10.{number}.1.10/24 dev eth0")
        with _used(Bed(pair, tmp_path)) as bed:
            yield bed


@pytest.fixture
def make_bed(prefixes: Iterator[str], tmp_path: Path) -> Iterator[Callable[[], Bed]]:
    """A function that makes one more `bed`, so that what takes long can go on side by side."""
    with contextlib.ExitStack() as stack:

        def make() -> Bed:
            prefix = next(prefixes)
            return stack.enter_context(_used(Bed(stack.enter_context(Pair(prefix)), tmp_path / prefix)))

        yield make


@pytest.fixture
def behind_nat(prefixes: Iterator[str], tmp_path: Path) -> Iterator[BehindNat]:
    """A function that puts one of them behind a NAT router."""
    if shutil.which("nft") is None:
        pytest.skip("needs Debian's nftables")
    with contextlib.ExitStack() as stack:

        def make(inside: str) -> tuple[Bed, NatPair]:
            pair = stack.enter_context(NatPair(next(prefixes), inside))
            return stack.enter_context(_used(Bed(pair, tmp_path))), pair

        yield make


@contextlib.contextmanager
def _used(bed: Bed) -> Iterator[Bed]:
    try:
        yield bed
    finally:
        ended = bed.stop()
        print(bed.logs())
    assert ended, "ikepy does not end on SIGTERM"
    bed.assert_healthy()
