"""The keys of swanctl.conf that ikepy has not, by the weight of leaving each out.

swanctl.conf(5) of 5.9.8, and what came until 6.0.2.
"""

from __future__ import annotations

from ikepy.config.sources.rules import NO, YES, cosmetic, grave

_IKEV1 = "concerns IKEv1 alone, which ikepy does not speak; remove it"
_XAUTH = "concerns XAuth, which is IKEv1's; remove it"
_MARKED = "ikepy sets no marks: its device tells tunnelled packets apart; match that, and remove it"

CONNECTION = {
    "mediation": grave("mediation is not supported by ikepy; remove it", NO),
    "mediated_by": grave("mediation is not supported by ikepy; remove it"),
    "mediation_peer": grave("mediation is not supported by ikepy; remove it"),
    "aggressive": cosmetic(_IKEV1, NO),
    "pull": cosmetic(_IKEV1, YES),
    "dpd_timeout": cosmetic(f"{_IKEV1}; retransmissions decide: daemon.retransmit_tries"),
    "dscp": cosmetic("IKE packets have the DSCP of the system; remove it", "000000"),
}
LOCAL = {"xauth_id": cosmetic(_XAUTH)}
REMOTE = {
    "groups": grave("attribute certificates are not supported by ikepy; remove it"),
    "xauth_id": cosmetic(_XAUTH),
}
CHILD = {
    "ah_proposals": grave("AH is not supported by ikepy; use esp_proposals"),
    "sha256_96": grave(
        "the 96 bit truncation of SHA-256 is not supported by ikepy; remove it here and there", NO
    ),
    "updown": grave("no script is run when a child comes or goes; remove it, and see vti { routes }"),
    "hostaccess": cosmetic("concerns the updown script, which is not run; remove it", NO),
    "policies": cosmetic("ikepy installs no policies in the kernel; remove it", YES),
    "policies_fwd_out": cosmetic("ikepy installs no policies in the kernel; remove it", NO),
    "ipcomp": cosmetic("packets are sent uncompressed, which peers accept; remove it", NO),
    "inactivity": cosmetic("an idle child stays up; remove it", frozenset({"0", "0s"})),
    "reqid": cosmetic("ikepy installs no policies in the kernel; remove it", "0"),
    "priority": cosmetic("routes decide which tunnel a packet takes: vti { metric }; remove it", "0"),
    "interface": grave(
        "packets are not bound to an interface; remove it, and route what may enter the tunnel"
    ),
    "mark_in_sa": cosmetic(_MARKED, NO),
    "set_mark_in": grave(_MARKED, frozenset({"0", "0/0x00000000"})),
    "set_mark_out": grave(_MARKED, frozenset({"0", "0/0x00000000"})),
    "label": grave("security labels are not supported by ikepy; remove it"),
    "label_mode": cosmetic("security labels are not supported by ikepy; remove it", "system"),
    "hw_offload": cosmetic("ESP is done in user space, without offload to hardware; remove it", NO),
    "per_cpu_sas": cosmetic("there is one SA for all CPUs (RFC 9611 is not supported); remove it", NO),
    "copy_df": cosmetic("ikepy decides on DF itself; remove it", YES),
    "copy_ecn": cosmetic("ikepy decides on ECN itself (RFC 6040); remove it", YES),
    "copy_dscp": cosmetic("ikepy decides on DSCP itself; remove it", "out"),
}
SECRETS = {
    "xauth": f"{_XAUTH}: the secret is left out",
}
AUTHORITY = {
    **dict.fromkeys(("handle", "slot", "module"), grave("CAs' certificates are in files; write cacert")),
    "cert_uri_base": cosmetic("certificates are sent whole, not as hash and URL; remove it"),
}
