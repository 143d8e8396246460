"""Every key that strongSwan documents, with a value that is not its default: carried, refused or remarked.

Nothing goes without a word but what changes nothing in strongSwan either, with IKEv2 and pre-shared keys.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config.model import Config
from ikepy.config.sources import ipsec, swanctl
from ikepy.config.sources.draft import Draft
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError
from tests.unit.config.sources.test_swanctl import STRONG, text

TIME = ("7000",)
UNIQUE = ("%unique", "%unique-dir")
# swanctl.conf(5) of 5.9.8, and what came until 6.0.2: key -> values that are not the default.
CONNECTION = {
    "version": ("1",),
    "local_addrs": ("192.0.2.1",),
    "remote_addrs": ("192.0.2.9",),
    "local_port": ("4500",),
    "remote_port": ("4500",),
    "proposals": ("aes128-sha256-modp3072",),
    "vips": ("0.0.0.0",),
    "aggressive": ("yes",),
    "pull": ("no",),
    "dscp": ("101110",),
    "encap": ("yes",),
    "mobike": ("no",),
    "dpd_delay": ("5s",),
    "dpd_timeout": ("60s",),
    "fragmentation": ("no", "accept"),
    "childless": ("force", "never", "prefer"),
    "send_cert": ("always",),
    "ppk_id": ("someone",),
    "ppk_required": ("yes",),
    "keyingtries": ("3", "0"),
    "unique": ("never", "keep", "replace"),
    "reauth_time": TIME,
    "rekey_time": TIME,
    "over_time": TIME,
    "rand_time": TIME,
    "pools": ("somewhere",),
    "if_id_in": ("42", *UNIQUE),
    "if_id_out": ("42", *UNIQUE),
    "mediation": ("yes",),
    "mediated_by": ("someone",),
    "mediation_peer": ("someone",),
    "ocsp": ("request", "both"),
}
LOCAL = {
    **dict.fromkeys(("certs", "pubkeys", "eap_id", "aaa_id", "xauth_id"), ("something",)),
    "auth": ("pubkey", "eap-md5", "xauth"),
}
REMOTE = {
    **dict.fromkeys(
        ("certs", "cacerts", "pubkeys", "groups", "cert_policy", "ca_id", "eap_id", "xauth_id"),
        ("something",),
    ),
    "auth": ("pubkey", "eap-md5", "xauth"),
    "revocation": ("strict", "ifuri"),
}
CHILD = {
    "ah_proposals": ("sha256",),
    "esp_proposals": ("aes256gcm16",),
    "sha256_96": ("yes",),
    "local_ts": ("10.7.0.0/16",),
    "remote_ts": ("10.8.0.0/16",),
    **dict.fromkeys((f"{what}_time" for what in ("rekey", "life", "rand")), TIME),
    **dict.fromkeys((f"{what}_bytes" for what in ("rekey", "life", "rand")), ("5M",)),
    **dict.fromkeys((f"{what}_packets" for what in ("rekey", "life", "rand")), ("5000",)),
    "updown": ("/usr/lib/ipsec/_updown iptables",),
    "hostaccess": ("yes",),
    "mode": ("transport", "transport_proxy", "beet", "iptfs", "pass", "drop"),
    "policies": ("no",),
    "policies_fwd_out": ("yes",),
    "dpd_action": ("trap", "restart", "start"),
    "ipcomp": ("yes",),
    "inactivity": ("10m",),
    "reqid": ("5",),
    "priority": ("100",),
    "interface": ("eth0",),
    **dict.fromkeys(("mark_in", "mark_out"), ("42", "42/0xff", *UNIQUE)),
    "mark_in_sa": ("yes",),
    **dict.fromkeys(("set_mark_in", "set_mark_out"), ("42", "%same")),
    **dict.fromkeys(("if_id_in", "if_id_out"), ("42", *UNIQUE)),
    "label": ("system_u:object_r:ipsec_spd_t:s0",),
    "label_mode": ("simple", "selinux"),
    "tfc_padding": ("100", "mtu"),
    "replay_window": ("64", "0"),
    "hw_offload": ("yes", "auto", "crypto", "packet"),
    "per_cpu_sas": ("yes", "encap"),
    "copy_df": ("no",),
    "copy_ecn": ("no",),
    "copy_dscp": ("in", "yes", "no"),
    "start_action": ("trap", "start", "trap|start"),
    "close_action": ("trap", "start"),
}
# ipsec.conf(5) of 5.9.8, alike.
CONN = {
    **dict.fromkeys(("aaa_identity", "eap_identity", "xauth_identity", "mediated_by", "me_peerid"), ("x",)),
    **dict.fromkeys(("leftcert", "leftca", "leftcertpolicy", "leftgroups", "leftrsasigkey"), ("something",)),
    **dict.fromkeys(("leftsigkey", "leftid2", "leftauth2", "leftcert2", "leftca2"), ("something",)),
    **dict.fromkeys(("leftgroups2", "leftupdown", "leftdns", "leftsourceip"), ("something",)),
    "aggressive": ("yes",),
    "ah": ("sha256",),
    "auth": ("ah",),
    "authby": ("pubkey", "xauthpsk", "never"),
    "auto": ("route", "start"),
    "closeaction": ("hold", "restart"),
    "compress": ("yes",),
    "dpdaction": ("clear", "hold", "restart"),
    "dpdtimeout": ("100s",),
    "esp": ("aes256-sha256",),
    "forceencaps": ("yes",),
    "fragmentation": ("no", "accept"),
    "ike": ("aes256-sha256-modp2048",),
    "ikedscp": ("101110",),
    "ikelifetime": ("1h",),
    "inactivity": ("10s",),
    "installpolicy": ("no",),
    "keyexchange": ("ikev1",),
    "keyingtries": ("%forever", "5"),
    "leftallowany": ("yes",),
    "leftauth": ("pubkey", "eap"),
    "leftfirewall": ("yes",),
    "lefthostaccess": ("yes",),
    "leftikeport": ("4600",),
    "leftprotoport": ("tcp/80",),
    "leftsendcert": ("always", "yes"),
    "leftsubnet": ("10.9.0.0/16",),
    **dict.fromkeys(("lifebytes", "lifepackets"), ("5000",)),
    **dict.fromkeys(("lifetime", "keylife", "margintime", "rekeymargin"), ("5m",)),
    **dict.fromkeys(("mark", "mark_in", "mark_out"), ("42", "42/0xff", *UNIQUE)),
    "mediation": ("yes",),
    "mobike": ("no",),
    "modeconfig": ("push",),
    **dict.fromkeys(("pfs", "reauth", "rekey"), ("no",)),
    "pfsgroup": ("modp2048",),
    "rekeyfuzz": ("50%",),
    "replay_window": ("64", "0"),
    "reqid": ("5",),
    "rightid": ("someone-else",),
    "sha256_96": ("yes",),
    "tfc": ("%mtu", "100"),
    "type": ("transport", "transport_proxy", "passthrough", "drop"),
    "xauth": ("server",),
}
SETUP = {"charondebug": ("ike 2",), "cachecrls": ("yes",), "strictcrlpolicy": ("yes",), "uniqueids": ("no",)}


def reading(draft: Draft) -> tuple[Config, set[tuple[str, str]]] | None:
    """The configuration and its remarks; None if it is refused."""
    try:
        found: Reading = draft.read()
    except ConfigError:
        return None
    return found.config, set(found.remarks)


def silent(with_it: Draft, without: Draft) -> bool:
    """Whether a key is taken without being carried, refused or remarked."""
    plain, made = reading(without), reading(with_it)
    assert plain is not None
    return made is not None and made[0] == plain[0] and made[1] <= plain[1]


@pytest.mark.parametrize(
    ("place", "documented"),
    [("connection", CONNECTION), ("local", LOCAL), ("remote", REMOTE), ("child", CHILD)],
)
def test_no_key_of_swanctl_conf_goes_without_a_word(
    place: str, documented: dict[str, tuple[str, ...]]
) -> None:
    path = Path("s.conf")
    unheard = [
        f"{key} = {value}"
        for key, values in documented.items()
        for value in values
        if silent(swanctl.draft(path, text(**{place: f"{key} = {value}"})), swanctl.draft(path, text()))
    ]
    assert unheard == []


def ipsec_conf(setup: str = "", conn: str = "") -> str:
    return f"""config setup
  {setup}
conn site
  keyexchange=ikev2
  left=192.0.2.1
  leftid=gwa
  right=192.0.2.2
  rightid=gwb
  authby=psk
  rightsubnet=10.2.0.0/16
  auto=add
  {conn}
"""


@pytest.mark.parametrize(("place", "documented"), [("conn", CONN), ("setup", SETUP)])
def test_no_key_of_ipsec_conf_goes_without_a_word(
    tmp_path: Path, place: str, documented: dict[str, tuple[str, ...]]
) -> None:
    secrets = tmp_path / "ipsec.secrets"
    secrets.write_text(f'gwa gwb : PSK "{STRONG}"\n')
    secrets.chmod(0o600)
    path = tmp_path / "ipsec.conf"
    rights = {key.replace("left", "right", 1): values for key, values in documented.items() if "left" in key}
    unheard = [
        f"{key} = {value}"
        for key, values in {**documented, **rights}.items()
        for value in values
        if silent(ipsec.draft(path, ipsec_conf(**{place: f"{key}={value}"})), ipsec.draft(path, ipsec_conf()))
    ]
    assert unheard == []


@pytest.mark.parametrize("word", ["yes", "auto"])
def test_offload_to_hardware_is_remarked_and_does_not_stop_the_start(word: str) -> None:
    """`auto` stands in many configurations: it is a warning."""
    found = swanctl.draft(Path("s.conf"), text(child=f"hw_offload = {word}")).read()
    assert (
        "connections.site.children.net.hw_offload",
        "ESP is done in user space, without offload to hardware; remove it",
    ) in found.remarks
