"""What the peer under test has to be configured for, in the words of ikepy, strongSwan and libreswan.

The secret is not printed: `SECRET` stands in its place.
"""

from __future__ import annotations

import json
from ipaddress import ip_network

from ikepy.config.identity import Identity
from ikepy.probe.sgw.suites import ESP_ALTERNATIVES
from ikepy.probe.target import Network, Target

SECRET = "THE-SECRET-GOES-HERE"

# In swanctl's words: the base with the transforms of `IKE_ALTERNATIVES`, in their order.
_IKE = (
    "aes256-sha256-modp2048",
    "aes128-sha256-prfsha384-modp2048",
    "aes128-sha384-prfsha256-modp2048",
    "aes128-sha256-modp3072",
    "aes128-sha256-prfsha512-modp2048",
    "aes128-sha512-prfsha256-modp2048",
    "aes128-sha256-ecp256",
)
_PFS = "aes128-sha256-modp2048-noesn"
_POOL = {4: "10.3.0.0/24", 6: "fd00:3::/112"}


def ike_proposals(target: Target) -> list[str]:
    """The base suite of IKE, then the alternatives of the ADVANCED cases."""
    return [target.ike, *_IKE]


def esp_proposals(target: Target) -> list[str]:
    """The base suite of ESP, then with PFS, then the alternatives of the ADVANCED cases."""
    return [target.esp, _PFS, *ESP_ALTERNATIVES.values()]


def _behind_probe(target: Target) -> list[str]:
    """Link Y, and the probe's own address as an end node."""
    return [str(target.local_net), str(ip_network(target.local))]


def pool(target: Target) -> Network:
    """The addresses for those who come with the identity `config`."""
    return ip_network(_POOL[target.host.version])


def ikepy(target: Target) -> str:
    """ikepy.toml."""
    tables = [_ikepy(target, "probe", target.local_id, _behind_probe(target), "probe0", "")]
    config = target.identities.get("config")
    if config is not None:
        tables.append(_ikepy(target, "config", config, ["dynamic"], "probe1", 'pools = ["probe"]\n'))
        tables.append(f'[pools.probe]\naddrs = "{pool(target)}"\n')
    certificate = target.identities.get("certificate")
    if certificate is not None:
        for place in range(3):
            tables.append(_ikepy_certificate(target, place, f"certificate{place}", certificate))
        tables.append('[secrets.private-nut]\nfile = "nut.key"\n')
    return "\n".join(tables)


def _ikepy(
    target: Target, name: str, identity: Identity, remote_ts: list[str], device: str, more: str
) -> str:
    words = json.dumps
    return f"""\
[connections.{name}]
local_addrs = ["{target.host}"]
remote_addrs = ["{target.local}"]
proposals = {words(ike_proposals(target))}
unique = "never"
{more}
[connections.{name}.local]
auth = "psk"
id = {words(str(target.remote_id))}
[connections.{name}.remote]
auth = "psk"
id = {words(str(identity))}
[connections.{name}.children.net]
local_ts = ["{target.remote_net}"]
remote_ts = {words(remote_ts)}
esp_proposals = {words(esp_proposals(target))}
start_action = "none"
[connections.{name}.vti]
name = "{device}"
[secrets.ike-{name}]
ids = {words([str(target.remote_id), str(identity)])}
secret = "{SECRET}"
"""


def _ikepy_certificate(target: Target, place: int, name: str, identity: Identity) -> str:
    """A connection by certificates for one of HOST's identities; its files are in x509, x509ca, private."""
    words = json.dumps
    return f"""\
[connections.{name}]
local_addrs = ["{target.host}"]
remote_addrs = ["{target.local}"]
proposals = {words(ike_proposals(target))}
unique = "never"
[connections.{name}.local]
auth = "pubkey"
certs = ["nut.crt"]
id = {words(_nut(target)[place])}
[connections.{name}.remote]
auth = "pubkey"
cacerts = ["ca.crt"]
id = {words(str(identity))}
[connections.{name}.children.net]
local_ts = ["{target.remote_net}"]
remote_ts = ["{target.local_net}"]
esp_proposals = {words(esp_proposals(target))}
[connections.{name}.vti]
name = "probe{place + 2}"
"""


def _nut(target: Target) -> list[str]:
    """HOST's identities in the parts of the cases with certificates, all in one certificate."""
    return [str(target.host), "nut.example.com", "nut@example.com"]


def swanctl(target: Target) -> str:
    """swanctl.conf."""
    parts = [_swanctl(target, "probe", target.local_id, ",".join(_behind_probe(target)), "")]
    config = target.identities.get("config")
    pools = ""
    if config is not None:
        parts.append(_swanctl(target, "config", config, "dynamic", "    pools = probe\n"))
        pools = f"pools {{\n  probe {{\n    addrs = {pool(target)}\n  }}\n}}\n"
    certificate = target.identities.get("certificate")
    if certificate is not None:
        parts += [_swanctl_certificate(target, place, certificate) for place in range(3)]
    ids = [target.remote_id, target.local_id, *target.identities.values()]
    named = "".join(f"    id-{n} = {one}\n" for n, one in enumerate(ids))
    secrets = f"secrets {{\n  ike-probe {{\n{named}    secret = {SECRET}\n  }}\n}}\n"
    return "connections {\n" + "".join(parts) + "}\n" + pools + secrets


def _swanctl(target: Target, name: str, identity: Identity, remote_ts: str, more: str) -> str:
    return f"""\
  {name} {{
    version = 2
    local_addrs = {target.host}
    remote_addrs = {target.local}
    proposals = {",".join(ike_proposals(target))}
    unique = never
{more}    local {{
      auth = psk
      id = {target.remote_id}
    }}
    remote {{
      auth = psk
      id = {identity}
    }}
    children {{
      net {{
        local_ts = {target.remote_net}
        remote_ts = {remote_ts}
        esp_proposals = {",".join(esp_proposals(target))}
      }}
    }}
  }}
"""


def _swanctl_certificate(target: Target, place: int, identity: Identity) -> str:
    return f"""\
  certificate{place} {{
    version = 2
    local_addrs = {target.host}
    remote_addrs = {target.local}
    proposals = {",".join(ike_proposals(target))}
    unique = never
    local {{
      auth = pubkey
      certs = nut.crt
      id = {_nut(target)[place]}
    }}
    remote {{
      auth = pubkey
      cacerts = ca.crt
      id = {identity}
    }}
    children {{
      net {{
        local_ts = {target.remote_net}
        remote_ts = {target.local_net}
        esp_proposals = {",".join(esp_proposals(target))}
      }}
    }}
  }}
"""


def libreswan(target: Target) -> str:
    """ipsec.conf, and in comments ipsec.secrets. libreswan has a proposal's PRF and integrity as one word."""
    return f"""\
# ipsec.secrets: {target.remote_id} {target.local_id} : PSK "{SECRET}"
conn probe
    ikev2=insist
    authby=secret
    left={target.host}
    leftid={_libreswan_id(target.remote_id)}
    leftsubnet={target.remote_net}
    right={target.local}
    rightid={_libreswan_id(target.local_id)}
    rightsubnet={target.local_net}
    ike=aes128-sha2_256-dh14,aes256-sha2_256-dh14,aes128-sha2_256-dh15,aes128-sha2_256-dh19
    esp=aes128-sha2_256,aes256-sha2_256,aes128-sha2_512,aes_gcm128-null
    pfs=no
    uniqueids=no
    auto=add
"""


def _libreswan_id(identity: Identity) -> str:
    return str(identity) if identity.type_name == "address" else f"@{identity}"


FORMATS = {"ikepy": ikepy, "swanctl": swanctl, "libreswan": libreswan}
