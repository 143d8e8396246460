"""What the tests of other configurations share: what a site is configured to be, and what it has."""

from __future__ import annotations

from dataclasses import replace

from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa

from .network import Network, Options
from .two_children import child_id, ike_sas, options

PLAIN = options()
ENCAP = options(connection="encap = true")
DELETED = ["a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"]
ANEW = [
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]
STARTED = options(child='rekey_time = 0\nstart_action = "start"')
IMPATIENT = replace(STARTED, daemon="retransmit_timeout = 1\nretransmit_tries = 0")
TRIED = 1.5  # seconds after which a try without an answer is over, and the next one is not due
WITHOUT_SECOND = replace(PLAIN, more="")
# Another connection between the same two hosts, with identities of its own.
OTHER = """
[connections.{name}]
local_addrs = ["{local}"]
remote_addrs = ["{remote}"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.{name}.local]
id = "{own}"
[connections.{name}.remote]
id = "{peer}"
[connections.{name}.children.net]
local_ts = ["10.77.0.0/16"]
remote_ts = ["10.78.0.0/16"]
esp_proposals = ["aes128gcm16"]
{child}
"""


def with_other(site: str, child: str = "rekey_time = 0", base: Options = WITHOUT_SECOND) -> Options:
    local, remote = ("192.0.2.1", "192.0.2.2") if site == "a" else ("192.0.2.2", "192.0.2.1")
    own, peer = ("gwa2", "gwb2") if site == "a" else ("gwb2", "gwa2")
    text = OTHER.format(name="other", local=local, remote=remote, own=own, peer=peer, child=child)
    if site == "b":
        text = text.replace("10.77.", "10.76.").replace("10.78.", "10.77.").replace("10.76.", "10.78.")
    return replace(base, more=base.more + text)


def only(net: Network, name: str = "a") -> IkeSa:
    (sa,) = ike_sas(net, name)
    return sa


def child_of(net: Network, child: str, name: str = "a") -> ChildSa:
    return only(net, name).children[child_id(net, name, child)]


def spis(net: Network, name: str = "a") -> list[int]:
    return sorted(sa.spi for sa in net.site(name).plane.inbound.values())


def sent(net: Network, name: str) -> list[str]:
    return [line for line in net.ladder if line.startswith(name)]
