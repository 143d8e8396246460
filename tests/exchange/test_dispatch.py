"""What arrives for an IKE_SA: what is dropped and with which trace, what is answered, what ends it.

RFC 7296 2.1 to 2.4 and 2.21. Nothing here is sealed with keys that the two ends do not have.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import fragments
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NoncePayload, NotifyPayload, Payload, UnknownPayload

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, assert_joined, deliver_all
from .tampering import answer_otherwise
from .test_established import ike_sa

A_TO_B = Path(Endpoint(ADDRESS_B, 4500), Endpoint(ADDRESS_A, 4500))
B_TO_A = Path(Endpoint(ADDRESS_A, 4500), Endpoint(ADDRESS_B, 4500))
LASTING = "rekey_time = 0\nkeyingtries = 1"
INFORMATIONAL, CREATE = ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA
SECOND = """
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = ["aes128gcm16"]
rekey_time = 0
"""


def established(a: Options | None = None, b: Options | None = None) -> Network:
    lasting = Options(connection=LASTING, child="rekey_time = 0", more=SECOND)
    net = Network(a or lasting, b or lasting)
    net.command("a", Initiate("ab", "net", ticket=99))
    net.run(1)
    assert_joined(net)
    net.ladder.clear()
    net.a.logs.clear()
    net.b.logs.clear()
    return net


def sealed(
    net: Network,
    who: str,
    exchange: int,
    message_id: int,
    payloads: Sequence[Payload],
    *,
    response: bool = False,
) -> bytes:
    """A message of one end's."""
    sa = ike_sa(net, who)
    flags = (HeaderFlag.INITIATOR if sa.initiator else 0) | (HeaderFlag.RESPONSE if response else 0)
    header = IkeHeader(sa.spi_i, sa.spi_r, exchange, flags, message_id)
    (data,) = fragments.seal(header, payloads, sa.keys.cipher_out, sa.registry.entropy.random, None)
    return data


def ask(net: Network, exchange: int, payloads: Sequence[Payload], message_id: int = 2) -> list[Effect]:
    """A request of a's, and what b does about it."""
    return net.inject("b", A_TO_B, sealed(net, "a", exchange, message_id, payloads))


def lines(effects: list[Effect]) -> list[tuple[Level, str]]:
    return [(one.level, one.text) for one in effects if isinstance(one, Log)]


def alive(net: Network) -> tuple[int, int]:
    return len(net.a.manager.ike_sas), len(net.b.manager.ike_sas)


# -- what is dropped -------------------------------------------------------------------------------


def test_what_is_not_authentic_leaves_a_line_at_debug() -> None:
    net = established()
    data = bytearray(sealed(net, "a", INFORMATIONAL, 2, []))
    data[-1] ^= 1
    ((level, text),) = lines(net.inject("b", A_TO_B, bytes(data)))
    assert level is Level.DEBUG
    assert text.startswith("dropped a message from 192.0.2.1[4500]: ")
    assert ask(net, INFORMATIONAL, []), "the true one is answered"


@pytest.mark.parametrize("who", ["a", "b"])
def test_our_own_messages_that_come_back_are_dropped(who: str) -> None:
    net = established()
    path = B_TO_A if who == "a" else A_TO_B
    for response in (True, False):
        data = sealed(net, who, INFORMATIONAL, 0, [], response=response)
        assert lines(net.inject(who, path, data)) == [(Level.DEBUG, "dropped: no such IKE_SA")]


def test_a_response_to_nothing_is_dropped() -> None:
    net = established()
    assert net.inject("a", B_TO_A, sealed(net, "b", INFORMATIONAL, 2, [], response=True)) == []
    assert net.inject("a", B_TO_A, sealed(net, "b", ExchangeType.IKE_AUTH, 1, [], response=True)) == []
    assert alive(net) == (1, 1)


@pytest.mark.parametrize("message_id", [3, 7, 2**31])
def test_a_request_out_of_order_is_dropped(message_id: int) -> None:
    net = established()
    assert lines(ask(net, INFORMATIONAL, [], message_id)) == [
        (Level.DEBUG, f"dropped request {message_id}: stale or out of order")
    ]


def test_a_request_before_ike_auth_is_dropped() -> None:
    net = Network()
    net.script = lambda line, nth, data: [] if "IKE_AUTH" in line else [DELAY]
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    for exchange in (INFORMATIONAL, CREATE):
        effects = net.inject("b", A_TO_B, sealed(net, "a", exchange, 1, [NoncePayload(bytes(32))]))
        assert lines(effects) == [(Level.DEBUG, f"dropped exchange {exchange} before IKE_AUTH")]
    effects = net.inject("a", B_TO_A, sealed(net, "b", ExchangeType.IKE_AUTH, 0, []))
    assert lines(effects) == [(Level.DEBUG, f"dropped exchange {ExchangeType.IKE_AUTH} before IKE_AUTH")]
    net.script = deliver_all
    net.run(10)
    assert_joined(net)


def test_a_request_before_there_are_keys_is_dropped() -> None:
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net"))
    (sa,) = net.a.manager.ike_sas
    header = IkeHeader(sa.spi_i, bytes(8), INFORMATIONAL, 0, 0)
    data = encode_message(header, [NoncePayload(bytes(32))])
    assert lines(net.inject("a", B_TO_A, data)) == [(Level.DEBUG, "dropped request 0: stale or out of order")]


def test_a_repeated_request_gets_the_same_response_and_nothing_else() -> None:
    net = established()
    data = sealed(net, "a", INFORMATIONAL, 2, [])
    (first,) = [one for one in net.inject("b", A_TO_B, data) if isinstance(one, Send)]
    elsewhere = Path(A_TO_B.local, Endpoint(ADDRESS_A, 5000))
    assert net.inject("b", elsewhere, data) == [Send(elsewhere, first.data)]
    data = data[:-1] + bytes([data[-1] ^ 1])
    ((level, _),) = lines(net.inject("b", A_TO_B, data))
    assert level is Level.DEBUG


# -- responses -------------------------------------------------------------------------------------

ENDS = NotifyPayload(NotifyType.INVALID_SYNTAX)


def other_response(
    net: Network, payloads: Sequence[Payload], line: str = "b -> a CREATE_CHILD_SA response 2"
) -> list[Effect]:
    """a asks for a second child, and hears this."""
    act = lambda: net.command("a", Initiate("ab", "second", ticket=1))  # noqa: E731
    return answer_otherwise(net, line, act, lambda _: payloads)


def test_an_error_that_ends_the_ike_sa_is_told_once() -> None:
    net = established()
    effects = other_response(net, [ENDS])
    text = "the peer ends the IKE_SA: it answers INVALID_SYNTAX"
    assert [found for found in lines(effects) if text in found[1]] == [(Level.ERROR, f"IKE_SA ended: {text}")]
    assert net.a.outcomes[1].text == text
    assert not net.a.manager.ike_sas
    assert not net.a.plane.inbound


@pytest.mark.parametrize(
    ("error", "claim"),
    [
        (NotifyType.AUTHENTICATION_FAILED, True),
        (NotifyType.INVALID_SYNTAX, False),
        (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, False),
    ],
)
def test_what_was_claimed_is_shown_where_the_peer_does_not_believe_it(error: NotifyType, claim: bool) -> None:
    net = Network(Options(connection=LASTING))
    line, begin = "b -> a IKE_AUTH response 1", Initiate("ab", "net", ticket=1)
    data = b"\x30" if error is NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD else b""
    answer_otherwise(net, line, lambda: net.command("a", begin), lambda _: [NotifyPayload(error, data)])
    text = f"the peer ends the IKE_SA: it answers {error.name}"
    shown = ' (for one of: IDi FQDN "gwa", IDr FQDN "gwb", secret of [secrets.ike])'
    assert net.a.outcomes[1].text == text + (shown if claim else "")
    assert [log.level for log in net.a.logs if text in log.text] == [Level.ERROR]


def test_the_claim_is_not_shown_after_ike_auth() -> None:
    net = established()
    other_response(net, [NotifyPayload(NotifyType.AUTHENTICATION_FAILED)])
    assert net.a.outcomes[1].text == "the peer ends the IKE_SA: it answers AUTHENTICATION_FAILED"


def test_an_error_in_the_answer_to_a_delete_changes_nothing() -> None:
    net = established()
    answer = sealed(net, "b", INFORMATIONAL, 2, [ENDS], response=True)
    net.script = lambda line, nth, data: []
    net.command("a", Terminate(ike="ab", ticket=1))
    effects = net.inject("a", B_TO_A, answer)
    assert net.a.outcomes[1].ok
    assert not net.a.manager.ike_sas
    assert not any(level is Level.ERROR for level, _ in lines(effects))


def test_a_malformed_response_ends_the_ike_sa_and_the_peer_is_told() -> None:
    net = established()
    effects = other_response(net, [NoncePayload(bytes(32)), NoncePayload(bytes(32))])
    (told,) = [text for level, text in lines(effects) if level is Level.ERROR]
    assert told.startswith("IKE_SA ended: ")
    assert net.a.outcomes[1].text == told.removeprefix("IKE_SA ended: ")
    net.run(1)
    assert alive(net) == (0, 0)


def test_a_response_that_holds_more_than_is_permitted_is_malformed() -> None:
    few = Options(connection=LASTING, child="rekey_time = 0", more=SECOND, daemon="max_payloads = 20")
    net = established(few)
    other_response(net, [NotifyPayload(40000)] * 21)
    assert net.a.outcomes[1].text == "the peer's response is malformed: 21 payloads, 20 are permitted"
    net.run(1)
    assert alive(net) == (0, 0)


FOR_GOOD = Options(connection="rekey_time = 0", child='rekey_time = 0\nstart_action = "start"', more=SECOND)


@pytest.mark.parametrize("answer", [[NoncePayload(bytes(32))] * 2, [ENDS]], ids=["malformed", "an error"])
def test_an_ike_sa_that_was_set_up_for_good_is_set_up_again_after_an_answer(answer: list[Payload]) -> None:
    net = established(FOR_GOOD, Options(more=SECOND))
    other_response(net, answer)
    net.run(30)
    assert_joined(net)
    assert alive(net) == (1, 1)


def test_an_ike_sa_that_was_set_up_for_good_is_set_up_again_after_a_request_that_is_refused() -> None:
    """The responder wants it as well: it begins the next one."""
    net = established(Options(connection=LASTING), FOR_GOOD)
    ask(net, INFORMATIONAL, [NoncePayload(bytes(32))])
    net.run(30)
    assert any(line.startswith("b -> a IKE_SA_INIT request") for line in net.ladder)
    assert len(net.b.manager.ike_sas) == 1


def test_one_that_is_to_go_is_not_set_up_again_after_an_error() -> None:
    start = Options(connection="rekey_time = 0", child='rekey_time = 0\nstart_action = "start"', more=SECOND)
    net = established(start, Options(more=SECOND))
    net.run(20)

    def act() -> None:
        net.command("a", Initiate("ab", "second", ticket=1))
        net.command("a", Terminate(ike="ab", ticket=2))

    answer_otherwise(net, "b -> a CREATE_CHILD_SA response 2", act, lambda _: [ENDS])
    net.run(60)
    assert net.a.outcomes[2].ok
    assert not net.a.manager.ike_sas


def test_a_malformed_first_response_is_counted_and_the_next_one_taken() -> None:
    net = Network()
    net.script = lambda line, nth, data: [2.0] if line == "b -> a IKE_SA_INIT response 0" else [DELAY]
    net.command("a", Initiate("ab", "net", ticket=1))
    (sa,) = net.a.manager.ike_sas
    header = IkeHeader(sa.spi_i, b"\6" * 8, ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    for number in range(1, 4):
        effects = net.inject("a", sa.path, encode_message(header, [NoncePayload(bytes(32))]))
        ((level, text),) = lines(effects)
        assert level is Level.WARNING
        assert text.startswith("ignored an IKE_SA_INIT response: ")
        assert net.a.manager.counters()["unacceptable IKE_SA_INIT responses"] == number
        assert net.a.manager.list_sas(net.now)[0].spi_r == bytes(8)
    net.run(5)
    assert net.a.outcomes[1].ok
    assert_joined(net)
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 1


def test_a_refused_first_request_is_told_in_one_line_and_tried_again() -> None:
    start = Options(connection="keyingtries = 2", child='start_action = "start"')
    net = Network(start, Options(proposals='["aes256-sha384-modp3072"]'))
    net.start()
    net.run(60)
    told = [log for log in net.a.logs if "NO_PROPOSAL_CHOSEN" in log.text]
    assert [(log.level, log.text[:14]) for log in told] == [(Level.ERROR, "IKE_SA ended: ")] * 2
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 2


# -- requests --------------------------------------------------------------------------------------


def test_an_error_of_the_peers_that_ends_the_ike_sa_is_answered_and_told() -> None:
    net = established()
    effects = ask(net, INFORMATIONAL, [NotifyPayload(NotifyType.AUTHENTICATION_FAILED)])
    text = "IKE_SA ended: the peer ends the IKE_SA: it says AUTHENTICATION_FAILED"
    assert (Level.ERROR, text) in lines(effects)
    assert [type(one) for one in effects if isinstance(one, Send)] == [Send]
    assert not net.b.manager.ike_sas
    assert not net.b.plane.inbound


def test_what_the_peer_could_not_take_of_our_ike_auth_ends_the_ike_sa_and_only_that() -> None:
    """It says so in the request behind it (2.21.2); in a later one it is a report."""
    net, later = established(), established()
    effects = ask(net, INFORMATIONAL, [ENDS])
    assert (Level.ERROR, "IKE_SA ended: the peer ends the IKE_SA: it says INVALID_SYNTAX") in lines(effects)
    assert not net.b.manager.ike_sas
    ask(later, INFORMATIONAL, [])
    effects = ask(later, INFORMATIONAL, [ENDS], 3)
    assert lines(effects) == [(Level.WARNING, "the peer reports INVALID_SYNTAX")]
    assert alive(later) == (1, 1)


@pytest.mark.parametrize("exchange", [CREATE, INFORMATIONAL])
def test_a_malformed_request_is_told_with_what_was_answered(exchange: ExchangeType) -> None:
    few = Options(connection=LASTING, daemon="max_payloads = 20")
    net = established(None, few)
    effects = ask(net, exchange, [NotifyPayload(40000)] * 21)
    text = "IKE_SA ended: INVALID_SYNTAX: 21 payloads, 20 are permitted"
    assert [one for one in lines(effects) if "payloads" in one[1]] == [(Level.ERROR, text)]
    assert not net.b.manager.ike_sas
    assert [type(one) for one in effects].index(Send) >= 0


def test_a_request_that_is_refused_alone_is_told_and_the_ike_sa_stands() -> None:
    net = established()
    effects = ask(net, INFORMATIONAL, [UnknownPayload(99, True, b"")])
    ((level, text),) = lines(effects)
    assert level is Level.ERROR
    assert text.startswith("UNSUPPORTED_CRITICAL_PAYLOAD: ")
    assert isinstance(effects[0], Log), "first told, then answered"
    assert alive(net) == (1, 1)
    assert ask(net, INFORMATIONAL, [], 3)


def test_what_the_peer_reports_is_told() -> None:
    net = established()
    effects = ask(net, INFORMATIONAL, [NotifyPayload(NotifyType.INVALID_SPI, bytes(4))])
    assert lines(effects) == [(Level.WARNING, "the peer reports INVALID_SPI")]
    assert alive(net) == (1, 1)


@pytest.mark.parametrize("told", [b"\0\0\0\4", b"\0\0\0\xff", b"\xff\xff\xff\xff"])
def test_more_requests_at_once_where_the_peer_takes_them_but_not_without_end(told: bytes) -> None:
    names = [f"c{n}" for n in range(20)]
    children = "".join(
        f'[connections.ab.children.{name}]\nlocal_ts = ["10.{n}.0.0/16"]\nremote_ts = ["10.{n}.0.0/16"]\n'
        for n, name in enumerate(names, 20)
    )
    net = established(Options(connection=LASTING, more=children))
    notify = NotifyPayload(NotifyType.SET_WINDOW_SIZE, told)
    net.inject("a", B_TO_A, sealed(net, "b", INFORMATIONAL, 0, [notify]))
    net.ladder.clear()
    for name in names:
        net.command("a", Initiate("ab", name))
    assert len(net.ladder) == min(int.from_bytes(told, "big"), 16)


def test_the_window_that_ike_auth_tells_counts_at_once() -> None:
    four = Options(connection=LASTING, child="rekey_time = 0", more=SECOND, daemon="window_size = 4")
    net = established(four, four)
    net.command("b", Initiate("ab", "second"))
    net.command("b", Rekey(child="net"))
    assert len(net.ladder) == 2


# -- what takes time to compute --------------------------------------------------------------------

PFS = Options(
    proposals='["aes128gcm16-prfsha256-modp3072"]',
    esp_proposals='["aes128gcm16-modp3072"]',
    connection=LASTING,
    child="rekey_time = 0",
)


def test_a_set_up_whose_key_exchange_takes_its_time() -> None:
    net = Network(PFS)
    net.thinking = lambda site, job: 0.5
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert {site for site, _ in net.computed} == {"a", "b"}
    assert net.a.outcomes[1].ok
    assert_joined(net)


@pytest.mark.parametrize("slow", ["a", "b"])
@pytest.mark.parametrize(
    "what", [Rekey(child="net", ticket=1), Rekey(ike="ab", ticket=1)], ids=["child", "IKE"]
)
def test_a_rekey_whose_key_exchange_takes_its_time(slow: str, what: Rekey) -> None:
    """A request that is worked on, and a response, come again: they are dropped, each is worked on once."""
    net = established(PFS, PFS)
    net.thinking = lambda site, job: 1.0 if site == slow else 0.0
    net.script = lambda line, nth, data: [DELAY, 5 * DELAY]
    net.command("a", what)
    net.run(0.5)
    requests = [line for line in net.ladder if line.startswith("a -> b CREATE_CHILD_SA")]
    assert len(requests) <= 1
    net.run(20)
    assert net.computed
    assert net.a.outcomes[1].ok
    assert net.ladder.count("b -> a CREATE_CHILD_SA response 2") <= 2
    assert_joined(net)
    assert alive(net) == (1, 1)
    assert not net.a.errors()
    assert not net.b.errors()


def test_what_a_request_reports_is_told_once_though_it_is_worked_on_twice() -> None:
    net = established(PFS, PFS)
    net.thinking = lambda site, job: 0.5
    original = ike_sa(net, "a")

    def beside(payloads: Sequence[Payload]) -> Sequence[Payload]:
        return [*payloads, NotifyPayload(NotifyType.INVALID_SPI, bytes(4))]

    line = "a -> b CREATE_CHILD_SA request 2"

    def act() -> None:
        net.thinking = lambda site, job: 0.0
        net.command("a", Rekey(child="net"))
        net.thinking = lambda site, job: 0.5

    answer_otherwise(net, line, act, beside)
    net.run(5)
    assert [log.text for log in net.b.logs].count("the peer reports INVALID_SPI") == 1
    assert original in net.a.manager.ike_sas


# -- fragments of those who are not authenticated --------------------------------------------------


def test_a_repeated_request_in_fragments_is_answered_once() -> None:
    small = Options(connection=LASTING, daemon="fragment_size = 576", more=SECOND)
    net = established(small, small)
    sent: list[bytes] = []

    def keep(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith("a -> b CREATE_CHILD_SA request 2"):
            sent.append(data)
        return [DELAY]

    net.script = keep
    wide = [NotifyPayload(40000, bytes(400)) for _ in range(3)]
    sa = ike_sa(net, "a")
    flags = HeaderFlag.INITIATOR
    header = IkeHeader(sa.spi_i, sa.spi_r, INFORMATIONAL, flags, 2)
    parts = fragments.seal(header, wide, sa.keys.cipher_out, sa.registry.entropy.random, 500)
    assert len(parts) > 2
    answers = [[one for one in net.inject("b", A_TO_B, part) if isinstance(one, Send)] for part in parts]
    assert [len(one) for one in answers] == [0] * (len(parts) - 1) + [1]
    again = [[one for one in net.inject("b", A_TO_B, part) if isinstance(one, Send)] for part in parts]
    assert [len(one) for one in again] == [1] + [0] * (len(parts) - 1)
    assert again[0] == answers[-1]
