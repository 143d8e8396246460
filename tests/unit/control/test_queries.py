"""VICI's messages as the values that ikepy prints: of ikepy, of another daemon, and of SAs in pieces."""

from __future__ import annotations

from ikepy.control.client import Message
from ikepy.control.queries import connections, drop_counters, ike_sas
from tests.unit.control.messages import CONN, IKE, OUR_CHILD, OUR_IKE
from tests.unit.listings import CONNECTION, IKE_SA


def test_our_own() -> None:
    assert ike_sas([{"site-b": OUR_IKE}]) == [IKE_SA]
    assert connections([{"site-b": CONN}]) == [CONNECTION]


def test_another_daemons() -> None:
    """What it does not tell is missing, and nothing else."""
    (sa,) = ike_sas([{"site-b": IKE}])
    (child,) = sa["children"]
    assert child["suite"] == "AES_GCM_16-128"
    assert (child["device"], child["drops"]) == (None, {})
    expected = {**IKE_SA, "suite": "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519", "encap": False}
    assert {**sa, "children": []} == {**expected, "children": []}


def test_an_ike_sa_in_several_events() -> None:
    """Its children are together; one of the same connection is another one."""
    first: Message = {"site-b": OUR_IKE}
    second: Message = {"site-b": OUR_IKE | {"child-sas": {"net-3": OUR_CHILD | {"uniqueid": "3"}}}}
    third: Message = {"site-b": OUR_IKE | {"uniqueid": "9"}}
    found = ike_sas([first, second, third])
    assert [(sa["ike_id"], [child["child_id"] for child in sa["children"]]) for sa in found] == [
        (1, [2, 3]),
        (9, [2]),
    ]


def test_before_it_is_established() -> None:
    sa = {key: value for key, value in IKE.items() if key not in ("established", "initiator", "remote-id")}
    (found,) = ike_sas([{"site-b": sa | {"local-id": "%any", "state": "CONNECTING"}}])
    assert (found["established"], found["initiator"]) == (None, False)
    assert (found["local_id"], found["remote_id"]) == ("", "")


def test_a_reason_may_have_any_signs() -> None:
    child = OUR_CHILD | {"ikepy-drops": ["a = b = 7", "unknown SPI = 12"]}
    (sa,) = ike_sas([{"site-b": OUR_IKE | {"child-sas": {"net-2": child}}}])
    assert sa["children"][0]["drops"] == {"a = b": 7, "unknown SPI": 12}


def test_drops() -> None:
    answer: Message = {
        "control": {"cookies asked for": "3"},
        "worker-1": {"devices": ["vti0", "vti1"], "drops": {"unknown SPI": "12"}},
    }
    assert drop_counters(answer) == {
        "control": {"cookies asked for": 3},
        "worker 1 (vti0, vti1)": {"unknown SPI": 12},
    }
