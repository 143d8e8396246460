"""What swanctl --pretty prints, read back."""

from __future__ import annotations

import pytest

from ikepy.lab.vici_text import parse_events

LISTING = """\
list-sa event {
  net {
    uniqueid = 1
    remote-id = C=CH, O=ikepy, CN=gwb
    empty =
    child-sas {
      net-1 {
        state = INSTALLED
        local-ts = [
          10.1.0.0/24
          fd00:1::/64
        ]
      }
    }
  }
}
list-sa event {
  other {
    uniqueid = 2
  }
}
list-sas reply {
}
"""


def test_one_section_an_event() -> None:
    first, second = parse_events(LISTING, "list-sa")
    assert first == {
        "net": {
            "uniqueid": "1",
            "remote-id": "C=CH, O=ikepy, CN=gwb",
            "empty": "",
            "child-sas": {"net-1": {"state": "INSTALLED", "local-ts": ["10.1.0.0/24", "fd00:1::/64"]}},
        }
    }
    assert second == {"other": {"uniqueid": "2"}}


def test_only_the_label_asked_for() -> None:
    assert parse_events(LISTING, "list-sas") == [{}]
    assert parse_events(LISTING, "control-log") == []
    assert parse_events("", "list-sa") == []


@pytest.mark.parametrize("length", range(1, 16))
def test_a_listing_without_its_end(length: int) -> None:
    lines = LISTING.splitlines()[:length]
    with pytest.raises(ValueError, match="without an end"):
        parse_events("\n".join(lines), "list-sa")


def test_a_line_that_is_nothing() -> None:
    with pytest.raises(ValueError, match="unexpected line 'nonsense'"):
        parse_events("list-sa event {\n  nonsense\n}\n", "list-sa")
