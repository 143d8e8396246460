"""A gateway is killed: its peer hears it from the next one (RFC 6290), and may resume (RFC 5723)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

# Without a token it would take minutes: the first retransmission comes after 4 s, the end after 165 s.
LATEST = 60.0


@pytest.mark.parametrize("resumption", [False, True])
def test_a_gateway_is_killed_and_begins_anew(pair: Pair, tmp_path: Path, resumption: bool) -> None:
    connection = f"dpd_delay = 1\nresumption = {str(resumption).lower()}"
    gateway = configuration(RIGHT, LEFT, connection=connection)
    gateway += f'[daemon]\nstate_dir = "{tmp_path / "state"}"\n'
    client = configuration(LEFT, RIGHT, connection=connection, child='start_action = "start"')
    pair.right.start(gateway)
    pair.left.start(client)
    wait_until(pair.left.children, "the child is installed")
    (before,) = pair.left.children()
    assert ping(pair.left.namespace, LEFT, RIGHT)
    pair.right.kill()
    pair.right.start(gateway)

    def is_back() -> bool:
        children = pair.left.children()
        return (
            len(children) == 1 and children[0]["spi_in"] != before["spi_in"] and bool(pair.right.children())
        )

    wait_until(is_back, "the tunnel is back", timeout=LATEST)
    assert ping(pair.left.namespace, LEFT, RIGHT)
    log = pair.left.log()
    assert "the peer has restarted, and does not know it any more" in log
    assert ("resumed" in pair.right.log()) is resumption
    assert (tmp_path / "state" / "restart.keys").stat().st_mode & 0o777 == 0o600
