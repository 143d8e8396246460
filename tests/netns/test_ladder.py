"""The ladder of a real daemon, which is an unprivileged process by then: decrypted with a key log, and else
not."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

HTTP = '\n[daemon.http]\nlisten = "127.0.0.1:9427"\nladder = true\n'


def messages(gateway: Gateway) -> list[dict[str, Any]]:
    """What a page hears at its beginning."""
    address = (gateway.socket.parent / "ladder.url").read_text().strip()

    def ask() -> list[dict[str, Any]]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}events", timeout=10) as stream:
            while stream.readline() != b"event: messages\n":
                pass
            found: list[dict[str, Any]] = json.loads(stream.readline().removeprefix(b"data: "))
            return found

    return gateway.namespace.call(ask)


@pytest.mark.parametrize("logged", [True, False])
def test_it_is_decrypted_with_a_key_log_alone(pair: Pair, tmp_path: Path, logged: bool) -> None:
    left, right = pair
    extra = f'[daemon]\nkeylog_dir = "{tmp_path / "keys"}"\n' if logged else ""
    right.start(configuration(RIGHT, LEFT))
    left.start(configuration(LEFT, RIGHT, child='start_action = "start"') + extra + HTTP)
    wait_until(left.children, "the tunnel is up")
    found = messages(left)
    assert [one["exchange"] for one in found[-4:]] == ["IKE_SA_INIT", "IKE_SA_INIT", "IKE_AUTH", "IKE_AUTH"]
    assert [one["sender"] for one in found[-4:]] == ["ikepy", "", "ikepy", ""]
    assert [one["decrypted"] for one in found[-4:]] == [False, False, logged, logged]
    address = (left.socket.parent / "ladder.url").read_text().strip()
    assert address.rsplit("/", 2)[1] not in left.log()
