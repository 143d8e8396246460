"""ikepy.sa.message.query: finding payloads in a message."""

from __future__ import annotations

import pytest

from ikepy.errors import PeerError
from ikepy.sa.message import query
from ikepy.wire.constants import IdType, NotifyType, PayloadType
from ikepy.wire.payloads import IdPayload, KePayload, NoncePayload, NotifyPayload, Payload, TsPayload

ID_I = IdPayload(PayloadType.ID_I, IdType.FQDN, b"a")
ID_R = IdPayload(PayloadType.ID_R, IdType.FQDN, b"b")
TS_I, TS_R = TsPayload(PayloadType.TS_I, ()), TsPayload(PayloadType.TS_R, ())
FIRST, SECOND = NoncePayload(bytes(16)), NoncePayload(bytes(32))
COOKIE, OTHER_COOKIE = NotifyPayload(NotifyType.COOKIE, b"1"), NotifyPayload(NotifyType.COOKIE, b"2")
REFUSED = NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN)
MESSAGE: list[Payload] = [COOKIE, ID_R, ID_I, TS_R, TS_I, FIRST, SECOND, OTHER_COOKIE, REFUSED]


def test_the_first_payload_of_a_kind() -> None:
    assert query.maybe(MESSAGE, NoncePayload) is FIRST
    assert query.must(MESSAGE, NoncePayload) is FIRST
    assert query.maybe(MESSAGE, KePayload) is None


def test_ids_and_selectors_of_each_side() -> None:
    assert query.identity(MESSAGE, PayloadType.ID_I) is ID_I
    assert query.identity(MESSAGE, PayloadType.ID_R) is ID_R
    assert query.identity([ID_I], PayloadType.ID_R) is None
    assert query.selectors(MESSAGE, PayloadType.TS_I) is TS_I
    assert query.selectors(MESSAGE, PayloadType.TS_R) is TS_R


def test_a_missing_payload_is_the_peers_fault_and_fatal() -> None:
    with pytest.raises(PeerError, match="no KePayload") as missing:
        query.must(MESSAGE, KePayload)
    assert (missing.value.notify, missing.value.fatal) == (NotifyType.INVALID_SYNTAX, True)
    with pytest.raises(PeerError, match="no TS_R") as missing:
        query.selectors([TS_I], PayloadType.TS_R)
    assert (missing.value.notify, missing.value.fatal) == (NotifyType.INVALID_SYNTAX, True)


def test_notifies_of_a_type() -> None:
    assert list(query.notifies(MESSAGE, NotifyType.COOKIE)) == [COOKIE, OTHER_COOKIE]
    assert query.notify(MESSAGE, NotifyType.COOKIE) is COOKIE
    assert query.notify(MESSAGE, NotifyType.REKEY_SA) is None


@pytest.mark.parametrize(("number", "is_error"), [(1, True), (8191, True), (16383, True), (16384, False)])
def test_errors_are_below_the_status_types(number: int, is_error: bool) -> None:
    """RFC 7296 3.10.1."""
    found = NotifyPayload(number)
    assert query.error([COOKIE, found]) is (found if is_error else None)


def test_errors_by_name() -> None:
    assert query.error_name(REFUSED) == "NO_PROPOSAL_CHOSEN"
    assert query.error_name(NotifyPayload(12345)) == "error 12345"
