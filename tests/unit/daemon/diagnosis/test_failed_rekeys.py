"""A rekey that failed: told for as long as what was to be rekeyed is there, or has expired by it."""

from __future__ import annotations

import pytest

from ikepy.daemon.diagnosis.findings import Code
from ikepy.sa.api.ends import ChildRemoval, End, Failure, Party
from ikepy.sa.api.events import (
    ChildDown,
    ChildExpired,
    ChildRekeyFailed,
    ChildUp,
    IkeDown,
    IkeRekeyFailed,
    IkeUp,
)
from ikepy.sa.api.snapshot import Waiting
from ikepy.wire.constants import NotifyType

from .bed import CHILD, SA, Bed, codes, every

REFUSED = Failure(Party.PEER, NotifyType.NO_ADDITIONAL_SAS)


def failed() -> Bed:
    bed = Bed()
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    bed.now += 3000
    bed.happens(ChildRekeyFailed(SA, CHILD, REFUSED, 30.0, ""), IkeRekeyFailed(SA, REFUSED, 30.0, ""))
    return bed


def told(bed: Bed, *, up: bool = False) -> list[str]:
    found = every(bed.diagnosis(up=up, waiting=Waiting.COMMAND))
    return [one.what for one in found if one.code is Code.REKEY_REFUSED]


def test_of_what_is_up() -> None:
    child, ike = sorted(told(failed(), up=True))
    assert "it is tried again" in ike and "traffic flows until the child expires" in child


@pytest.mark.parametrize("end", [End.DELETED, End.DELETED_BY_PEER, End.TIMEOUT])
def test_what_ends_otherwise_takes_it_along(end: End) -> None:
    bed = failed()
    bed.happens(ChildDown(SA, CHILD, ChildRemoval.WITH_IKE_SA), IkeDown(SA, end, None, ""))
    assert not told(bed)
    bed = failed()
    bed.happens(ChildDown(SA, CHILD, ChildRemoval.DELETED))
    assert len(told(bed)) == 1, "the IKE_SA still is there"


def test_of_what_has_expired_by_it_nothing_is_promised() -> None:
    bed = failed()
    bed.happens(
        ChildExpired(SA, CHILD),
        ChildDown(SA, CHILD, ChildRemoval.DELETED),
        IkeDown(SA, End.EXPIRED, None, ""),
    )
    bed.now += 3 * 86400
    child, ike = sorted(told(bed))
    assert Code.EXPIRED in codes(bed.diagnosis())
    for text in (ike, child):
        assert text.endswith("the peer refused it, NO_ADDITIONAL_SAS.")
