"""The numbers of IKEv2 in words, also those that ikepy does not implement (IANA "IKEv2 Parameters")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from ikepy.wire import describe
from ikepy.wire.constants import (
    AuthMethod,
    CertEncoding,
    CfgType,
    ConfigAttribute,
    Encr,
    ExchangeType,
    HashAlgorithm,
    IdType,
    Integ,
    KeGroup,
    NotifyType,
    PayloadType,
    Prf,
    ProtocolId,
    TransformType,
    TsType,
)


def _table(numbers: type[IntEnum], further: Mapping[int, str] | None = None) -> dict[int, str]:
    return {**(further or {}), **{int(one): one.name for one in numbers}}


EXCHANGES = _table(
    ExchangeType, {39: "GSA_AUTH", 40: "GSA_REGISTRATION", 41: "GSA_REKEY", 42: "GSA_INBAND_REKEY"}
)

# Of IKEv1 (RFC 2408 3.1, RFC 2409), whose messages have the same header.
FORMER_EXCHANGES = {
    1: "Base",
    2: "Main Mode",
    3: "Authentication Only",
    4: "Aggressive Mode",
    5: "Informational",
    6: "Transaction",
    32: "Quick Mode",
    33: "New Group Mode",
}

PAYLOADS: dict[int, str] = {
    PayloadType.NONE: "none",
    PayloadType.SA: "Security Association",
    PayloadType.KE: "Key Exchange",
    PayloadType.ID_I: "Identification - Initiator",
    PayloadType.ID_R: "Identification - Responder",
    PayloadType.CERT: "Certificate",
    PayloadType.CERTREQ: "Certificate Request",
    PayloadType.AUTH: "Authentication",
    PayloadType.NONCE: "Nonce",
    PayloadType.NOTIFY: "Notify",
    PayloadType.DELETE: "Delete",
    PayloadType.VENDOR_ID: "Vendor ID",
    PayloadType.TS_I: "Traffic Selector - Initiator",
    PayloadType.TS_R: "Traffic Selector - Responder",
    PayloadType.SK: "Encrypted and Authenticated",
    PayloadType.CP: "Configuration",
    PayloadType.EAP: "Extensible Authentication",
    PayloadType.SKF: "Encrypted and Authenticated Fragment",
    49: "Generic Secure Password Method",
    50: "Group Identification",
    51: "Group Security Association",
    52: "Key Download",
    54: "Puzzle Solution",
}
# How messages are summed up: as charon's log writes them.
SHORT: dict[int, str] = {
    **describe.PAYLOADS,
    PayloadType.NOTIFY: "N",
    PayloadType.CP: "CP",
    PayloadType.SKF: "SKF",
}

PROTOCOLS = _table(ProtocolId)
TRANSFORM_TYPES = _table(TransformType)
ENCRYPTION = {one: one.label for one in Encr} | {
    1: "DES_IV64",
    2: "DES",
    4: "RC5",
    5: "IDEA",
    6: "CAST",
    7: "BLOWFISH",
    8: "3IDEA",
    9: "DES_IV32",
    24: "CAMELLIA_CTR",
    25: "CAMELLIA_CCM_8",
    26: "CAMELLIA_CCM_12",
    27: "CAMELLIA_CCM_16",
    29: "AES_CCM_8_IIV",
    30: "AES_GCM_16_IIV",
    31: "CHACHA20_POLY1305_IIV",
    32: "KUZNYECHIK_MGM_KTREE",
    33: "MAGMA_MGM_KTREE",
}
PRFS = _table(Prf, {1: "HMAC_MD5", 3: "HMAC_TIGER", 9: "HMAC_STREEBOG_512"})
INTEGRITY = _table(
    Integ,
    {
        1: "HMAC_MD5_96",
        3: "DES_MAC",
        4: "KPDK_MD5",
        6: "HMAC_MD5_128",
        7: "HMAC_SHA1_160",
        9: "AES_128_GMAC",
        10: "AES_192_GMAC",
        11: "AES_256_GMAC",
    },
)
GROUPS = _table(
    KeGroup,
    {
        1: "MODP_768",
        17: "MODP_6144",
        22: "MODP_1024_160",
        23: "MODP_2048_224",
        24: "MODP_2048_256",
        25: "ECP_192",
        26: "ECP_224",
        27: "BRAINPOOL_224",
        33: "GOST3410_2012_256",
        34: "GOST3410_2012_512",
        35: "ML_KEM_512",
    },
)
SEQUENCE_NUMBERS = {0: "32-bit sequence numbers", 1: "extended sequence numbers"}
TRANSFORMS: dict[int, dict[int, str]] = {
    TransformType.ENCR: ENCRYPTION,
    TransformType.PRF: PRFS,
    TransformType.INTEG: INTEGRITY,
    TransformType.KE: GROUPS,
    TransformType.ESN: SEQUENCE_NUMBERS,
    **{type: GROUPS for type in TransformType if type >= TransformType.ADDKE1},
}
IDENTITIES = _table(IdType, {12: "FC_NAME", 13: "NULL"})
AUTH_METHODS = _table(AuthMethod, {12: "GENERIC_SECURE_PASSWORD"})
HASHES = _table(HashAlgorithm, {6: "STREEBOG_256", 7: "STREEBOG_512"})
CERTIFICATES = _table(
    CertEncoding,
    {
        1: "PKCS7_X509",
        2: "PGP",
        3: "DNS_SIGNED_KEY",
        6: "KERBEROS",
        8: "ARL",
        9: "SPKI",
        10: "X509_ATTRIBUTE",
    },
)
SELECTORS = _table(TsType, {9: "FC_ADDR_RANGE", 10: "SECLABEL"})
CONFIGURATIONS = _table(CfgType)
ATTRIBUTES = _table(
    ConfigAttribute,
    {
        16: "MIP6_HOME_PREFIX",
        17: "INTERNAL_IP6_LINK",
        18: "INTERNAL_IP6_PREFIX",
        19: "HOME_AGENT_ADDRESS",
        20: "P_CSCF_IP4_ADDRESS",
        21: "P_CSCF_IP6_ADDRESS",
        22: "FTT_KAT",
        23: "EXTERNAL_SOURCE_IP4_NAT_INFO",
        24: "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
    },
)
NOTIFIES = _table(
    NotifyType,
    {
        42: "USE_ASSIGNED_HoA",
        45: "INVALID_GROUP_ID",
        46: "AUTHORIZATION_FAILED",
        16414: "LINK_ID",
        16415: "USE_WESP_MODE",
        16416: "ROHC_SUPPORTED",
        16421: "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
        16422: "IKEV2_MESSAGE_ID_SYNC",
        16423: "IPSEC_REPLAY_COUNTER_SYNC",
        16424: "SECURE_PASSWORD_METHODS",
        16425: "PSK_PERSIST",
        16426: "PSK_CONFIRM",
        16427: "ERX_SUPPORTED",
        16428: "IFOM_CAPABILITY",
        16429: "SENDER_REQUEST_ID",
        16432: "CLONE_IKE_SA_SUPPORTED",
        16433: "CLONE_IKE_SA",
        16434: "PUZZLE",
        16439: "IP4_ALLOWED",
        16440: "IP6_ALLOWED",
        16442: "USE_AGGFRAG",
        16444: "SA_RESOURCE_INFO",
    },
)
IP_PROTOCOLS = {
    0: "any protocol",
    1: "ICMP",
    2: "IGMP",
    4: "IPv4",
    6: "TCP",
    17: "UDP",
    41: "IPv6",
    44: "IPv6 fragment",
    47: "GRE",
    50: "ESP",
    51: "AH",
    58: "ICMPv6",
    59: "no next header",
    89: "OSPF",
    132: "SCTP",
}


def named(table: Mapping[int, str], number: int) -> str:
    """ "AES_CBC (12)", "unknown (99)"."""
    return f"{table.get(number, 'unknown')} ({number})"


def of(table: Mapping[int, str]) -> Callable[[int], str]:
    """`named` with this table."""
    return lambda number: named(table, number)


def short(table: Mapping[int, str], number: int) -> str:
    """ "AES_CBC", or the number alone."""
    return table.get(number, str(number))
