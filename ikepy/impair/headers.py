"""Impairments of IKE header, payload headers and the Encrypted payload (RFC 7296 3.1, 3.2, 3.14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.impair.draft import Draft
from ikepy.impair.impairment import Impairment, Number, Stages, of_requests, of_responses
from ikepy.wire.constants import FIRST_EXCHANGES, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import PAYLOAD_HEADER_SIZE

RESERVED = 0x01  # a reserved bit, of the IKE header's flags as of a payload header's
CHUNK = 40  # octets of plaintext in a fragment
NEXT_PAYLOAD = 16  # where it stands in the IKE header
ENCRYPTED = (PayloadType.SK, PayloadType.SKF)
SPI = Number(0, 2**64 - 1, "the SPI", 0x6261642D73706921)
OCTETS = Number(-8, 65535, "octets too many", 4)

Numbers = Sequence[tuple[int, int]]  # (fragment, total)


def flags(draft: Draft, flag: int) -> None:
    """Another bit of the header's flags."""
    draft.change(flags=draft.header.flags ^ flag)


def message_id(draft: Draft, by: int) -> None:
    """Another message ID, behind the first exchange."""
    if draft.header.exchange not in FIRST_EXCHANGES:
        draft.change(message_id=(draft.header.message_id + by) % (1 << 32))


def auth_as_informational(draft: Draft) -> None:
    if draft.within(ExchangeType.IKE_AUTH):
        draft.change(exchange=int(ExchangeType.INFORMATIONAL))


def spi(draft: Draft, key: str, number: int) -> None:
    draft.change(**{key: number.to_bytes(8, "big")})


def own_spi(draft: Draft, number: int) -> None:
    """The initiator's SPI, behind the first exchange: before it, any is right."""
    if draft.header.exchange not in FIRST_EXCHANGES or not draft.request:
        spi(draft, "spi_i", number)


def reserved_bits(draft: Draft) -> None:
    draft.sk_flags |= RESERVED
    for part in draft.parts:
        part.flags |= RESERVED


def excess(draft: Draft, octets: int) -> None:
    draft.excess = octets


def payload_length(draft: Draft, octets: int) -> None:
    """Of the last payload, which no later one makes up for."""
    if draft.parts:
        last = draft.parts[-1]
        last.length = PAYLOAD_HEADER_SIZE + len(last.body) + octets


def first_payload(draft: Draft) -> None:
    """Name the type behind that of the first payload."""
    if draft.parts:
        draft.first = draft.parts[0].type + 1


def too_much_padding(plaintext: bytes, block: int) -> bytes:
    """A pad length of 255, which takes a short message whole and a longer one in part."""
    return plaintext + bytes(-(len(plaintext) + 1) % block) + b"\xff"


def padding(draft: Draft) -> None:
    draft.padded = too_much_padding


def fragments(draft: Draft, change: Callable[[Numbers], Numbers] | None) -> None:
    """Send a protected message in fragments of few octets, with these numbers."""
    if draft.protected:
        draft.chunk, draft.fragments = CHUNK, change


def one_missing(numbers: Numbers) -> Numbers:
    return numbers[:-1] if len(numbers) > 1 else [(1, 2)]


def from_zero(numbers: Numbers) -> Numbers:
    return [(number - 1, total) for number, total in numbers]


def one_too_many(numbers: Numbers) -> Numbers:
    return [(number + 1, total) for number, total in numbers]


def flipped(data: bytes, at: int) -> bytes:
    """A protected datagram with one bit changed, counted from the end."""
    if data[NEXT_PAYLOAD] not in ENCRYPTED:
        return data
    changed = bytearray(data)
    changed[at] ^= 0x01
    return bytes(changed)


IMPAIRMENTS = (
    Impairment(
        "major-version-bump",
        "names a higher major version in each message",
        "3.1",
        lambda _: Stages(message=lambda draft: draft.change(version=0x30)),
        libreswan=True,
    ),
    Impairment(
        "minor-version-bump",
        "names a higher minor version in each message",
        "3.1",
        lambda _: Stages(message=lambda draft: draft.change(version=0x21)),
        libreswan=True,
    ),
    Impairment(
        "send-bogus-isakmp-flag",
        "sets a reserved flag of the IKE header",
        "3.1",
        lambda _: Stages(message=lambda draft: flags(draft, RESERVED)),
        libreswan=True,
    ),
    Impairment(
        "send-bogus-payload-flag",
        "sets a reserved bit in each payload's header",
        "3.2",
        lambda _: Stages(message=reserved_bits),
        libreswan=True,
    ),
    Impairment(
        "wrong-initiator-flag",
        "turns the Initiator flag round in each message",
        "3.1",
        lambda _: Stages(message=lambda draft: flags(draft, HeaderFlag.INITIATOR)),
    ),
    Impairment(
        "no-response-flag",
        "leaves the Response flag out of its responses",
        "3.1",
        lambda _: of_responses(lambda draft: flags(draft, HeaderFlag.RESPONSE)),
    ),
    Impairment(
        "response-flag-on-requests",
        "sets the Response flag in its requests",
        "3.1",
        lambda _: of_requests(lambda draft: flags(draft, HeaderFlag.RESPONSE)),
    ),
    Impairment(
        "version-flag",
        "says by the Version flag that it speaks a higher major version",
        "3.1",
        lambda _: Stages(message=lambda draft: flags(draft, HeaderFlag.VERSION)),
    ),
    Impairment(
        "ike-initiator-spi",
        "writes another initiator's SPI into its messages behind the first request",
        "3.1",
        lambda number: Stages(message=lambda draft: own_spi(draft, number)),
        Number(1, 2**64 - 1, "the SPI", SPI.default),
        libreswan=True,
    ),
    Impairment(
        "ike-responder-spi",
        "writes another responder's SPI into its messages",
        "3.1",
        lambda number: Stages(message=lambda draft: spi(draft, "spi_r", number)),
        SPI,
        libreswan=True,
    ),
    Impairment(
        "old-message-id",
        "sends its requests behind the first exchange with a message ID that it has used before",
        "2.2",
        lambda _: of_requests(lambda draft: message_id(draft, -1)),
    ),
    Impairment(
        "skip-message-id",
        "leaves message IDs out in its requests behind the first exchange",
        "2.2",
        lambda by: of_requests(lambda draft: message_id(draft, by)),
        Number(1, 1_000_000, "message IDs too far", 10),
    ),
    Impairment(
        "wrong-response-id",
        "answers with the message ID behind that of the request",
        "2.2",
        lambda _: of_responses(lambda draft: message_id(draft, 1)),
    ),
    Impairment(
        "bad-ikev2-auth-xchg",
        "answers IKE_AUTH as if it were INFORMATIONAL",
        "3.1",
        lambda _: of_responses(auth_as_informational),
        libreswan=True,
    ),
    Impairment(
        "header-length",
        "writes a length into the IKE header that is not that of the message",
        "3.1",
        lambda octets: Stages(message=lambda draft: excess(draft, octets)),
        OCTETS,
    ),
    Impairment(
        "payload-length",
        "writes a length into the last payload's header that is not its own",
        "3.2",
        lambda octets: Stages(message=lambda draft: payload_length(draft, octets)),
        OCTETS,
    ),
    Impairment(
        "wrong-first-payload",
        "names another type for the first payload than it has",
        "3.2",
        lambda _: Stages(message=first_payload),
    ),
    Impairment(
        "corrupt-encrypted",
        "spoils a bit of the ciphertext of each protected message",
        "3.14",
        lambda _: Stages(sealed=lambda data: flipped(data, -20)),
        libreswan=True,
    ),
    Impairment(
        "corrupt-icv",
        "spoils a bit of the checksum of each protected message",
        "3.14",
        lambda _: Stages(sealed=lambda data: flipped(data, -1)),
    ),
    Impairment(
        "bad-padding",
        "pads protected messages with a pad length that is larger than the padding",
        "3.14",
        lambda _: Stages(message=padding),
    ),
    Impairment(
        "tiny-fragments",
        "sends protected messages in tiny fragments, whether fragmentation was negotiated or not",
        "RFC 7383 2.3",
        lambda _: Stages(message=lambda draft: fragments(draft, None)),
    ),
    Impairment(
        "missing-fragment",
        "sends protected messages in fragments, and never the last one",
        "RFC 7383 2.5",
        lambda _: Stages(message=lambda draft: fragments(draft, one_missing)),
    ),
    Impairment(
        "fragments-from-zero",
        "numbers fragments from 0 on",
        "RFC 7383 2.5",
        lambda _: Stages(message=lambda draft: fragments(draft, from_zero)),
    ),
    Impairment(
        "fragment-beyond-total",
        "numbers fragments from 2 on, so that the last exceeds the total",
        "RFC 7383 2.5",
        lambda _: Stages(message=lambda draft: fragments(draft, one_too_many)),
    ),
)
