"""The keys of ipsec.conf that ikepy has not, by the weight of leaving each out (ipsec.conf(5), 5.9.8)."""

from __future__ import annotations

from ikepy.config.sources.rules import NO, YES, Rule, cosmetic, grave

_IKEV1 = "concerns IKEv1 alone, which ikepy does not speak; remove it"
_CERTIFICATES = "certificates are not supported by ikepy yet, and a pre-shared key needs none; remove it"
_CONSTRAINT = "ikepy can't hold the peer to it: certificates are not supported yet; remove it"
_EAP = "concerns EAP and XAuth, which ikepy has not; remove it"
_ROUNDS = "several rounds of authentication are not supported by ikepy yet; remove it"
_SCRIPT = "no script is run when a tunnel comes or goes; remove it, and do what it did for the device instead"
_OLD = "has no effect in strongSwan either; remove it"

SETUP = {
    "charondebug": cosmetic("the log has other levels: daemon.log_level; remove it"),
    "cachecrls": cosmetic(_CERTIFICATES, NO),
    "strictcrlpolicy": cosmetic(_CERTIFICATES, NO),
}
CONN = {
    "aaa_identity": cosmetic(_EAP),
    "aggressive": cosmetic(_IKEV1, NO),
    "ah": grave("AH is not supported by ikepy; use esp"),
    "compress": cosmetic("packets are sent uncompressed, which peers accept; remove it", NO),
    "dpdtimeout": cosmetic(f"{_IKEV1}: the daemon's retransmissions decide", "150", "150s"),
    "eap_identity": cosmetic(_EAP),
    "inactivity": cosmetic("an idle child stays up; remove it", "0", "0s"),
    "installpolicy": cosmetic("ikepy installs no policies in the kernel; remove it", YES),
    "mediated_by": grave("mediation is not supported by ikepy; remove it"),
    "mediation": grave("mediation is not supported by ikepy; remove it", NO),
    "me_peerid": grave("mediation is not supported by ikepy; remove it"),
    "modeconfig": cosmetic(_IKEV1, "pull"),
    "reqid": cosmetic("ikepy installs no policies in the kernel; remove it", "0"),
    "sha256_96": grave("truncation of SHA-256 to 96 bits is not supported; remove it at both ends", NO),
    "xauth": cosmetic(_IKEV1),
    "xauth_identity": cosmetic(_EAP),
    **dict.fromkeys(("pfs", "pfsgroup", "auth", "eap", "keylifetime", "ikedscp"), cosmetic(_OLD)),
}
_END = {
    "allowany": cosmetic("another address of the peer is taken if it authenticates; remove it", NO),
    "dns": cosmetic("no name servers are asked for or assigned; remove it"),
    "firewall": grave(_SCRIPT, NO),
    "hostaccess": cosmetic(_SCRIPT, NO),
    "updown": grave(_SCRIPT),
    "sendcert": cosmetic(_CERTIFICATES, NO, "ifasked", "never"),
    "nexthop": cosmetic(_OLD),
    **dict.fromkeys(("id2", "auth2", "cert2", "ca2"), grave(_ROUNDS)),
}
ENDS: dict[str, Rule] = {
    **{f"{side}{key}": rule for side in ("left", "right") for key, rule in _END.items()},
    "leftsourceip": grave("no virtual address is asked for; remove it, and set it on the device"),
    "rightsourceip": grave("no virtual addresses are assigned to peers; remove it"),
    **dict.fromkeys((f"left{key}" for key in ("cert", "rsasigkey", "sigkey")), cosmetic(_CERTIFICATES)),
    **dict.fromkeys(
        (f"left{key}" for key in ("ca", "certpolicy", "groups", "groups2")), cosmetic(_CERTIFICATES)
    ),
    **dict.fromkeys(
        (f"right{key}" for key in ("cert", "rsasigkey", "sigkey", "ca", "certpolicy", "groups", "groups2")),
        grave(_CONSTRAINT),
    ),
}
RULES: dict[str, Rule] = {**CONN, **ENDS}
