"""The keys of swanctl.conf that ikepy has not, by the weight of leaving each out (swanctl.conf(5), 5.9.8)."""

from __future__ import annotations

from dataclasses import dataclass

NO = frozenset({"no", "false", "0", "disabled"})
YES = frozenset({"yes", "true", "1", "enabled"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What a key that is not carried over means. `harmless`: values that change nothing.

    `grave`: without it security or reachability would be other than configured.
    """

    text: str
    harmless: frozenset[str] = frozenset()
    grave: bool = False


def _cosmetic(text: str, *harmless: str | frozenset[str]) -> Rule:
    return Rule(text, _words(harmless))


def _grave(text: str, *harmless: str | frozenset[str]) -> Rule:
    return Rule(text, _words(harmless), grave=True)


def _words(harmless: tuple[str | frozenset[str], ...]) -> frozenset[str]:
    return frozenset(word for one in harmless for word in ({one} if isinstance(one, str) else one))


_IKEV1 = "concerns IKEv1 alone, which ikepy does not speak; remove it"
_CERTIFICATES = "certificates are not supported by ikepy yet, and a pre-shared key needs none; remove it"
_CONSTRAINT = (
    "ikepy can't hold the peer to it: certificates are not supported yet; remove it, with auth = psk"
)
_EAP = "concerns EAP and XAuth, which ikepy has not; remove it"
_MARKED = "ikepy sets no marks: its device tells tunnelled packets apart; match that, and remove it"

CONNECTION = {
    "vips": _grave("no virtual address is asked for; remove it, and give the address in vti { addresses }"),
    "pools": _grave("no virtual addresses are assigned to peers; remove it"),
    "mediation": _grave("mediation is not supported by ikepy; remove it", NO),
    "mediated_by": _grave("mediation is not supported by ikepy; remove it"),
    "mediation_peer": _grave("mediation is not supported by ikepy; remove it"),
    "ppk_id": _grave("postquantum pre-shared keys (RFC 8784) are not supported by ikepy; remove it"),
    "ppk_required": _grave("postquantum pre-shared keys are not supported by ikepy; remove it", NO),
    "aggressive": _cosmetic(_IKEV1, NO),
    "pull": _cosmetic(_IKEV1, YES),
    "dpd_timeout": _cosmetic(f"{_IKEV1}; retransmissions decide: daemon.retransmit_tries"),
    "dscp": _cosmetic("IKE packets have the DSCP of the system; remove it", "000000"),
    "send_certreq": _cosmetic(_CERTIFICATES, YES | NO),
    "send_cert": _cosmetic(_CERTIFICATES, frozenset({"ifasked", "never"})),
}
LOCAL = {
    "round": _cosmetic("there is one round of authentication", frozenset({"0", "1"})),
    **dict.fromkeys(("certs", "pubkeys"), _cosmetic(_CERTIFICATES)),
    **dict.fromkeys(("eap_id", "aaa_id", "xauth_id"), _cosmetic(_EAP)),
}
REMOTE = {
    "round": LOCAL["round"],
    **dict.fromkeys(("certs", "cacerts", "pubkeys", "groups", "cert_policy", "ca_id"), _grave(_CONSTRAINT)),
    "revocation": _cosmetic(_CERTIFICATES, "relaxed"),
    **dict.fromkeys(("eap_id", "xauth_id"), _cosmetic(_EAP)),
}
CHILD = {
    "ah_proposals": _grave("AH is not supported by ikepy; use esp_proposals"),
    "sha256_96": _grave(
        "the 96 bit truncation of SHA-256 is not supported by ikepy; remove it here and there", NO
    ),
    "updown": _grave("no script is run when a child comes or goes; remove it, and see vti { routes }"),
    "hostaccess": _cosmetic("concerns the updown script, which is not run; remove it", NO),
    "policies": _cosmetic("ikepy installs no policies in the kernel; remove it", YES),
    "policies_fwd_out": _cosmetic("ikepy installs no policies in the kernel; remove it", NO),
    "ipcomp": _cosmetic("packets are sent uncompressed, which peers accept; remove it", NO),
    "inactivity": _cosmetic("an idle child stays up; remove it", frozenset({"0", "0s"})),
    "reqid": _cosmetic("ikepy installs no policies in the kernel; remove it", "0"),
    "priority": _cosmetic("routes decide which tunnel a packet takes: vti { metric }; remove it", "0"),
    "interface": _grave(
        "packets are not bound to an interface; remove it, and route what may enter the tunnel"
    ),
    "mark_in_sa": _cosmetic(_MARKED, NO),
    "set_mark_in": _grave(_MARKED, frozenset({"0", "0/0x00000000"})),
    "set_mark_out": _grave(_MARKED, frozenset({"0", "0/0x00000000"})),
    "label": _grave("security labels are not supported by ikepy; remove it"),
    "label_mode": _cosmetic("security labels are not supported by ikepy; remove it", "system"),
    "hw_offload": _cosmetic("ESP is done in user space; remove it", NO | frozenset({"auto"})),
    "copy_df": _cosmetic("ikepy decides on DF itself; remove it", YES),
    "copy_ecn": _cosmetic("ikepy decides on ECN itself (RFC 6040); remove it", YES),
    "copy_dscp": _cosmetic("ikepy decides on DSCP itself; remove it", "out"),
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
