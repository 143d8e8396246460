"""Impairments of payloads: unknown, doubled, left out, or with a wrong content (RFC 7296 3)."""

from __future__ import annotations

from ikepy.impair.draft import CRITICAL, Draft, Part
from ikepy.impair.impairment import Impairment, Number, Stages, Word
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.payloads import NotifyPayload

UNKNOWN = 203  # a payload type that nobody has: 128 to 255 are for private use
UNPROTECTED = {"IKE_SA_INIT": int(ExchangeType.IKE_SA_INIT)}
PROTECTED = {
    one.name: int(one)
    for one in (
        ExchangeType.IKE_AUTH,
        ExchangeType.CREATE_CHILD_SA,
        ExchangeType.INFORMATIONAL,
        ExchangeType.IKE_INTERMEDIATE,
        ExchangeType.IKE_FOLLOWUP_KE,
    )
}
SPOILT_KE = {"omit": -1, "empty": -2, "duplicate": -3, "zeros": 0, "ones": 255}
OMITTED = {
    "SA": PayloadType.SA,
    "KE": PayloadType.KE,
    "NONCE": PayloadType.NONCE,
    "IDi": PayloadType.ID_I,
    "IDr": PayloadType.ID_R,
    "AUTH": PayloadType.AUTH,
    "CERT": PayloadType.CERT,
    "CERTREQ": PayloadType.CERTREQ,
    "TSi": PayloadType.TS_I,
    "TSr": PayloadType.TS_R,
    "CP": PayloadType.CP,
    "VENDOR_ID": PayloadType.VENDOR_ID,
}
NOTIFIES = {one.name: int(one) for one in NotifyType}
FIRST_STATUS = NotifyType.INITIAL_CONTACT
ERRORS = {name: one for name, one in NOTIFIES.items() if one < FIRST_STATUS}
DETECTION = (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)


def add_unknown(draft: Draft, exchange: int) -> None:
    if draft.header.exchange == exchange:
        draft.parts.append(Part(UNKNOWN, b"unknown"))


def make_critical(draft: Draft) -> None:
    """Unknown payloads are critical; where there is none, one is added."""
    if not any(part.type == UNKNOWN for part in draft.parts):
        draft.parts.append(Part(UNKNOWN, b"unknown"))
    for part in draft.parts:
        if part.type == UNKNOWN:
            part.flags |= CRITICAL


def critical_known(draft: Draft) -> None:
    for part in draft.parts:
        part.flags |= CRITICAL


def spoil_ke(draft: Draft, how: int) -> None:
    for part in draft.of_type(PayloadType.KE):
        if how == SPOILT_KE["omit"]:
            draft.drop([part])
        elif how == SPOILT_KE["empty"]:
            part.body = part.body[:4]
        elif how == SPOILT_KE["duplicate"]:
            draft.parts.append(Part(part.type, part.body))
        else:
            part.body = part.body[:4] + bytes([how]) * (len(part.body) - 4)


def ke_group(draft: Draft, group: int) -> None:
    for part in draft.of_type(PayloadType.KE):
        part.body = group.to_bytes(2, "big") + part.body[2:]


def cut_ke(draft: Draft) -> None:
    for part in draft.of_type(PayloadType.KE):
        part.body = part.body[:-1]


def nonce_size(draft: Draft, octets: int) -> None:
    for part in draft.of_type(PayloadType.NONCE):
        part.body = (part.body * (octets // len(part.body) + 1))[:octets]


def omit(draft: Draft, payload: int) -> None:
    draft.drop(part for part in draft.parts if part.type == payload)


def twice(draft: Draft, payload: int) -> None:
    """A payload that may stand once."""
    for part in draft.parts:
        if part.type == payload:
            draft.parts.append(Part(part.type, part.body, part.flags))
            return


def backwards(draft: Draft) -> None:
    draft.parts.reverse()


def omit_notify(draft: Draft, notify: int) -> None:
    draft.drop(draft.notifies(notify))


def notify_other(draft: Draft, notify: int) -> None:
    """Each error notify says something else."""
    for part in draft.parts:
        if part.notify is not None and part.notify < FIRST_STATUS:
            part.body = part.body[:2] + notify.to_bytes(2, "big")


def omit_errors(draft: Draft) -> None:
    draft.drop(part for part in draft.parts if part.notify is not None and part.notify < FIRST_STATUS)


def no_nat_detection(draft: Draft) -> None:
    draft.drop(draft.notifies(*DETECTION))


def wrong_nat_detection(draft: Draft) -> None:
    for part in draft.notifies(*DETECTION):
        part.body = part.body[:-1] + bytes([part.body[-1] ^ 0xFF])


def bogus_cookie(draft: Draft) -> None:
    if draft.within(ExchangeType.IKE_SA_INIT) and draft.request:
        draft.drop(draft.notifies(NotifyType.COOKIE))
        draft.parts.insert(0, Part.of(NotifyPayload(NotifyType.COOKIE, b"bogus cookie of the initiator")))


def without_cookie(draft: Draft) -> None:
    if draft.request:
        draft.drop(draft.notifies(NotifyType.COOKIE))


def notify_protocol(draft: Draft, protocol: int) -> None:
    for part in draft.notifies(NotifyType.REKEY_SA):
        part.body = bytes([protocol]) + part.body[1:]


def rekey_spi(draft: Draft) -> None:
    """REKEY_SA names an SPI that nobody has."""
    for part in draft.notifies(NotifyType.REKEY_SA):
        size = part.body[1]
        part.body = (
            part.body[:4] + bytes(one ^ 0xFF for one in part.body[4 : 4 + size]) + part.body[4 + size :]
        )


PROTOCOL = Number(0, 255, "the protocol ID", 0)

IMPAIRMENTS = (
    Impairment(
        "add-unknown-v2-payload-to",
        "adds an unknown payload to an exchange in the clear",
        "2.5",
        lambda exchange: Stages(message=lambda draft: add_unknown(draft, exchange)),
        Word(UNPROTECTED, "IKE_SA_INIT"),
        libreswan=True,
    ),
    Impairment(
        "add-unknown-v2-payload-to-sk",
        "adds an unknown payload to a protected exchange",
        "2.5",
        lambda exchange: Stages(message=lambda draft: add_unknown(draft, exchange)),
        Word(PROTECTED, "IKE_AUTH"),
        libreswan=True,
    ),
    Impairment(
        "unknown-v2-payload-critical",
        "adds an unknown payload to each message, and sets its critical bit",
        "2.5",
        lambda _: Stages(message=make_critical),
        libreswan=True,
    ),
    Impairment(
        "critical-known-payloads",
        "sets the critical bit of payloads that RFC 7296 defines",
        "3.2",
        lambda _: Stages(message=critical_known),
    ),
    Impairment(
        "ke-payload",
        "spoils the Key Exchange payload",
        "3.4",
        lambda how: Stages(message=lambda draft: spoil_ke(draft, how)),
        Word(SPOILT_KE, "zeros"),
        libreswan=True,
    ),
    Impairment(
        "ke-group",
        "names another group in the Key Exchange payload than the proposal has",
        "3.4",
        lambda group: Stages(message=lambda draft: ke_group(draft, group)),
        Number(0, 65535, "the number of the group", 1),
    ),
    Impairment(
        "short-ke",
        "leaves the last octet of its public value out",
        "3.4",
        lambda _: Stages(message=cut_ke),
    ),
    Impairment(
        "nonce-size",
        "sends nonces of a size that is not allowed",
        "3.9",
        lambda octets: Stages(message=lambda draft: nonce_size(draft, octets)),
        Number(0, 1024, "octets; 16 to 256 are right", 8),
    ),
    Impairment(
        "omit-payload",
        "leaves out a kind of payload",
        "3.2",
        lambda payload: Stages(message=lambda draft: omit(draft, payload)),
        Word({name: int(one) for name, one in OMITTED.items()}),
    ),
    Impairment(
        "duplicate-payload",
        "sends a payload twice that may stand once",
        "3.2",
        lambda payload: Stages(message=lambda draft: twice(draft, payload)),
        Word({name: int(one) for name, one in OMITTED.items()}, "NONCE"),
    ),
    Impairment(
        "reverse-payloads",
        "sends the payloads of each message in reverse order",
        "2.5",
        lambda _: Stages(message=backwards),
    ),
    Impairment(
        "omit-notify",
        "leaves out a kind of notify",
        "3.10.1",
        lambda notify: Stages(message=lambda draft: omit_notify(draft, notify)),
        Word(NOTIFIES, what="the name of a notify"),
    ),
    Impairment(
        "wrong-error",
        "says another error than it means",
        "3.10.1",
        lambda notify: Stages(message=lambda draft: notify_other(draft, notify)),
        Word(ERRORS, "INVALID_SYNTAX", "the name of an error notify"),
    ),
    Impairment(
        "omit-errors",
        "leaves error notifies out of its answers",
        "2.21",
        lambda _: Stages(message=omit_errors),
    ),
    Impairment(
        "childless-ikev2-supported",
        "does not say that it can do without a first child",
        "RFC 6023 3",
        lambda _: Stages(message=lambda draft: omit_notify(draft, NotifyType.CHILDLESS_IKEV2_SUPPORTED)),
        libreswan=True,
    ),
    Impairment(
        "omit-v2n-signature-hash-algorithms",
        "does not say with which hashes it verifies signatures",
        "RFC 7427 4",
        lambda _: Stages(message=lambda draft: omit_notify(draft, NotifyType.SIGNATURE_HASH_ALGORITHMS)),
        libreswan=True,
    ),
    Impairment(
        "no-nat-detection",
        "sends no NAT_DETECTION notifies",
        "2.23",
        lambda _: Stages(message=no_nat_detection),
    ),
    Impairment(
        "wrong-nat-detection",
        "sends NAT_DETECTION notifies of other addresses, as if there were a NAT",
        "2.23",
        lambda _: Stages(message=wrong_nat_detection),
    ),
    Impairment(
        "send-bogus-dcookie",
        "begins with a COOKIE that nobody gave it",
        "2.6",
        lambda _: Stages(message=bogus_cookie),
        libreswan=True,
    ),
    Impairment(
        "ignore-cookie",
        "does not return the COOKIE that it is asked for",
        "2.6",
        lambda _: Stages(message=without_cookie),
    ),
    Impairment(
        "v2n_rekey_sa_protoid",
        "names another protocol in REKEY_SA",
        "3.10.1",
        lambda protocol: Stages(message=lambda draft: notify_protocol(draft, protocol)),
        PROTOCOL,
        libreswan=True,
    ),
    Impairment(
        "rekey-unknown-spi",
        "asks to rekey a child by an SPI that nobody has",
        "2.8",
        lambda _: Stages(message=rekey_spi),
    ),
)
