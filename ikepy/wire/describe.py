"""Summarizes a message's payloads for the log, in the notation of strongSwan's charon."""

from __future__ import annotations

from collections.abc import Iterable

from ikepy.wire.constants import CfgType, ConfigAttribute, NotifyType, PayloadType
from ikepy.wire.payloads import CpPayload, NotifyPayload, Payload, SkfPayload

PAYLOADS: dict[int, str] = {  # those whose names say nothing of what is in them
    PayloadType.SA: "SA",
    PayloadType.KE: "KE",
    PayloadType.ID_I: "IDi",
    PayloadType.ID_R: "IDr",
    PayloadType.CERT: "CERT",
    PayloadType.CERTREQ: "CERTREQ",
    PayloadType.AUTH: "AUTH",
    PayloadType.NONCE: "No",
    PayloadType.DELETE: "D",
    PayloadType.VENDOR_ID: "V",
    PayloadType.TS_I: "TSi",
    PayloadType.TS_R: "TSr",
    PayloadType.SK: "SK",
    PayloadType.EAP: "EAP",
}

_NOTIFIES: dict[int, str] = {
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: "CRIT",
    NotifyType.INVALID_IKE_SPI: "INVAL_IKE_SPI",
    NotifyType.INVALID_MAJOR_VERSION: "INVAL_MAJOR",
    NotifyType.INVALID_SYNTAX: "INVAL_SYN",
    NotifyType.INVALID_MESSAGE_ID: "INVAL_MID",
    NotifyType.INVALID_SPI: "INVAL_SPI",
    NotifyType.NO_PROPOSAL_CHOSEN: "NO_PROP",
    NotifyType.INVALID_KE_PAYLOAD: "INVAL_KE",
    NotifyType.AUTHENTICATION_FAILED: "AUTH_FAILED",
    NotifyType.SINGLE_PAIR_REQUIRED: "SINGLE_PAIR",
    NotifyType.NO_ADDITIONAL_SAS: "NO_ADD_SAS",
    NotifyType.INTERNAL_ADDRESS_FAILURE: "INT_ADDR_FAIL",
    NotifyType.FAILED_CP_REQUIRED: "FAIL_CP_REQ",
    NotifyType.TS_UNACCEPTABLE: "TS_UNACCEPT",
    NotifyType.INVALID_SELECTORS: "INVAL_SEL",
    NotifyType.UNACCEPTABLE_ADDRESSES: "UNACCEPT_ADDR",
    NotifyType.UNEXPECTED_NAT_DETECTED: "UNEXPECT_NAT",
    NotifyType.TEMPORARY_FAILURE: "TEMP_FAIL",
    NotifyType.CHILD_SA_NOT_FOUND: "NO_CHILD_SA",
    NotifyType.STATE_NOT_FOUND: "NO_STATE",
    NotifyType.INITIAL_CONTACT: "INIT_CONTACT",
    NotifyType.SET_WINDOW_SIZE: "SET_WINSIZE",
    NotifyType.ADDITIONAL_TS_POSSIBLE: "ADD_TS_POSS",
    NotifyType.IPCOMP_SUPPORTED: "IPCOMP_SUP",
    NotifyType.NAT_DETECTION_SOURCE_IP: "NATD_S_IP",
    NotifyType.NAT_DETECTION_DESTINATION_IP: "NATD_D_IP",
    NotifyType.COOKIE: "COOKIE",
    NotifyType.USE_TRANSPORT_MODE: "USE_TRANSP",
    NotifyType.HTTP_CERT_LOOKUP_SUPPORTED: "HTTP_CERT_LOOK",
    NotifyType.REKEY_SA: "REKEY_SA",
    NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED: "ESP_TFC_PAD_N",
    NotifyType.NON_FIRST_FRAGMENTS_ALSO: "NON_FIRST_FRAG",
    NotifyType.MOBIKE_SUPPORTED: "MOBIKE_SUP",
    NotifyType.ADDITIONAL_IP4_ADDRESS: "ADD_4_ADDR",
    NotifyType.ADDITIONAL_IP6_ADDRESS: "ADD_6_ADDR",
    NotifyType.NO_ADDITIONAL_ADDRESSES: "NO_ADD_ADDR",
    NotifyType.UPDATE_SA_ADDRESSES: "UPD_SA_ADDR",
    NotifyType.COOKIE2: "COOKIE2",
    NotifyType.NO_NATS_ALLOWED: "NO_NATS",
    NotifyType.MULTIPLE_AUTH_SUPPORTED: "MULT_AUTH",
    NotifyType.ANOTHER_AUTH_FOLLOWS: "AUTH_FOLLOWS",
    NotifyType.AUTH_LIFETIME: "AUTH_LFT",
    NotifyType.REDIRECT_SUPPORTED: "REDIR_SUP",
    NotifyType.REDIRECT: "REDIR",
    NotifyType.REDIRECTED_FROM: "REDIR_FROM",
    NotifyType.TICKET_LT_OPAQUE: "TKT_LT_OPAK",
    NotifyType.TICKET_REQUEST: "TKT_REQ",
    NotifyType.TICKET_ACK: "TKT_ACK",
    NotifyType.TICKET_NACK: "TKT_NACK",
    NotifyType.TICKET_OPAQUE: "TKT_OPAK",
    NotifyType.EAP_ONLY_AUTHENTICATION: "EAP_ONLY",
    NotifyType.CHILDLESS_IKEV2_SUPPORTED: "CHDLESS_SUP",
    NotifyType.QUICK_CRASH_DETECTION: "QCD",
    NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED: "MSG_ID_SYN_SUP",
    NotifyType.IKEV2_FRAGMENTATION_SUPPORTED: "FRAG_SUP",
    NotifyType.SIGNATURE_HASH_ALGORITHMS: "HASH_ALG",
    NotifyType.USE_PPK: "USE_PPK",
    NotifyType.PPK_IDENTITY: "PPK_ID",
    NotifyType.NO_PPK_AUTH: "NO_PPK",
    NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED: "INTMD_EXCH_SUP",
    NotifyType.ADDITIONAL_KEY_EXCHANGE: "ADD_KE",
    NotifyType.USE_PPK_INT: "USE_PPK_INT",
    NotifyType.PPK_IDENTITY_KEY: "PPK_ID_KEY",
    NotifyType.SUPPORTED_AUTH_METHODS: "SUP_AUTH",
}

_CP: dict[int, str] = {
    CfgType.REQUEST: "CPRQ",
    CfgType.REPLY: "CPRP",
    CfgType.SET: "CPS",
    CfgType.ACK: "CPA",
}

_ATTRIBUTES: dict[int, str] = {
    ConfigAttribute.INTERNAL_IP4_ADDRESS: "ADDR",
    ConfigAttribute.INTERNAL_IP4_NETMASK: "MASK",
    ConfigAttribute.INTERNAL_IP4_DNS: "DNS",
    ConfigAttribute.INTERNAL_IP4_NBNS: "NBNS",
    ConfigAttribute.INTERNAL_IP4_DHCP: "DHCP",
    ConfigAttribute.APPLICATION_VERSION: "VER",
    ConfigAttribute.INTERNAL_IP6_ADDRESS: "ADDR6",
    ConfigAttribute.INTERNAL_IP6_DNS: "DNS6",
    ConfigAttribute.INTERNAL_IP6_DHCP: "DHCP6",
    ConfigAttribute.INTERNAL_IP4_SUBNET: "SUBNET",
    ConfigAttribute.SUPPORTED_ATTRIBUTES: "SUP",
    ConfigAttribute.INTERNAL_IP6_SUBNET: "SUBNET6",
    ConfigAttribute.INTERNAL_DNS_DOMAIN: "DNSDOM",
    ConfigAttribute.INTERNAL_DNSSEC_TA: "DNSSECTA",
    ConfigAttribute.ENCDNS_IP4: "ENCDNS",
    ConfigAttribute.ENCDNS_IP6: "ENCDNS6",
    ConfigAttribute.ENCDNS_DIGEST_INFO: "ENCDNSDIG",
    ConfigAttribute.INTERNAL_IP4_SERVER: "SRV",
    ConfigAttribute.INTERNAL_IP6_SERVER: "SRV6",
    ConfigAttribute.UNITY_SPLIT_INCLUDE: "U_SPLITINC",
    ConfigAttribute.UNITY_LOCAL_LAN: "U_LOCALLAN",
}
_MOST_ATTRIBUTES = 16  # in a line of the log


def describe(payloads: Iterable[Payload]) -> str:
    """The payloads' names in their order: "SA KE No N(NATD_S_IP)". Shows no contents.

    Unknown types are shown as numbers: "N(40000)", "(200)".
    """
    return " ".join(_name(payload) for payload in payloads)


def _name(payload: Payload) -> str:
    if isinstance(payload, NotifyPayload):
        return f"N({_NOTIFIES.get(payload.notify, payload.notify)})"
    if isinstance(payload, SkfPayload):
        return f"EF({payload.number}/{payload.total})"
    if isinstance(payload, CpPayload):
        shown = [str(_ATTRIBUTES.get(one.type, one.type)) for one in payload.attributes[:_MOST_ATTRIBUTES]]
        more = ["..."] if len(payload.attributes) > len(shown) else []
        return f"{_CP.get(payload.cfg_type, 'CP')}({' '.join(shown + more)})"
    return PAYLOADS.get(payload.type, f"({payload.type})")
