"""Connections and secrets that come by VICI, from strongSwan's own package, while others carry traffic."""

from __future__ import annotations

from typing import Any

import pytest
import vici
from vici.exception import CommandException

from tests.interop.flow import Flow
from tests.netns.gateways import Pair, Side, host
from tests.netns.namespaces import wait_until
from tests.netns.test_reconfiguration import KEPT, NEW, addresses, left, reachable, right, spis, up
from tests.netns.test_vici import drain, session, text

pytestmark = pytest.mark.root

EVERYTHING = ["0.0.0.0/0", "::/0"]


def loaded(ends: tuple[Side, Side], *, child: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A connection as a script gives it to the package."""
    own, peer = ends
    return {
        "local_addrs": [own.outer],
        "remote_addrs": [peer.outer],
        "proposals": ["aes128gcm16-prfsha256-x25519"],
        "local": {"auth": "psk", "id": own.identity},
        "remote": {"auth": "psk", "id": peer.identity},
        "children": {
            "net": {
                "local_ts": EVERYTHING,
                "remote_ts": EVERYTHING,
                "esp_proposals": ["aes128gcm16"],
                "start_action": "start",
                **(child or {}),
            }
        },
        "vti": {"addresses": f"{own.vti}/30", "peers": peer.vti, "routes": list(peer.networks)},
        **keys,
    }


def secret(ends: tuple[Side, Side], data: str = "s3cr3t") -> dict[str, Any]:
    return {"id": "ike-new", "type": "IKE", "data": data, "owners": [side.identity for side in ends]}


@pytest.fixture
def kept(pair: Pair) -> Pair:
    """A tunnel from the file is up; the peer knows one more."""
    for ends in (KEPT, NEW):
        for gateway, side in zip(pair, ends, strict=True):
            gateway.namespace.ip("addr", "add", host(side.networks[0], with_prefix=True), "dev", "lo")
    pair.right.start(right(KEPT, "kept") + right(NEW, "new"))
    pair.left.start(left(KEPT, "kept"))
    wait_until(lambda: up(pair.left) == ["kept"], "the tunnel is up")
    return pair


def devices(pair: Pair) -> str:
    return pair.left.namespace.ip("-br", "link")


def is_up(pair: Pair) -> bool:
    return up(pair.left) == ["kept", "new"]


def test_loading_beside_a_flow_loses_no_packet(kept: Pair) -> None:
    before = spis(kept.left, "kept")
    ends = [(gateway.namespace, host(side.networks[0])) for gateway, side in zip(kept, KEPT, strict=True)]
    with Flow(*ends) as flow, session(kept) as client:
        flow.wait_for(20)
        client.load_shared(secret(NEW))
        for _ in range(3):
            client.load_conn({"new": loaded(NEW)})
            wait_until(lambda: is_up(kept), "its start_action is executed")
            assert text(client.get_conns()) == {"conns": ["new"]}
            assert addresses(kept.left.namespace, "new") == [NEW[0].vti]
            assert reachable(kept, NEW)
            _changed_in_place(kept, client)
            _replaced(kept, client)
            _refused(kept, client)
            client.unload_conn({"name": "new"})
            wait_until(lambda: " new" not in devices(kept).replace("\n", " "), "its device is gone")
            assert up(kept.left) == ["kept"]
        flow.wait_for(20)
    flow.assert_nothing_lost()
    assert spis(kept.left, "kept") == before
    assert "ERROR" not in kept.left.log()
    assert "s3cr3t" not in kept.left.log()


def _changed_in_place(pair: Pair, client: vici.Session) -> None:
    before = spis(pair.left, "new")
    client.load_conn({"new": loaded(NEW)})
    assert spis(pair.left, "new") == before
    assert pair.left.log().count("VICI: nothing changed") >= 1
    client.load_conn({"new": loaded(NEW, dpd_delay="30", child={"rekey_time": "7200"})})
    (event,) = [text(one) for one in client.list_conns({"ike": "new"})]
    assert event["new"]["dpd_delay"] == "30"
    assert event["new"]["children"]["net"]["rekey_time"] == "7200"
    client.load_shared(secret(NEW, "another secret"))
    client.load_shared(secret(NEW))
    assert spis(pair.left, "new") == before


def _replaced(pair: Pair, client: vici.Session) -> None:
    before = spis(pair.left, "new")
    client.load_conn({"new": loaded(NEW, encap="yes")})
    wait_until(lambda: is_up(pair) and spis(pair.left, "new") != before, "it is replaced")
    wait_until(lambda: reachable(pair, NEW), "it carries packets")


def _refused(pair: Pair, client: vici.Session) -> None:
    before = spis(pair.left, "new")
    for bad, words in (
        ({"new": loaded(NEW, mobike="perhaps")}, r"connections\.new\.mobike: "),
        ({"new": loaded(NEW, vti={"name": "vti-kept"})}, r"connections\.new\.vti\.name: .*the same name"),
        ({"new": loaded(NEW, vti={"name": "eth0"})}, r"connections\.new\.vti\.name: a device eth0 exists"),
    ):
        with pytest.raises(CommandException, match=words):
            client.load_conn(bad)
    assert spis(pair.left, "new") == before


def test_a_reload_leaves_what_came_by_vici(kept: Pair) -> None:
    with session(kept) as client:
        client.load_shared(secret(NEW))
        client.load_conn({"new": loaded(NEW)})
        wait_until(lambda: is_up(kept), "both are up")
        before = spis(kept.left, "new"), spis(kept.left, "kept")
        kept.left.reload(left(KEPT, "kept", connection="dpd_delay = 30"))
        assert (spis(kept.left, "new"), spis(kept.left, "kept")) == before
        client.load_shared(secret(NEW, "another secret that nobody guesses"))  # the peer's is the old one yet
        drain(client.terminate({"ike": "new"}))
        initiate = {"child": "net", "ike": "new", "timeout": "15000"}
        with pytest.raises(CommandException, match="AUTHENTICATION_FAILED"):
            drain(client.initiate(initiate))
        drain(client.initiate(initiate))  # with the one that was replaced
        wait_until(lambda: is_up(kept), "it is up again")
        assert spis(kept.left, "kept") == before[1]
        before = spis(kept.left, "new"), before[1]
        client.clear_creds()
        assert spis(kept.left, "new") == before[0]  # until it authenticates again
        assert text(client.get_shared()) == {"keys": []}
        with pytest.raises(CommandException, match="connection 'kept' not found"):
            client.unload_conn({"name": "kept"})
