"""Impairments of delivery: datagrams that are lost, late, doubled, repeated or cut (RFC 7296 2.1, 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from ikepy.errors import WireError
from ikepy.impair.impairment import Deliver, Deliveries, Impairment, Number, Stages, Word
from ikepy.wire.constants import ExchangeType
from ikepy.wire.message import HEADER_SIZE, IkeHeader, decode_header

MOST_KEPT = 64  # datagrams that are remembered, to be replayed or known again
EXCHANGES = {one.name: int(one) for one in ExchangeType}
NTH = Number(1, 1_000_000, "which one, counted from 1 on")

Chosen = Callable[[IkeHeader], bool]


def header_of(data: bytes) -> IkeHeader | None:
    """The IKE header of a datagram; None if there is none, or a wrong one."""
    try:
        return decode_header(data)[0]
    except WireError:
        return None


def losing(chosen: Chosen, times: int | None = None) -> Deliver:
    """Lose the datagrams whose header is chosen: the first `times` of them, or all."""
    numbers = count(1)

    def deliver(data: bytes) -> Deliveries:
        header = header_of(data)
        if header is None or not chosen(header) or (times is not None and next(numbers) > times):
            return [(0.0, data)]
        return []

    return deliver


def losing_nth(number: int) -> Deliver:
    """Lose one datagram."""
    numbers = count(1)
    return lambda data: [] if next(numbers) == number else [(0.0, data)]


def losing_repeated(chosen: Chosen) -> Deliver:
    """Lose what was sent before, octet by octet."""
    sent: dict[bytes, None] = {}

    def deliver(data: bytes) -> Deliveries:
        header = header_of(data)
        if header is not None and chosen(header) and data in sent:
            return []
        _remember(sent, data)
        return [(0.0, data)]

    return deliver


def losing_answer(number: int) -> Deliver:
    """Lose all copies of the response to the Nth request that is answered."""
    known: dict[tuple[bytes, bytes, int], int] = {}

    def deliver(data: bytes) -> Deliveries:
        header = header_of(data)
        if header is None or not header.is_response:
            return [(0.0, data)]
        nth = known.setdefault((header.spi_i, header.spi_r, header.message_id), len(known) + 1)
        return [] if nth == number else [(0.0, data)]

    return deliver


def replaying(*, newest_first: bool) -> Deliver:
    """With each datagram all earlier ones come again."""
    known: dict[bytes, None] = {}

    def deliver(data: bytes) -> Deliveries:
        earlier = [one for one in known if one != data]
        _remember(known, data)
        if newest_first:
            earlier.reverse()
        return [(0.0, data), *((0.0, one) for one in earlier)]

    return deliver


def with_the_last(data: bytes, kept: list[bytes]) -> Deliveries:
    """A response leaves with the one before it, once more."""
    header = header_of(data)
    if header is None or not header.is_response:
        return [(0.0, data)]
    earlier, kept[:] = list(kept), [data]
    return [(0.0, data), *((0.0, one) for one in earlier if one != data)]


def _remember(known: dict[bytes, None], data: bytes) -> None:
    known[data] = None
    if len(known) > MOST_KEPT:
        del known[next(iter(known))]


def _auth_request(header: IkeHeader) -> bool:
    return header.exchange == ExchangeType.IKE_AUTH and not header.is_response


def _with_last() -> Stages:
    kept: list[bytes] = []
    return Stages(sending=lambda data: with_the_last(data, kept))


IMPAIRMENTS = (
    Impairment(
        "drop-outbound",
        "does not send the Nth message that it has to send",
        "2.1",
        lambda number: Stages(sending=losing_nth(number)),
        NTH,
        libreswan=True,
    ),
    Impairment(
        "drop-inbound",
        "does not take the Nth message that comes",
        "2.1",
        lambda number: Stages(receiving=losing_nth(number)),
        NTH,
        libreswan=True,
    ),
    Impairment(
        "drop-i2",
        "loses the initiator's second message, the first IKE_AUTH request, once",
        "2.1",
        lambda _: Stages(sending=losing(_auth_request, times=1)),
        libreswan=True,
    ),
    Impairment(
        "send-no-ikev2-auth",
        "sends no IKE_AUTH request at all",
        "1.2",
        lambda _: Stages(sending=losing(_auth_request)),
        libreswan=True,
    ),
    Impairment(
        "suppress-retransmits",
        "never sends a request again that stays unanswered",
        "2.1",
        lambda _: Stages(sending=losing_repeated(lambda header: not header.is_response)),
        libreswan=True,
    ),
    Impairment(
        "suppress-repeated-responses",
        "does not answer a request again that the peer repeats",
        "2.1",
        lambda _: Stages(sending=losing_repeated(lambda header: header.is_response)),
    ),
    Impairment(
        "no-response-to",
        "never answers the Nth request that comes, IKE_SA_INIT counted",
        "2.1",
        lambda number: Stages(sending=losing_answer(number)),
        NTH,
    ),
    Impairment(
        "ignore-requests",
        "does not answer the requests of one kind of exchange",
        "1.4",
        lambda exchange: Stages(
            receiving=losing(lambda header: header.exchange == exchange and not header.is_response)
        ),
        Word(EXCHANGES, "INFORMATIONAL"),
    ),
    Impairment(
        "ignore-responses",
        "does not take the responses of one kind of exchange",
        "2.1",
        lambda exchange: Stages(
            receiving=losing(lambda header: header.exchange == exchange and header.is_response)
        ),
        Word(EXCHANGES, "INFORMATIONAL"),
    ),
    Impairment(
        "jacob-two-two",
        "sends each message twice",
        "2.1",
        lambda _: Stages(sending=lambda data: [(0.0, data), (0.0, data)]),
        libreswan=True,
    ),
    Impairment(
        "delay-outbound",
        "sends each message so many milliseconds late",
        "2.1",
        lambda wait: Stages(sending=lambda data: [(wait / 1000, data)]),
        Number(1, 600_000, "milliseconds", 3000),
    ),
    Impairment(
        "replay-duplicates",
        "takes each message twice that comes",
        "2.2",
        lambda _: Stages(receiving=lambda data: [(0.0, data), (0.0, data)]),
        libreswan=True,
    ),
    Impairment(
        "replay-forward",
        "takes all earlier messages again with each that comes, the oldest first",
        "2.2",
        lambda _: Stages(receiving=replaying(newest_first=False)),
        libreswan=True,
    ),
    Impairment(
        "replay-backward",
        "takes all earlier messages again with each that comes, the newest first",
        "2.2",
        lambda _: Stages(receiving=replaying(newest_first=True)),
        libreswan=True,
    ),
    Impairment(
        "resend-last-response",
        "sends its last response again behind each response",
        "2.1",
        lambda _: _with_last(),
    ),
    Impairment(
        "cut-datagram",
        "sends each message without its last octets",
        "3.1",
        lambda octets: Stages(sealed=lambda data: data[: max(len(data) - octets, HEADER_SIZE)]),
        Number(1, 1000, "octets", 1),
    ),
    Impairment(
        "trailing-octets",
        "sends zeros behind each message, which its length does not count",
        "3.1",
        lambda octets: Stages(sealed=lambda data: data + bytes(octets)),
        Number(1, 1000, "octets", 4),
    ),
)
