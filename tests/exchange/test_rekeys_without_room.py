"""A peer that makes no second SA in an IKE_SA, as minimal ones (RFC 7296 4): all is set up anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import pytest

from ikepy.errors import PeerError
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks import child_rekey
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

from .network import assert_joined
from .two_children import established, ike_sas, options, policies


def no_room(sa: IkeSa, rekey: NotifyPayload, payloads: Sequence[Payload], now: float) -> NoReturn:
    raise PeerError(NotifyType.NO_ADDITIONAL_SAS, "a minimal implementation")


@pytest.mark.parametrize(
    ("life", "after"),
    [
        ("life_time = 300", 200.0),  # asked three times: after 100, 110 and 130 s
        ("life_time = 120", 118.0),  # there is no time for a third
        ("life_time = 0", 200.0),
    ],
)
def test_the_ike_sa_is_authenticated_anew(life: str, after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_rekey, "respond", no_room)
    net = established(options(child=f"rekey_time = 100\nrand_time = 0\n{life}"), options(), second=False)
    (before,) = ike_sas(net, "a")
    net.run(after)
    (sa,) = ike_sas(net, "a")
    assert sa is not before and not before.established
    assert policies(net, "a") == ["net"]
    assert_joined(net)
    net.run(600)
    assert policies(net, "a") == ["net"]
    assert_joined(net)


def test_one_refusal_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    net = established(
        options(child="rekey_time = 100\nrand_time = 0\nlife_time = 300"), options(), second=False
    )
    (before,) = ike_sas(net, "a")
    with monkeypatch.context() as patched:
        patched.setattr(child_rekey, "respond", no_room)
        net.run(105)
    net.run(50)
    assert ike_sas(net, "a") == [before]
    assert_joined(net)
