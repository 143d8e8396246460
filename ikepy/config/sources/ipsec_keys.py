"""The keys of ipsec.conf that ikepy has not, by the weight of leaving each out (ipsec.conf(5), 5.9.8)."""

from __future__ import annotations

from ikepy.config.sources.rules import NO, YES, Rule, cosmetic, grave

_IKEV1 = "concerns IKEv1 alone, which ikepy does not speak; remove it"
_GROUPS = "attribute certificates and groups are not supported by ikepy; remove it"
_PEERS = "concerns what the peer demands and sends: ikepy shows what leftcert names; remove it"
_SCRIPT = "no script is run when a tunnel comes or goes; remove it, and do what it did for the device instead"
_OLD = "has no effect in strongSwan either; remove it"

SETUP = {
    "charondebug": cosmetic("the log has other levels: daemon.log_level; remove it"),
    "cachecrls": cosmetic("CRLs that were fetched are kept in memory alone; remove it", NO),
}
CONN = {
    "aggressive": cosmetic(_IKEV1, NO),
    "ah": grave("AH is not supported by ikepy; use esp"),
    "compress": cosmetic("packets are sent uncompressed, which peers accept; remove it", NO),
    "dpdtimeout": cosmetic(f"{_IKEV1}: the daemon's retransmissions decide", "150", "150s"),
    "inactivity": cosmetic("an idle child stays up; remove it", "0", "0s"),
    "installpolicy": cosmetic("ikepy installs no policies in the kernel; remove it", YES),
    "mediated_by": grave("mediation is not supported by ikepy; remove it"),
    "mediation": grave("mediation is not supported by ikepy; remove it", NO),
    "me_peerid": grave("mediation is not supported by ikepy; remove it"),
    "modeconfig": cosmetic(_IKEV1, "pull"),
    "reqid": cosmetic("ikepy installs no policies in the kernel; remove it", "0"),
    "sha256_96": grave("truncation of SHA-256 to 96 bits is not supported; remove it at both ends", NO),
    "xauth": cosmetic(_IKEV1),
    "xauth_identity": cosmetic(_IKEV1),
    **dict.fromkeys(("pfs", "pfsgroup", "auth", "eap", "keylifetime", "ikedscp"), cosmetic(_OLD)),
}
_END = {
    "allowany": cosmetic("another address of the peer is taken if it authenticates; remove it", NO),
    "firewall": grave(_SCRIPT, NO),
    "hostaccess": cosmetic(_SCRIPT, NO),
    "updown": grave(_SCRIPT),
    "nexthop": cosmetic(_OLD),
}
ENDS: dict[str, Rule] = {
    "leftdns": cosmetic("name servers are asked for with any virtual address; remove it"),
    **{f"{side}{key}": rule for side in ("left", "right") for key, rule in _END.items()},
    "rightsendcert": cosmetic(
        "the peer decides whether it sends its certificate; remove it", NO, "ifasked", "never"
    ),
    **dict.fromkeys(("leftcertpolicy", "leftcertpolicy2"), cosmetic(_PEERS)),
    **dict.fromkeys(("leftgroups", "leftgroups2"), cosmetic(_GROUPS)),
    **dict.fromkeys(("rightgroups", "rightgroups2"), grave(_GROUPS)),
}
RULES: dict[str, Rule] = {**CONN, **ENDS}
