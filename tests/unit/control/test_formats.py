"""The forms of output. That --raw and --pretty are swanctl's is tested with it, in tests/interop."""

from __future__ import annotations

from ikepy.control.client import Message
from ikepy.control.formats import as_json, pretty, raw

MESSAGE: Message = {
    "net": {"uniqueid": "1", "empty": "", "list": ["a", "b"], "none": [], "sub": {}, "umlaut": "\u00fc"},
    "not-text": "\udcff\x01",
}


def test_raw() -> None:
    assert raw("list-sa event", MESSAGE) == (
        "list-sa event {net {uniqueid=1 empty= list=[a b] none=[] sub {} umlaut=0xc3bc} not-text=0xff01}"
    )
    assert raw("stats reply", {}) == "stats reply {}"


def test_pretty() -> None:
    assert pretty("list-sa event", {"a": {"b": "1", "c": ["x"]}}).splitlines() == [
        "list-sa event {",
        "  a {",
        "    b = 1",
        "    c = [",
        "      x",
        "    ]",
        "  }",
        "}",
    ]
    assert pretty("stats reply", {}) == "stats reply {\n}"


def test_json_has_numbers_where_they_are_numbers() -> None:
    message: Message = {
        "net": {
            "uniqueid": "12",
            "bytes-in": "0",
            "local-id": "10",
            "spi-in": "00000012",
            "version": "2",
            "list": ["1"],
        },
        "version": "0.1.0",
        "not-text": "\udcff",
    }
    assert as_json(message) == {
        "net": {
            "uniqueid": 12,
            "bytes-in": 0,
            "local-id": "10",
            "spi-in": "00000012",
            "version": 2,
            "list": ["1"],
        },
        "version": "0.1.0",
        "not-text": "\ufffd",
    }


def test_json_of_counters() -> None:
    message: Message = {"counters": {"site-b": {"ike-rekey-init": "3"}}, "success": "yes"}
    assert as_json(message, ("counters",)) == {
        "counters": {"site-b": {"ike-rekey-init": 3}},
        "success": "yes",
    }
