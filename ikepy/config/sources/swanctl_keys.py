"""The keys of swanctl.conf that ikepy has not, by the weight of leaving each out.

swanctl.conf(5) of 5.9.8, and what came until 6.0.2.
"""

from __future__ import annotations

from ikepy.config.sources.rules import NO, YES, cosmetic, grave

_IKEV1 = "concerns IKEv1 alone, which ikepy does not speak; remove it"
_CERTIFICATES = "certificates are not supported by ikepy yet, and a pre-shared key needs none; remove it"
_CONSTRAINT = (
    "ikepy can't hold the peer to it: certificates are not supported yet; remove it, with auth = psk"
)
_EAP = "concerns EAP and XAuth, which ikepy has not; remove it"
_MARKED = "ikepy sets no marks: its device tells tunnelled packets apart; match that, and remove it"

CONNECTION = {
    "vips": grave("no virtual address is asked for; remove it, and give the address in vti { addresses }"),
    "pools": grave("no virtual addresses are assigned to peers; remove it"),
    "mediation": grave("mediation is not supported by ikepy; remove it", NO),
    "mediated_by": grave("mediation is not supported by ikepy; remove it"),
    "mediation_peer": grave("mediation is not supported by ikepy; remove it"),
    "ppk_id": grave("postquantum pre-shared keys (RFC 8784) are not supported by ikepy; remove it"),
    "ppk_required": grave("postquantum pre-shared keys are not supported by ikepy; remove it", NO),
    "aggressive": cosmetic(_IKEV1, NO),
    "pull": cosmetic(_IKEV1, YES),
    "dpd_timeout": cosmetic(f"{_IKEV1}; retransmissions decide: daemon.retransmit_tries"),
    "dscp": cosmetic("IKE packets have the DSCP of the system; remove it", "000000"),
    "ocsp": cosmetic(_CERTIFICATES, frozenset({"reply", "never"})),
    "send_certreq": cosmetic(_CERTIFICATES, YES | NO),
    "send_cert": cosmetic(_CERTIFICATES, frozenset({"ifasked", "never"})),
}
LOCAL = {
    "round": cosmetic("there is one round of authentication", frozenset({"0", "1"})),
    **dict.fromkeys(("certs", "pubkeys"), cosmetic(_CERTIFICATES)),
    **dict.fromkeys(("eap_id", "aaa_id", "xauth_id"), cosmetic(_EAP)),
}
REMOTE = {
    "round": LOCAL["round"],
    **dict.fromkeys(("certs", "cacerts", "pubkeys", "groups", "cert_policy", "ca_id"), grave(_CONSTRAINT)),
    "revocation": cosmetic(_CERTIFICATES, "relaxed"),
    **dict.fromkeys(("eap_id", "xauth_id"), cosmetic(_EAP)),
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
    "ppk": "postquantum pre-shared keys are not supported by ikepy: the secret is left out; remove it",
    **dict.fromkeys(("eap", "xauth", "ntlm"), f"{_EAP}: the secret is left out"),
    **dict.fromkeys(
        ("private", "rsa", "ecdsa", "pkcs8", "pkcs12", "token"),
        "private keys are not supported by ikepy yet: the secret is left out; remove it",
    ),
}
SECTIONS = {
    "pools": "pools of virtual addresses are not supported by ikepy: the section is left out; remove it",
    "authorities": "authorities are not supported by ikepy yet: the section is left out; remove it",
}
