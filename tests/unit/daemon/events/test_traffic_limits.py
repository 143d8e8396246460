"""The watch over volume limits."""

import pytest

from ikepy.config.toml_source import parse
from ikepy.daemon.events.traffic_limits import is_limited

CONFIG = """
[connections.a.children.net]
{line}
[secrets.ike]
secret = "x"
"""


@pytest.mark.parametrize(
    ("line", "limited"),
    [("", False), ("rekey_bytes = 1", True), ("life_packets = 5", True), ("rekey_time = 60", False)],
)
def test_which_children_are_watched(line: str, limited: bool) -> None:
    child = parse(CONFIG.format(line=line)).connections["a"].children["net"]
    assert is_limited(child) == limited
