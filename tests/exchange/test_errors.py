"""Every error notify in the response to every request of ours, and in requests (RFC 7296 2.21, 3.10.1).

What is expected stands in the tables below, a column an exchange, in the words of `observed`:

- ends: the IKE_SA is gone with its children, and no Delete is sent
- closed: the IKE_SA is gone with its children, and a Delete is sent
- fails: the IKE_SA stands, what was asked for is not there, and nobody asks again
- later: the IKE_SA stands with its child, and the request comes again after a wait
- again: the same is asked for once more at once
- anew: the child is gone, and one is asked for at once
- reauth: a new IKE_SA is begun beside the old one
- works: nothing happens but what would have happened without the notify
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.message import error_handling, fragments
from ikepy.sa.message.error_handling import Exchange
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import FIRST_STATUS_NOTIFY, ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NoncePayload, NotifyPayload, Payload, SaPayload, TsPayload

from .network import DELAY, Network, Options, assert_joined, deliver_all, describe
from .tampering import answer_otherwise
from .test_established import do, ike_sa

# "auth": beside IDr and AUTH; "all": beside the whole answer, child and all
RESPONSES = """
                                auth    all     create  rekey   IKE     inform
UNSUPPORTED_CRITICAL_PAYLOAD    ends    ends    fails   later   later   works
INVALID_IKE_SPI                 closed  closed  fails   later   later   works
INVALID_MAJOR_VERSION           closed  closed  fails   later   later   works
INVALID_SYNTAX                  ends    ends    ends    ends    ends    ends
INVALID_MESSAGE_ID              closed  closed  fails   later   later   works
INVALID_SPI                     closed  closed  fails   later   later   works
NO_PROPOSAL_CHOSEN              fails   fails   fails   later   later   works
INVALID_KE_PAYLOAD              fails   fails   again   again   again   works
AUTHENTICATION_FAILED           ends    ends    ends    ends    ends    ends
SINGLE_PAIR_REQUIRED            again   again   again   later   later   works
NO_ADDITIONAL_SAS               fails   fails   fails   later   reauth  works
INTERNAL_ADDRESS_FAILURE        fails   fails   fails   later   later   works
FAILED_CP_REQUIRED              fails   fails   fails   later   later   works
TS_UNACCEPTABLE                 fails   fails   fails   later   later   works
INVALID_SELECTORS               fails   fails   fails   later   later   works
UNACCEPTABLE_ADDRESSES          closed  closed  fails   later   later   works
UNEXPECTED_NAT_DETECTED         closed  closed  fails   later   later   works
TEMPORARY_FAILURE               fails   fails   later   later   later   works
CHILD_SA_NOT_FOUND              fails   fails   fails   anew    later   works
STATE_NOT_FOUND                 closed  closed  later   later   later   works
45                              closed  closed  fails   later   later   works
8192                            closed  closed  fails   later   later   works
16383                           closed  closed  fails   later   later   works
16384                           works   works   .       .       .       works
40000                           works   works   .       .       .       works
"""

DATA = {NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: b"\x30", NotifyType.INVALID_KE_PAYLOAD: b"\0\x13"}
OPTIONS = Options(
    proposals='["aes128gcm16-prfsha256-x25519-ecp256"]',
    esp_proposals='["aes128gcm16-x25519-ecp256"]',
    local_ts='["10.1.0.0/24", "10.2.0.0/24"]',
    remote_ts='["10.1.0.0/24", "10.2.0.0/24"]',
    connection="rekey_time = 0\nkeyingtries = 1\ndpd_delay = 0",
    child="rekey_time = 0",
    more="""
[connections.ab.children.second]
local_ts = ["10.9.0.0/24", "10.8.0.0/24"]
remote_ts = ["10.9.0.0/24", "10.8.0.0/24"]
esp_proposals = ["aes128gcm16-x25519-ecp256"]
rekey_time = 0
""",
)
PROBE = NotifyPayload(40000)  # a status that nobody knows
CREATE = "b -> a CREATE_CHILD_SA response 2"


def cells(table: str) -> list[tuple[str, str, str]]:
    """(row, column, expected) of each cell."""
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return [(row, column, cell) for row, *rest in rows for column, cell in zip(head, rest, strict=True)]


def number(name: str) -> int:
    return int(name) if name.isdigit() else NotifyType[name]


def notify(name: str) -> NotifyPayload:
    return NotifyPayload(number(name), DATA.get(NotifyType[name], b"") if not name.isdigit() else b"")


def established() -> Network:
    net = Network(OPTIONS)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    return net


def answered(column: str, error: NotifyPayload) -> tuple[Network, list[Effect]]:
    """Site a after an exchange whose response held this error, and what it did at once."""
    if column in ("auth", "all"):
        net = Network(OPTIONS)

        def beside(payloads: Sequence[Payload]) -> Sequence[Payload]:
            kept = [p for p in payloads if column == "all" or not isinstance(p, SaPayload | TsPayload)]
            return [*kept, error]

        line, act = "b -> a IKE_AUTH response 1", lambda: net.command("a", Initiate("ab", "net", ticket=1))
        return net, answer_otherwise(net, line, act, beside)
    net = established()
    acts = {
        "create": lambda: net.command("a", Initiate("ab", "second", ticket=1)),
        "rekey": lambda: net.command("a", Rekey(child="net", ticket=1)),
        "IKE": lambda: net.command("a", Rekey(ike="ab", ticket=1)),
        "inform": lambda: do(net, "a", SendNotify(PROBE)),
    }
    line = CREATE.replace("CREATE_CHILD_SA", "INFORMATIONAL") if column == "inform" else CREATE
    return net, answer_otherwise(net, line, acts[column], lambda _: [error])


def observed(net: Network, effects: list[Effect], column: str, alive: bool) -> str:
    sent = [describe("a", e.data) for e in effects if isinstance(e, Send)]
    children = [sa.child for sa in net.a.plane.inbound.values()]
    if not alive:
        assert not children
        # What is begun at once after that is a set-up, not a message of the IKE_SA that is gone.
        return "closed" if any("INFORMATIONAL" in line for line in sent) else "ends"
    if any("IKE_SA_INIT" in line for line in sent):
        return "reauth"
    creates = any("CREATE_CHILD_SA" in line for line in sent)
    if column == "rekey" and creates and not children:
        return "anew"
    if creates:
        return "again"
    before = len(net.ladder)
    wanted = {"auth": ["net"], "all": ["net"], "create": ["net", "second"]}.get(column, ["net"])
    if sorted(children) == wanted and column in ("auth", "all", "inform"):
        return "works"
    if column in ("auth", "all", "create"):
        net.run(100)
        return "later" if any("a -> b CREATE_CHILD_SA" in line for line in net.ladder[before:]) else "fails"
    assert children == ["net"]
    net.run(130)
    assert any("a -> b CREATE_CHILD_SA" in line for line in net.ladder[before:])
    return "later"


@pytest.mark.parametrize(("name", "column", "expected"), [c for c in cells(RESPONSES) if c[2] != "."])
def test_an_error_in_a_response(name: str, column: str, expected: str) -> None:
    net, effects = answered(column, notify(name))
    alive = bool(net.a.manager.ike_sas)
    if column == "auth" and expected == "works":  # without SA there is no child, whatever the notify says
        expected = "fails"
    seen = observed(net, effects, column, alive)
    assert seen == expected, "\n".join(log.text for log in net.a.logs)
    if expected in ("ends", "closed", "fails") and column != "inform":
        assert not net.a.outcomes[1].ok
    if expected in ("ends", "closed"):
        (told, *_) = [e.text for e in effects if isinstance(e, Log) and e.level is Level.ERROR]
        shown = name if not name.isdigit() else f"error {name}"
        assert shown in told


@pytest.mark.parametrize("name", [row for row, column, _ in cells(RESPONSES) if column == "auth"])
def test_an_error_in_an_ike_sa_init_response(name: str) -> None:
    """Nobody has authenticated it: a set-up fails of it, and may be tried again, no more.

    INVALID_KE_PAYLOAD is followed; a status says nothing, and the true answer is waited for (2.21.1).
    """
    net = Network(OPTIONS)
    net.script = lambda line, nth, data: [5.0] if line == "b -> a IKE_SA_INIT response 0" else [DELAY]
    net.command("a", Initiate("ab", "net", ticket=1))
    (sa,) = net.a.manager.ike_sas
    header = IkeHeader(sa.spi_i, bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    net.inject("a", sa.path, encode_message(header, [notify(name)]))
    net.script = deliver_all
    asked = net.ladder.count("a -> b IKE_SA_INIT request 0")
    if number(name) >= FIRST_STATUS_NOTIFY or number(name) == NotifyType.INVALID_KE_PAYLOAD:
        assert asked == (2 if number(name) == NotifyType.INVALID_KE_PAYLOAD else 1)
        net.run(30)
        assert net.a.outcomes[1].ok
    else:
        assert asked == 1
        assert not net.a.manager.ike_sas
        assert (name if not name.isdigit() else f"error {name}") in net.a.outcomes[1].text


def test_every_error_has_its_row() -> None:
    rows = {number(row) for row, _, _ in cells(RESPONSES)}
    assert {one for one in NotifyType if one < FIRST_STATUS_NOTIFY} <= rows
    known = {one for table in error_handling.IN_RESPONSES.values() for one in table}
    assert known <= rows
    assert set(error_handling.IN_RESPONSES) == set(error_handling.OTHERS_IN_RESPONSES) == set(Exchange)


@pytest.mark.parametrize("grave_first", [True, False])
def test_the_gravest_of_several_errors_decides(grave_first: bool) -> None:
    grave, light = NotifyPayload(NotifyType.INVALID_SYNTAX), NotifyPayload(NotifyType.TS_UNACCEPTABLE)
    both = [grave, light] if grave_first else [light, grave]
    net = established()
    answer_otherwise(net, CREATE, lambda: net.command("a", Initiate("ab", "second")), lambda _: both)
    assert not net.a.manager.ike_sas


# -- in the peer's requests ------------------------------------------------------------------------

# "first": the INFORMATIONAL behind IKE_AUTH; "second": a later one; "reverse": one of the responder
REQUESTS = """
                                first   second  reverse
UNSUPPORTED_CRITICAL_PAYLOAD    ends    works   works
INVALID_SYNTAX                  ends    works   works
AUTHENTICATION_FAILED           ends    ends    ends
INVALID_IKE_SPI                 works   works   works
INVALID_SPI                     works   works   works
NO_PROPOSAL_CHOSEN              works   works   works
TEMPORARY_FAILURE               works   works   works
CHILD_SA_NOT_FOUND              works   works   works
INVALID_SELECTORS               works   works   works
45                              works   works   works
16383                           works   works   works
40000                           works   works   works
"""


@pytest.mark.parametrize(("name", "column", "expected"), cells(REQUESTS))
def test_an_error_in_a_request(name: str, column: str, expected: str) -> None:
    net = established()
    if column == "second":
        do(net, "a", SendNotify(PROBE))
        net.run(1)
    asks, answers = ("b", "a") if column == "reverse" else ("a", "b")
    do(net, asks, SendNotify(notify(name)))
    net.run(0.1)
    assert net.ladder[-1].startswith(f"{answers} -> {asks} INFORMATIONAL response")
    site = net.site(answers)
    assert ("works" if site.manager.ike_sas else "ends") == expected
    assert bool(site.plane.inbound) is bool(site.manager.ike_sas)
    if number(name) < FIRST_STATUS_NOTIFY:
        assert any(log.level in (Level.WARNING, Level.INFO, Level.ERROR) for log in site.logs[-3:])
        assert any(name in log.text or "INVALID_SELECTORS" in log.text for log in site.logs[-3:])


# -- what follows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "close", "again"), [("start", "none", 1), ("none", "start", 1), ("none", "none", 0)]
)
@pytest.mark.parametrize("direction", ["received", "sent"])
def test_what_is_configured_is_set_up_anew(start: str, close: str, again: int, direction: str) -> None:
    """Nobody wished the end of an IKE_SA that INVALID_SYNTAX ends, whichever end sent it."""
    actions = f'rekey_time = 0\nstart_action = "{start}"\nclose_action = "{close}"'
    net = Network(replace(OPTIONS, child=actions), OPTIONS)
    net.command("a", Initiate("ab", "net"))
    net.run(20)
    old = ike_sa(net, "a")
    refusal = [NotifyPayload(NotifyType.INVALID_SYNTAX)]
    if direction == "received":
        answer_otherwise(
            net, "b -> a INFORMATIONAL response 2", lambda: do(net, "a", SendNotify(PROBE)), lambda _: refusal
        )
    else:
        payloads: list[Payload] = [NoncePayload(bytes(32))] * 2
        header = IkeHeader(old.spi_i, old.spi_r, ExchangeType.CREATE_CHILD_SA, HeaderFlag(0), 0)
        sender = ike_sa(net, "b")
        (data,) = fragments.seal(
            header, payloads, sender.keys.cipher_out, sender.registry.entropy.random, None
        )
        net.inject("a", old.path, data)
    net.run(30)
    assert old not in net.a.manager.ike_sas
    assert len(net.a.manager.ike_sas) == again
    if again:
        assert_joined(net)


def test_a_terminate_that_waits_for_its_turn_is_not_undone() -> None:
    """Whoever asked for the end of the IKE_SA does not get it again, though INVALID_SYNTAX was faster."""
    net = Network(replace(OPTIONS, child='rekey_time = 0\nstart_action = "start"'), OPTIONS)
    net.command("a", Initiate("ab", "net"))
    net.run(20)

    def act() -> None:
        do(net, "a", SendNotify(PROBE))
        net.command("a", Terminate(ike="ab", ticket=5))

    refusal = [NotifyPayload(NotifyType.INVALID_SYNTAX)]
    answer_otherwise(net, "b -> a INFORMATIONAL response 2", act, lambda _: refusal)
    net.run(60)
    assert not net.a.manager.ike_sas
    assert net.a.outcomes[5].ok


# -- what a peer chose that we did not ask for -----------------------------------------------------


@pytest.mark.parametrize("unasked", [NotifyType.USE_TRANSPORT_MODE, NotifyType.IPCOMP_SUPPORTED])
@pytest.mark.parametrize("exchange", ["IKE_AUTH", "create", "rekey"])
def test_a_mode_that_we_did_not_ask_for(unasked: NotifyType, exchange: str) -> None:
    """The child is not installed, and is deleted at the peer, which made it (1.3.1, 2.22)."""
    net = Network(OPTIONS) if exchange == "IKE_AUTH" else established()
    acts = {
        "IKE_AUTH": lambda: net.command("a", Initiate("ab", "net", ticket=3)),
        "create": lambda: net.command("a", Initiate("ab", "second", ticket=3)),
        "rekey": lambda: net.command("a", Rekey(child="net", ticket=3)),
    }
    line = "b -> a IKE_AUTH response 1" if exchange == "IKE_AUTH" else CREATE
    answer_otherwise(net, line, acts[exchange], lambda payloads: [*payloads, NotifyPayload(unasked)])
    net.run(1)
    assert unasked.name in net.a.outcomes[3].text
    assert not net.a.outcomes[3].ok
    assert any(unasked.name in text for text in net.a.errors())
    assert len(net.a.manager.ike_sas) == 1
    assert [sa.child for sa in net.a.plane.inbound.values()] == ([] if exchange == "IKE_AUTH" else ["net"])
    if exchange != "rekey":  # for b the old child has a successor that went
        assert_joined(net, 0 if exchange == "IKE_AUTH" else 1)
    net.run(300)
    assert_joined(net, 0 if exchange == "IKE_AUTH" else 1)
