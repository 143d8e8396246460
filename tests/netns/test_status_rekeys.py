"""`ikepy status` of a peer that rekeys nothing: a daemon of ours plays it, for no strongSwan does that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.diagnoses import found, status, up
from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

# A minimal implementation answers each CREATE_CHILD_SA with NO_ADDITIONAL_SAS (RFC 7296 4). Python imports
# this file when the daemon starts.
MINIMAL = """
from ikepy.errors import PeerError
from ikepy.sa.tasks import child_rekey
from ikepy.wire.constants import NotifyType

def respond(*request):
    raise PeerError(NotifyType.NO_ADDITIONAL_SAS, "a minimal implementation")

child_rekey.respond = respond
"""


def test_a_peer_that_rekeys_nothing(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(MINIMAL)
    esp, group = 'esp_proposals = ["aes128gcm16"]', 'esp_proposals = ["aes128gcm16-x25519"]'
    theirs, ours = (
        configuration(*ends, selectors=True).replace(esp, group) for ends in ((RIGHT, LEFT), (LEFT, RIGHT))
    )
    pair.right.start(theirs, before=f"export PYTHONPATH='{tmp_path}'")
    pair.left.start(ours.replace('remote_ts = ["10.2.0.0/24"', 'remote_ts = ["10.0.0.0/8"'))
    pair.left.ask("initiate", child="net", timeout=10)
    wait_until(lambda: up(pair.left), "it is up")
    with pytest.raises(AssertionError, match="NO_ADDITIONAL_SAS"):
        pair.left.ask("rekey", ike="tunnel", child="net", timeout=10)
    told = found(pair.left, "tunnel", "rekey-refused")
    assert "the peer refused it, NO_ADDITIONAL_SAS" in told["what"]
    assert "In use is AES_GCM_16_128/NO_ESN, without a key exchange" in told["why"]
    assert "the rekey asks for CURVE_25519" in told["why"]
    assert "10.0.0.0/8 fd02::/64, which the rekey asks for, the peer took" in told["why"]
    assert "as minimal ones (RFC 7296 4)" in told["why"]
    assert "the IKE_SA is authenticated anew instead" in told["do"]
    assert "error: The rekey of net failed" in status(pair.left)
    assert ping(pair.left.namespace, LEFT, RIGHT, count=1), "traffic goes on until the child expires"
