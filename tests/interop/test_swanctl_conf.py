"""swanctl.conf as a real swanctl reads it: charon and ikepy understand the same of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config.sources import swanctl
from ikepy.lab import pair
from ikepy.lab.vici_text import Section, parse_events
from tests.interop.bed import Bed

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

SECRET = 'secret = "s3cr3t # } \\"quoted\\" \\\\ 0x"'
# References to sections behind and before, values that override and clear, quotes, comments, units.
INTRICATE = """
# comment { with = braces }
times { rekey_time = 90m # a comment
        dpd_delay = 30 s
        unique = replace }
connections {
  one : times, peers.both {
    local_addrs = 192.0.2.2   # ours
    unique =
    children {
      net : narrow
      {
        rekey_bytes = 10M
        remote_ts = 10.1.0.0/24
      }
      second : connections.one.children.net { local_ts = 10.2.1.0/24[tcp/8123], "10.2.2.0/24" }
    }
  }
  two : connections.one { rekey_time=1h
    remote_addrs = 192.0.2.77
    local { id = "other" } }
}
peers { both {
    remote_addrs = 192.0.2.1
    version = 2
    proposals = aes128gcm16-prfsha256-x25519
    local { auth = psk
            id = gwb }
    remote { auth = psk
             id = @gwa }
    children { net { rekey_time = 7d } }
} }
narrow { local_ts = 10.2.0.0/24
  rekey_time = 0x708
  rekey_packets = 1000
  close_action = trap
  dpd_action = restart
  start_action = none }
connections { one { reauth_time = 2h } }
include more/*.conf
"""
MORE = "connections { three : connections.two { remote_addrs = 192.0.2.78 } }\n"
SECRETS = f"secrets {{ ike-1 {{ id-1 = gwa\n{SECRET} }} }}\n"


def understood(text: str, path: Path) -> dict[str, Section]:
    """The connections as ikepy reads them, in the words and units of charon's list-conn."""
    found: dict[str, Section] = {}
    for connection in swanctl.draft(path, text).read().config.connections.values():
        children: Section = {}
        for child in connection.children.values():
            children[child.name] = {
                "rekey_time": f"{child.rekey_time:g}",
                "rekey_bytes": str(child.rekey_bytes),
                "rekey_packets": str(child.rekey_packets),
                "local-ts": [str(one) for one in child.local_ts],
                "remote-ts": [str(one) for one in child.remote_ts],
            }
        found[connection.name] = {
            "local_addrs": [str(one) for one in connection.local_addrs],
            "remote_addrs": [str(one) for one in connection.remote_addrs],
            "rekey_time": f"{connection.rekey_time:g}",
            "reauth_time": f"{connection.reauth_time:g}",
            "unique": f"UNIQUE_{connection.unique.upper()}",
            "dpd_delay": f"{connection.dpd_delay:g}",
            "local-1": {"id": str(connection.local.id)},
            "remote-1": {"id": str(connection.remote.id)},
            "children": children,
        }
    return found


def assert_contains(whole: object, part: object, where: str) -> None:
    """Every key of `part` is in `whole`, with the same value."""
    if isinstance(part, dict):
        assert isinstance(whole, dict), where
        for key, value in part.items():
            assert_contains(whole.get(key), value, f"{where}.{key}")
    else:
        assert whole == part, where


def test_charon_understands_the_same(bed: Bed, tmp_path: Path) -> None:
    files = bed.theirs.run_directory
    (files / "more").mkdir(parents=True)
    (files / "more" / "a.conf").write_text(MORE)
    bed.theirs.start(INTRICATE + SECRETS)
    events = parse_events(bed.theirs.swanctl("--list-conns", "--pretty"), "list-conn")
    theirs = {name: section for event in events for name, section in event.items()}
    ours = understood(INTRICATE + SECRETS, files / "swanctl.conf")
    assert theirs.keys() == ours.keys() == {"one", "two", "three"}
    for name, section in ours.items():
        assert_contains(theirs[name], section, name)


def mirrored(own: int, peer: int) -> str:
    return f"""
base {{ version = 2
  proposals = aes128gcm16-prfsha256-x25519
  local {{ auth = psk }}
  remote {{ auth = psk }} }}
connections {{ net : base {{
  local_addrs = {(pair.LEFT, pair.RIGHT)[own]}
  remote_addrs = {(pair.LEFT, pair.RIGHT)[peer]}
  local {{ id = {("gwa", "gwb")[own]} }}
  remote {{ id = {("gwa", "gwb")[peer]} }}
  children {{ net {{
    local_ts = {(pair.LEFT_NET, pair.RIGHT_NET)[own]}
    remote_ts = {(pair.LEFT_NET, pair.RIGHT_NET)[peer]}
    esp_proposals = aes128gcm16 }} }} }} }}
{SECRETS}"""


def test_the_same_file_at_both_ends_carries_traffic(bed: Bed) -> None:
    bed.theirs.start(mirrored(1, 0))
    bed.ours.start(mirrored(0, 1))
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
