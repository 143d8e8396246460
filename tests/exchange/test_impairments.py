"""Each impairment is on the wire where it is to be: two machines, one of them impaired, compared with two
right ones that draw the same random numbers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ikepy.impair.catalogue import CATALOGUE, choose
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import NotifyType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import NotifyPayload

from .impaired import LEFT, RIGHT, first_difference, network, recorded, set_up, usual
from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Script, joined

# Impairment, then the first message that differs if the initiator has it, and if the responder has it; None:
# it has no effect in a usual run.
FIRST: list[tuple[str, str | None, str | None]] = [
    ("drop-outbound=1", "a -> b IKE_AUTH request 1", "a -> b IKE_SA_INIT request 0"),
    ("drop-inbound=1", "a -> b IKE_SA_INIT request 0", "a -> b IKE_SA_INIT request 0"),
    ("drop-i2", "a -> b CREATE_CHILD_SA request 2", None),
    ("send-no-ikev2-auth", "a -> b IKE_AUTH request 1", None),
    ("no-response-to=1", "b -> a CREATE_CHILD_SA request 0", "a -> b IKE_SA_INIT request 0"),
    ("ignore-requests", "b -> a INFORMATIONAL request 1", "a -> b INFORMATIONAL request 3"),
    ("ignore-responses", "a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL request 1"),
    ("jacob-two-two", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("delay-outbound", "a -> b IKE_SA_INIT request 0", "a -> b IKE_SA_INIT request 0"),
    ("replay-duplicates", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_SA_INIT response 0"),
    ("replay-forward", "a -> b INFORMATIONAL response 1", "b -> a IKE_SA_INIT response 0"),
    ("replay-backward", "a -> b INFORMATIONAL response 1", "b -> a IKE_SA_INIT response 0"),
    ("resend-last-response", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_SA_INIT response 0"),
    ("cut-datagram", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("trailing-octets", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("major-version-bump", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("minor-version-bump", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("send-bogus-isakmp-flag", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("send-bogus-payload-flag", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("wrong-initiator-flag", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("no-response-flag", "a -> b CREATE_CHILD_SA request 0", "b -> a IKE_SA_INIT request 0"),
    ("response-flag-on-requests", "a -> b IKE_SA_INIT response 0", "b -> a CREATE_CHILD_SA response 0"),
    ("version-flag", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("ike-initiator-spi", "a -> b IKE_AUTH request 1", "b -> a IKE_SA_INIT response 0"),
    ("ike-responder-spi", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("old-message-id", "a -> b IKE_AUTH request 0", "b -> a CREATE_CHILD_SA request 4294967295"),
    ("skip-message-id", "a -> b IKE_AUTH request 11", "b -> a CREATE_CHILD_SA request 10"),
    ("wrong-response-id", "a -> b CREATE_CHILD_SA response 1", "b -> a IKE_AUTH response 2"),
    ("bad-ikev2-auth-xchg", None, "b -> a INFORMATIONAL response 1"),
    ("header-length", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("payload-length", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("wrong-first-payload", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("corrupt-encrypted", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("corrupt-icv", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("bad-padding", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("tiny-fragments", "a -> b IKE_AUTH request 1 1/5", "b -> a IKE_AUTH response 1 1/4"),
    ("missing-fragment", "a -> b IKE_AUTH request 1 1/5", "b -> a IKE_AUTH response 1 1/4"),
    ("fragments-from-zero", "a -> b IKE_AUTH request 1 0/5", "b -> a IKE_AUTH response 1 0/4"),
    ("fragment-beyond-total", "a -> b IKE_AUTH request 1 2/5", "b -> a IKE_AUTH response 1 2/4"),
    ("add-unknown-v2-payload-to", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("add-unknown-v2-payload-to-sk", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("unknown-v2-payload-critical", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("critical-known-payloads", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("ke-payload", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("ke-group", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("short-ke", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("nonce-size", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("omit-payload=SA", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("duplicate-payload", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("reverse-payloads", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("omit-notify=NAT_DETECTION_SOURCE_IP", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("childless-ikev2-supported", None, "b -> a IKE_SA_INIT response 0"),
    ("no-nat-detection", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("wrong-nat-detection", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("send-bogus-dcookie", "a -> b IKE_SA_INIT request 0", None),
    ("v2n_rekey_sa_protoid", "a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA request 0"),
    ("rekey-unknown-spi", "a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA request 0"),
    ("proposal-not-offered", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_SA_INIT response 0"),
    ("two-transforms-chosen", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_SA_INIT response 0"),
    ("wrong-proposal-number", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("v2_proposal_protoid", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("ikev2-add-ike-transform", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("ikev2-add-child-transform", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("ike-key-length-attribute", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("child-key-length-attribute", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("send-nonzero-reserved", "a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"),
    ("wrong-child-spi", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("ts-wider", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_AUTH response 1"),
    ("ts-elsewhere", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_AUTH response 1"),
    ("ts-reversed", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("rekey-initiate-supernet", "a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA request 0"),
    ("rekey-initiate-subnet", "a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA request 0"),
    ("rekey-respond-supernet", "a -> b CREATE_CHILD_SA response 0", "b -> a CREATE_CHILD_SA response 2"),
    ("rekey-respond-subnet", "a -> b CREATE_CHILD_SA response 0", "b -> a CREATE_CHILD_SA response 2"),
    ("number-of-TSi-selectors=2", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("number-of-TSr-selectors=2", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("corrupt-auth", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("force-v2-auth-method", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("wrong-identity", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("reserved-outside-auth", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("send-no-idr", "a -> b IKE_AUTH request 1", None),
    ("omit-v2-ike-auth-child", "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"),
    ("sa-creation", "a -> b CREATE_CHILD_SA response 0", "b -> a IKE_SA_INIT response 0"),
    ("refuse-rekeys", "a -> b CREATE_CHILD_SA response 0", "b -> a CREATE_CHILD_SA response 2"),
    ("refuse-empty-informational", "a -> b INFORMATIONAL response 2", "b -> a INFORMATIONAL response 4"),
    ("send-no-delete", "a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"),
    ("v2_delete_protoid", "a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"),
    ("delete-unknown-spi", "a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"),
    ("delete-ike-with-child", "a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL request 1"),
    ("ignore-notify=NAT_DETECTION_SOURCE_IP", "a -> b IKE_AUTH request 1", "b -> a IKE_SA_INIT response 0"),
    ("ignore-nat-detection", "a -> b IKE_AUTH request 1", "b -> a IKE_SA_INIT response 0"),
    ("ignore-delete", "a -> b INFORMATIONAL response 1", "b -> a INFORMATIONAL response 3"),
    ("ignore-v2-ike-auth-child", "b -> a CREATE_CHILD_SA request 0", "b -> a IKE_AUTH response 1"),
    ("no-liveness", "b -> a INFORMATIONAL request 2", "a -> b INFORMATIONAL request 5"),
]
UNSEEN = {
    # What they need is in the tests below.
    *("suppress-retransmits", "suppress-repeated-responses", "timeout-on-retransmit", "ignore-cookie"),
    *("wrong-error", "omit-errors", "accept-unknown-critical", "refuse-unknown-payloads", "accept-bad-auth"),
    *("refuse-reserved-bits", "refuse-reserved-flags", "refuse-minor-version", "accept-major-version"),
    *("ignore-soft-expire", "ignore-hard-expire", "revival"),
    *(name for name in CATALOGUE if name.startswith("esp-")),
    "omit-v2n-signature-hash-algorithms",  # tests/exchange has certificates elsewhere: tests/unit/impair
}

OTHER = """
[connections.other]
remote_addrs = ["192.0.2.9"]
impairments = ["corrupt-auth"]
[connections.other.children.net]
"""


def test_every_impairment_is_tried() -> None:
    tried = {choose(text).impairment.name for text, _, _ in FIRST}
    assert not tried & UNSEEN
    assert tried | UNSEEN == set(CATALOGUE)


@pytest.mark.parametrize(("text", "initiator", "responder"), FIRST, ids=[row[0] for row in FIRST])
def test_the_first_message_that_differs(text: str, initiator: str | None, responder: str | None) -> None:
    assert first_difference(a=(text,)) == initiator
    assert first_difference(b=(text,)) == responder


def test_an_impaired_machine_without_impairments_behaves() -> None:
    net = network()
    usual(net)
    assert net.a.manager.idle
    assert all(outcome.ok for outcome in net.a.outcomes.values())


def test_impairments_of_one_connection_alone() -> None:
    spoilt = replace(LEFT, connection='impairments = ["corrupt-auth"]')
    net = network(options=(spoilt, RIGHT))
    set_up(net)
    assert not net.a.outcomes[1].ok
    other = replace(LEFT, more=OTHER)
    net = network(options=(other, RIGHT))
    set_up(net)
    assert net.a.outcomes[1].ok


def losing(*lines: str) -> Script:
    """Lose the first copy of these messages."""
    return lambda line, nth, data: [] if line in lines and nth == 0 else [DELAY]


@pytest.mark.parametrize(
    ("a", "b", "lost", "ends"),
    [
        ("suppress-retransmits", "", "a -> b IKE_AUTH request 1", "a -> b IKE_AUTH request 1"),
        ("timeout-on-retransmit", "", "a -> b IKE_AUTH request 1", "a -> b IKE_AUTH request 1"),
        ("", "suppress-repeated-responses", "b -> a IKE_AUTH response 1", "b -> a IKE_AUTH response 1"),
    ],
)
def test_nothing_is_sent_twice(a: str, b: str, lost: str, ends: str) -> None:
    for impaired in (False, True):
        net = network((a,) * (impaired and bool(a)), (b,) * (impaired and bool(b)))
        sent = recorded(net, losing(lost))
        set_up(net)
        net.run(10)
        assert net.a.outcomes[1].ok is not impaired
        assert [line for line, _ in sent].count(ends) == (1 if impaired else 2)


def test_a_cookie_is_not_returned() -> None:
    asking = replace(RIGHT, daemon="cookie_threshold = 1\nblock_threshold = 0")
    for texts, ok in (((), True), (("ignore-cookie",), False)):
        net = network(texts, options=(LEFT, asking))
        net.inject("b", Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 1500)), first_message())
        sent = recorded(net)
        set_up(net)
        assert net.b.manager.ike_sas
        assert (1 in net.a.outcomes and net.a.outcomes[1].ok) is ok
        cookies = [has_cookie(data) for line, data in sent if line == "a -> b IKE_SA_INIT request 0"]
        assert any(cookies) is ok
        assert len(cookies) > 1


def first_message() -> bytes:
    """An IKE_SA_INIT that nobody follows up."""
    effects = Network(seed="stranger").a.manager.request(Initiate("ab", "net"), 0.0)
    return next(effect.data for effect in effects if isinstance(effect, Send))


def has_cookie(data: bytes) -> bool:
    payloads = decode_message(data).payloads
    return any(isinstance(one, NotifyPayload) and one.notify == NotifyType.COOKIE for one in payloads)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "NO_PROPOSAL_CHOSEN"),
        ("wrong-error", "INVALID_SYNTAX"),
        ("wrong-error=TS_UNACCEPTABLE", "TS_UNACCEPTABLE"),
        ("omit-errors", None),
    ],
)
def test_errors(text: str, told: str | None) -> None:
    other = replace(RIGHT, esp_proposals='["aes256gcm16"]')
    net = network((), (text,) * bool(text), options=(LEFT, other))
    set_up(net)
    said = "; ".join(net.a.errors())
    assert (told or "NO_PROPOSAL_CHOSEN") in said if told else "NO_PROPOSAL_CHOSEN" not in said


AGING, ENDING = "rekey_time = 20\nlife_time = 30\nrand_time = 0", "rekey_time = 0\nlife_time = 30"


@pytest.mark.parametrize(
    ("text", "lifetimes", "after_25", "after_35"),
    [
        ("", AGING, False, False),
        ("ignore-soft-expire", AGING, True, False),
        ("", ENDING, True, False),
        ("ignore-hard-expire", ENDING, True, True),
    ],
)
def test_the_first_child_lives(text: str, lifetimes: str, after_25: bool, after_35: bool) -> None:
    right = replace(RIGHT, child="rekey_time = 0\nlife_time = 0")
    net = network((text,) * bool(text), options=(replace(LEFT, child=lifetimes), right))
    set_up(net)
    (first,) = net.a.plane.outbound
    net.run(23)
    assert (first in net.a.plane.outbound) is after_25
    net.run(10)
    assert (first in net.a.plane.outbound) is after_35


@pytest.mark.parametrize("text", ["", "revival"])
def test_what_is_to_stay_up_is_not_revived(text: str) -> None:
    net = network((text,) * bool(text), options=(replace(LEFT, child='close_action = "start"'), RIGHT))
    set_up(net)
    net.command("b", Terminate(ike="ab", ticket=9))
    net.run(5)
    assert bool(net.a.plane.inbound) is (text == "")


def test_esp_of_which_the_peer_knows_nothing() -> None:
    for text in ("esp-wrong-spi", "esp-no-outbound"):
        net = network((text,))
        set_up(net)
        assert not joined(net.a.plane, net.b.plane)
        assert len(joined(net.b.plane, net.a.plane)) == 1
    net = network(("esp-no-inbound",))
    set_up(net)
    assert not net.a.plane.inbound


def test_esp_that_is_taken_though_it_must_not_be() -> None:
    net = network(("esp-accept-replays", "esp-accept-any-selectors"))
    set_up(net)
    (taken,) = net.a.plane.inbound.values()
    assert taken.replay_window == 0
    assert any(one.version == 4 and one.last == 2**32 - 1 for one in taken.ts_remote)
    (right,) = net.b.plane.inbound.values()
    assert right.replay_window > 0


def test_the_old_sa_goes_on_after_a_rekey() -> None:
    for texts in ((), ("esp-stay-on-old-sa",)):
        net = network(texts)
        set_up(net)
        (old,) = net.a.plane.outbound
        net.script = losing("b -> a INFORMATIONAL response 3")  # the old SA stays for a while
        net.command("a", Rekey(ike="ab", child="net", ticket=2))
        net.run(0.5)
        assert (net.a.plane.sending()[-1].child_id == old) is bool(texts)


@pytest.mark.parametrize(
    ("liberal", "a", "right"),
    [
        ("accept-unknown-critical", "unknown-v2-payload-critical", False),
        ("accept-major-version", "major-version-bump", False),
        ("accept-bad-auth", "corrupt-auth", False),
        ("refuse-unknown-payloads", "add-unknown-v2-payload-to", True),
        ("refuse-unknown-payloads", "add-unknown-v2-payload-to-sk", True),
        ("refuse-reserved-bits", "send-bogus-payload-flag", True),
        ("refuse-reserved-flags", "send-bogus-isakmp-flag", True),
        ("refuse-minor-version", "minor-version-bump", True),
    ],
)
def test_the_responder_judges_otherwise(liberal: str, a: str, right: bool) -> None:
    """What a right responder refuses (or takes), an impaired one takes (or refuses)."""
    for b, taken in (((), right), ((liberal,), not right)):
        net = network((a,), b)
        set_up(net)
        net.run(10)
        assert any(one.established for one in net.b.manager.ike_sas) is taken


def test_nothing_that_a_stranger_sends_is_a_fault() -> None:
    """All stages that look at what comes, and octets of any kind."""
    hearing = filter(listens, CATALOGUE)
    net = network(b=tuple(hearing))
    set_up(net)
    chance = random.Random("strangers")
    path = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
    first = first_message()
    for _ in range(300):
        data = bytearray(first if chance.random() < 0.5 else net.b.manager.ike_sas[0].spi_i + bytes(60))
        for _ in range(chance.randrange(8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        net.inject("b", path, bytes(data[: chance.randrange(len(data) + 1)]))


def listens(name: str) -> bool:
    """Whether an impairment needs no value, and looks at what comes, without multiplying it."""
    try:
        chosen = choose(name)
    except ValueError:
        return False
    places = set(chosen.impairment.make(chosen.value).at())
    return bool({"heard", "receiving"} & places) and not name.startswith("replay")
