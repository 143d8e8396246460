"""Two daemons: the pod's variables at one end, swanctl.conf or ipsec.conf at the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

SECRET = "LzU0vX3nRkq9TfWm7cYh"
VARIABLES = {
    "IPSEC_LOCALIP": LEFT.outer,
    "IPSEC_LOCALID": LEFT.identity,
    "IPSEC_LOCALNET": "0.0.0.0/0",
    "IPSEC_REMOTEIP": RIGHT.outer,
    "IPSEC_REMOTEID": RIGHT.identity,
    "IPSEC_REMOTENET": "0.0.0.0/0",
    "IPSEC_PSK": SECRET,
    "IPSEC_VTI_KEY": "42",
    "IPSEC_VTI_STATICROUTES": RIGHT.networks[0],
    "IPSEC_VTI_IPADDR_LOCAL": LEFT.vti,
    "IPSEC_VTI_IPADDR_PEER": RIGHT.vti,
    "IPSEC_INTERFACES": "eth0",
}
SWANCTL = f"""
connections {{ site {{
  local_addrs = {RIGHT.outer}
  remote_addrs = {LEFT.outer}
  proposals = aes192gcm16-prfsha256-ecp256
  local {{ auth = psk
          id = {RIGHT.identity} }}
  remote {{ auth = psk
           id = {LEFT.identity} }}
  children {{ net {{ local_ts = 0.0.0.0/0
                    remote_ts = 0.0.0.0/0
                    esp_proposals = aes192gcm16
                    mark_in = 7
                    mark_out = 7 }} }}
  vti {{ addresses = {RIGHT.vti}/30
        routes = {LEFT.networks[0]} }}
}} }}
secrets {{ ike-site {{ id-1 = {LEFT.identity}
  secret = "{SECRET}" }} }}
"""
IPSEC = f"""config setup
conn site
	auto=add
	authby=secret
	ike=aes192gcm16-prfsha256-ecp256!
	esp=aes192gcm16!
	left={RIGHT.outer}
	leftid={RIGHT.identity}
	leftsubnet=0.0.0.0/0
	right={LEFT.outer}
	rightid={LEFT.identity}
	rightsubnet=0.0.0.0/0
	mark=7
"""


@pytest.mark.parametrize("text", [SWANCTL, IPSEC], ids=["swanctl.conf", "ipsec.conf"])
def test_the_pod_by_its_variables_and_a_peer_by_strongswans_file(
    pair: Pair, tmp_path: Path, text: str
) -> None:
    (tmp_path / "right" / "ikepy.secrets").write_text(f'{LEFT.identity} : PSK "{SECRET}"\n')
    pair.right.start(text)
    if text == IPSEC:  # which names no addresses and routes: whoever runs strongSwan sets them
        pair.right.namespace.ip("addr", "add", f"{RIGHT.vti}/30", "dev", "vti7")
        pair.right.namespace.ip("route", "add", LEFT.networks[0], "dev", "vti7")
    pair.left.start_from_environment(VARIABLES)
    assert not pair.left.children()
    ping(pair.left.namespace, LEFT, RIGHT, count=1)  # the image's auto = route: a packet brings it up
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    assert ping(pair.right.namespace, RIGHT, LEFT)
    assert pair.left.process is not None
    for pid in (pair.left.process.pid, *pair.left.workers()):
        kept = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert SECRET.encode() not in kept
    assert SECRET not in pair.left.log() + pair.right.log()
