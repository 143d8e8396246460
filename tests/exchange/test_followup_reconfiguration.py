"""Another configuration while a child's additional key exchanges go on (RFC 9370 2.2.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .network import DELAY, assert_joined
from .test_established import ike_sa
from .test_followups import COMMANDS, OPTIONS, REKEY, established
from .two_children import policies


@pytest.mark.parametrize("messages", range(len(REKEY)))
def test_the_child_is_configured_no_more_when_it_is_made(messages: int) -> None:
    net = established()
    net.command("a", COMMANDS["child create"])
    net.run((messages + 0.5) * DELAY)
    net.replace_config("b", replace(OPTIONS, more=""))
    net.run(60)
    assert policies(net, "a") == policies(net, "b") == ["net"]
    assert_joined(net)


@pytest.mark.parametrize("messages", range(len(REKEY)))
def test_the_child_is_configured_otherwise_when_it_is_rekeyed(messages: int) -> None:
    """On whichever terms it was made: in the end it conforms to the present ones."""
    net = established()
    net.command("a", COMMANDS["child rekey"])
    net.run((messages + 0.5) * DELAY)
    other = replace(OPTIONS, child="rekey_time = 0\nreplay_window = 64")
    net.replace_config("b", other)
    net.run(60)
    assert_joined(net)
    (child,) = [one for one in ike_sa(net, "b").children.values() if one.in_use]
    assert child.config is ike_sa(net, "b").connection.children["net"]
