"""What IKE_AUTH says to the peer, and what is said where a set-up fails (RFC 7296 1.2, 2.15, 2.21.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Level
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.state.peer_addresses import no_nats_allowed
from ikepy.wire.constants import AuthMethod, IdType, NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, IdPayload, NotifyPayload, Payload, SaPayload

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, assert_joined
from .tampering import answer_otherwise

REQUEST, RESPONSE = "a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"
CHILD = [PayloadType.SA, PayloadType.TS_I, PayloadType.TS_R]


def changed(net: Network, line: str, change: Callable[[Sequence[Payload]], Sequence[Payload]]) -> None:
    """a sets its connection up, and one message of IKE_AUTH arrives with other payloads."""
    answer_otherwise(net, line, lambda: net.command("a", Initiate("ab", "net", ticket=1)), change)
    net.run(2)


def said(net: Network, line: str) -> list[Payload]:
    """What is in one message of IKE_AUTH."""
    seen: list[Payload] = []

    def look(payloads: Sequence[Payload]) -> Sequence[Payload]:
        seen.extend(payloads)
        return payloads

    changed(net, line, look)
    assert_joined(net)
    return seen


def kinds(payloads: Sequence[Payload]) -> list[int]:
    """Types of payloads, and of notifies."""
    return [one.notify if isinstance(one, NotifyPayload) else one.type for one in payloads]


def identities(payloads: Sequence[Payload]) -> list[tuple[int, int, bytes]]:
    return [(one.type, one.id_type, one.data) for one in payloads if isinstance(one, IdPayload)]


def errors(net: Network, name: str) -> list[str]:
    return [log.text for log in net.site(name).logs if log.level is Level.ERROR]


# -- what is said ----------------------------------------------------------------------------------


def test_the_initiator_names_both_and_proves_itself() -> None:
    payloads = said(Network(), REQUEST)
    expected = [PayloadType.ID_I, NotifyType.INITIAL_CONTACT, PayloadType.ID_R, PayloadType.AUTH]
    assert kinds(payloads)[:5] == [*expected, NotifyType.MOBIKE_SUPPORTED]
    assert [kind for kind in kinds(payloads) if kind in CHILD] == CHILD
    assert identities(payloads) == [
        (PayloadType.ID_I, IdType.FQDN, b"gwa"),
        (PayloadType.ID_R, IdType.FQDN, b"gwb"),
    ]
    assert query.must(payloads, AuthPayload).method == AuthMethod.SHARED_KEY_MIC


def test_the_responder_says_who_it_is() -> None:
    payloads = said(Network(), RESPONSE)
    assert identities(payloads) == [(PayloadType.ID_R, IdType.FQDN, b"gwb")]
    assert kinds(payloads)[:2] == [PayloadType.ID_R, PayloadType.AUTH]
    assert query.must(payloads, AuthPayload).method == AuthMethod.SHARED_KEY_MIC
    assert NotifyType.MOBIKE_SUPPORTED in kinds(payloads)


def test_without_identities_of_their_own_they_are_their_addresses() -> None:
    a = Options(local_id=str(ADDRESS_A), remote_id=str(ADDRESS_B))
    b = Options(local_id=str(ADDRESS_B), remote_id=str(ADDRESS_A))
    net = Network(a, b)
    for site in (net.a, net.b):
        local = site.config.connections["ab"].local
        object.__setattr__(local, "id", None)
    assert identities(said(net, REQUEST)) == [
        (PayloadType.ID_I, IdType.IPV4_ADDR, ADDRESS_A.packed),
        (PayloadType.ID_R, IdType.IPV4_ADDR, ADDRESS_B.packed),
    ]


@pytest.mark.parametrize("remote_id", ["%any", "*"])
def test_nobody_is_asked_for_by_a_pattern(remote_id: str) -> None:
    payloads = said(Network(Options(remote_id=remote_id), Options()), REQUEST)
    assert identities(payloads) == [(PayloadType.ID_I, IdType.FQDN, b"gwa")]


def test_who_may_have_several_ike_sas_claims_no_initial_contact() -> None:
    payloads = said(Network(Options(connection='unique = "never"'), Options()), REQUEST)
    assert NotifyType.INITIAL_CONTACT not in kinds(payloads)


@pytest.mark.parametrize("line", [REQUEST, RESPONSE])
def test_the_window_is_told_by_whoever_has_one(line: str) -> None:
    payloads = said(Network(Options(daemon="window_size = 4")), line)
    told = query.notify(payloads, NotifyType.SET_WINDOW_SIZE)
    assert told is not None
    assert told.data == b"\0\0\0\4"


@pytest.mark.parametrize("silent", ["a", "b"])
def test_mobike_is_not_offered_to_a_peer_that_does_not_speak_it(silent: str) -> None:
    without = Options(connection="mobike = false")
    net = Network(without, Options()) if silent == "a" else Network(Options(), without)
    assert NotifyType.MOBIKE_SUPPORTED not in kinds(said(net, RESPONSE))


def test_without_a_first_child_none_is_offered() -> None:
    net = Network(Options(connection='childless = "force"'), Options(connection='childless = "allow"'))
    payloads = said(net, REQUEST)
    assert not set(CHILD) & set(kinds(payloads))
    assert net.a.outcomes[1].ok


def test_a_child_that_is_up_is_told_with_its_number() -> None:
    net = Network()
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].text == "CHILD_SA net #1 is up"


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_secret_is_found_by_both_names(who: str) -> None:
    """Others of ours share one with the same peer."""
    other, own = ("gwa", "gwb") if who == "b" else ("gwb", "gwa")
    both = f"""
[secrets.ike-other]
ids = ["gwz", "{other}"]
secret = "another's"
[secrets.ike-own]
ids = ["{own}", "{other}"]
secret = "of these two"
"""
    options = [Options(secret="of these two"), Options(more=both)]
    net = Network(*(options if who == "b" else options[::-1]))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)


# -- what is refused -------------------------------------------------------------------------------

OTHER_CHILD = """
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
"""
TWICE = "keyingtries = 2"


def without(kind: int) -> Callable[[Sequence[Payload]], Sequence[Payload]]:
    return lambda payloads: [one for one in payloads if one.type != kind]


def forged(payloads: Sequence[Payload]) -> Sequence[Payload]:
    """With an AUTH of another secret."""
    return [replace(one, data=bytes(32)) if isinstance(one, AuthPayload) else one for one in payloads]


def otherwise(payloads: Sequence[Payload]) -> Sequence[Payload]:
    """With the right AUTH data under another method (1, RSA)."""
    return [replace(one, method=1) if isinstance(one, AuthPayload) else one for one in payloads]


def beside(payloads: Sequence[Payload]) -> Sequence[Payload]:
    """With an error that nobody knows."""
    return [*payloads, NotifyPayload(45)]


def nobody_else(payloads: Sequence[Payload]) -> Sequence[Payload]:
    """From another one than was asked for."""
    return [replace(one, data=b"gwx") if isinstance(one, IdPayload) else one for one in payloads]


OF_THE_PEER = 'authentication of the peer FQDN "gwb" failed'
REFUSED: dict[str, tuple[Callable[[Sequence[Payload]], Sequence[Payload]], str]] = {
    "no AUTH": (without(PayloadType.AUTH), "the peer refused: an incomplete IKE_AUTH response"),
    "no AUTH, an error": (
        lambda payloads: without(PayloadType.AUTH)(beside(payloads)),
        "the peer refused: error 45",
    ),
    "an error": (beside, "the peer refused: error 45"),
    "another secret": (
        forged,
        f"{OF_THE_PEER} (secret: the peer's is not the one of [secrets.ike], which fits "
        'FQDN "gwb" and our FQDN "gwa")',
    ),
    "another method": (
        otherwise,
        f'{OF_THE_PEER} (it authenticates by rsa signature, and auth = "psk" is configured for it)',
    ),
    "another identity": (
        nobody_else,
        'authentication of the peer FQDN "gwx" failed (IDr: it is not FQDN "gwb")',
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_answer_that_is_refused_is_told_to_all_who_wait_and_in_one_line(what: str) -> None:
    change, text = REFUSED[what]
    net = Network(Options(connection="keyingtries = 1", more=OTHER_CHILD))

    def both() -> None:
        net.command("a", Initiate("ab", "net", ticket=1))
        net.command("a", Initiate("ab", "second", ticket=2))

    answer_otherwise(net, RESPONSE, both, change)
    assert [(net.a.outcomes[n].ok, net.a.outcomes[n].text) for n in (1, 2)] == [(False, text)] * 2
    assert not net.a.plane.inbound
    assert [line for line in errors(net, "a") if text in line] == [f"IKE_SA ended: {text}"]
    assert not [log for log in net.a.logs if log.level is Level.INFO and text in log.text]


@pytest.mark.parametrize("what", REFUSED)
def test_a_set_up_whose_answer_is_refused_is_tried_again(what: str) -> None:
    net = Network(Options(connection=TWICE, child='start_action = "start"'), Options())
    answer_otherwise(net, RESPONSE, net.start, REFUSED[what][0])
    net.run(60)
    assert net.ladder.count(REQUEST) == 2
    assert_joined(net)


@pytest.mark.parametrize("what", ["another secret", "another method", "another identity"])
def test_the_responder_refuses_the_same_of_us(what: str) -> None:
    net = Network(Options(connection="keyingtries = 1"))
    changed(net, REQUEST, REFUSED[what][0])
    (told,) = errors(net, "b")
    assert told.startswith("IKE_SA ended: AUTHENTICATION_FAILED: authentication of the peer FQDN ")
    assert not net.b.plane.inbound
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert net.b.manager.counters()["failed authentications"] == 1


@pytest.mark.parametrize(
    ("remote_id", "shown"), [("%any", 'address "192.0.2.2"'), ("*.example", 'FQDN "*.example"')]
)
def test_without_a_secret_nothing_is_claimed(remote_id: str, shown: str) -> None:
    """Whoever may answer is known by its address until it does."""
    a = Options(remote_id=remote_id, secret='x"\nids = ["gwc", "gwd"] #', connection="keyingtries = 1")
    net = Network(a, Options())
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    text = f'secret: no [secrets] entry fits {shown} and our FQDN "gwa"'
    assert net.a.outcomes[1].text == text
    assert errors(net, "a") == [f"IKE_SA ended: {text}"]
    assert REQUEST not in net.ladder


def test_an_answer_of_somebody_for_whom_there_is_no_secret() -> None:
    a = Options(
        remote_id="%any", secret='of that address"\nids = ["192.0.2.2"] #', connection="keyingtries = 1"
    )
    net = Network(a, Options(secret="of that address"))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    text = f'{OF_THE_PEER} (secret: no [secrets] entry fits FQDN "gwb" and our FQDN "gwa")'
    assert net.a.outcomes[1].text == text
    assert not net.a.plane.inbound
    assert not net.b.manager.ike_sas, "the peer is told"


def test_a_peer_that_does_without_no_child_where_that_is_wanted() -> None:
    a = Options(connection='childless = "force"\nkeyingtries = 1')
    net = Network(a, Options(connection='childless = "never"'))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].text == "childless = force, which the peer does not support"
    assert REQUEST not in net.ladder


@pytest.mark.parametrize(
    ("policy", "kept", "text"),
    [
        ("never", False, "INVALID_SYNTAX: IKE_AUTH without a child, and childless = never"),
        ("force", True, "INVALID_SYNTAX: IKE_AUTH with a child, and childless = force"),
    ],
)
def test_a_child_where_none_is_to_be_and_none_where_one_is(policy: str, kept: bool, text: str) -> None:
    net = Network(Options(connection="keyingtries = 1"), Options(connection=f'childless = "{policy}"'))
    changed(
        net,
        REQUEST,
        lambda payloads: payloads if kept else [one for one in payloads if one.type not in CHILD],
    )
    assert errors(net, "b") == [f"IKE_SA ended: {text}"]
    assert not net.b.plane.inbound
    assert "INVALID_SYNTAX" in net.a.outcomes[1].text


def test_a_second_ike_sa_where_the_first_is_to_be_kept() -> None:
    net = Network(Options(connection='unique = "never"'), Options(connection='unique = "keep"'))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (first,) = net.b.manager.ike_sas
    net.a = Network(Options(connection='unique = "never"'), seed="another").a
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.b.manager.ike_sas == [first]
    text = 'AUTHENTICATION_FAILED: an IKE_SA with FQDN "gwa" exists, and unique = keep'
    assert errors(net, "b") == [f"IKE_SA ended: {text}"]


def test_whom_we_are_asked_for_is_compared_with_our_address_where_we_have_no_name() -> None:
    net = Network(Options(remote_id="gwx", connection="keyingtries = 1"), Options())
    object.__setattr__(net.b.config.connections["ab"].local, "id", None)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    (told,) = errors(net, "b")
    assert f'IDr, FQDN "gwx" for us, is no local.id; there are address "{ADDRESS_B}" (ab)' in told


@pytest.mark.parametrize("address", [ADDRESS_A, IPv4Address("10.0.0.1")])
def test_a_nat_that_the_peer_forbids(address: IPv4Address) -> None:
    """It says in IKE_AUTH whence it sends (RFC 4555 3.9)."""
    net = Network(Options(connection="mobike = false\nkeyingtries = 1"))
    told = no_nats_allowed(Path(Endpoint(address, 500), Endpoint(ADDRESS_B, 500)))
    changed(net, REQUEST, lambda payloads: [*payloads, told])
    assert net.a.outcomes[1].ok is (address == ADDRESS_A)
    text = "UNEXPECTED_NAT_DETECTED: the peer allows no NAT, but there is one"
    assert errors(net, "b") == ([] if address == ADDRESS_A else [f"IKE_SA ended: {text}"])


def test_the_first_child_is_refused_alone() -> None:
    net = Network(Options(connection="keyingtries = 1"), Options(esp_proposals='["aes256gcm16"]'))
    seen: list[Payload] = []
    changed(net, RESPONSE, lambda payloads: seen.extend(payloads) or payloads)  # type: ignore[func-returns-value]
    assert NotifyType.NO_PROPOSAL_CHOSEN in kinds(seen)
    (told,) = errors(net, "b")
    assert told.startswith("no first child: ")
    (told,) = errors(net, "a")
    assert told == net.a.outcomes[1].text
    assert told.startswith("child net: ")
    assert [sa.established for sa in net.a.manager.ike_sas] == [True]


def test_a_peer_that_wants_one_pair_is_no_error() -> None:
    """It is asked for in an exchange of its own."""
    two = '["10.1.0.0/24", "10.2.0.0/24"]'
    net = Network(Options(local_ts=two, remote_ts=two))

    def one_pair(payloads: Sequence[Payload]) -> Sequence[Payload]:
        kept = [one for one in payloads if one.type not in CHILD]
        return [*kept, NotifyPayload(NotifyType.SINGLE_PAIR_REQUIRED)]

    changed(net, RESPONSE, one_pair)
    (line,) = [log for log in net.a.logs if "net in single pairs only" in log.text]
    assert line.level is Level.INFO
    assert net.a.outcomes[1].ok


def test_over_a_reauthentication_the_responder_sends_under_the_older_child_until_the_peer_knows() -> None:
    never = Options(connection='unique = "never"')
    net = Network(never)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (old,) = net.b.plane.outbound
    assert not net.b.plane.standby
    waiting: list[set[int]] = []

    def watch(line: str, nth: int, data: bytes) -> list[float]:
        if line == RESPONSE:
            waiting.append(set(net.b.plane.standby))
        return [DELAY]

    net.script = watch
    net.a = Network(never, seed="another").a
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(DELAY * 10)
    assert net.a.outcomes[1].ok
    (new,) = set(net.b.plane.outbound) - {old}
    assert waiting == [{new}]


def low_spi(payloads: Sequence[Payload]) -> Sequence[Payload]:
    """With an ESP SPI that is reserved (RFC 4303 2.1)."""
    return [
        replace(one, proposals=tuple(replace(each, spi=b"\0\0\0\1") for each in one.proposals))
        if isinstance(one, SaPayload)
        else one
        for one in payloads
    ]


def test_a_child_that_is_of_no_use_is_deleted_at_the_peer_which_made_it() -> None:
    net = Network(Options(connection="keyingtries = 1"))
    changed(net, RESPONSE, low_spi)
    assert errors(net, "a") == ["child net: an ESP SPI has 4 bytes and is 256 or more"]
    assert [len(site.manager.ike_sas) for site in (net.a, net.b)] == [1, 1]
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


@pytest.mark.parametrize("kind", [PayloadType.TS_I, PayloadType.TS_R, PayloadType.ID_R])
def test_an_answer_that_is_not_whole_is_no_answer(kind: PayloadType) -> None:
    net = Network(Options(connection="keyingtries = 1"))
    changed(net, RESPONSE, without(kind))
    assert not net.a.outcomes[1].ok
    assert not net.a.manager.ike_sas
    assert not net.a.plane.inbound


def test_ike_auth_on_a_lossy_path_says_the_same_each_time() -> None:
    net = Network()
    sent: list[bytes] = []

    def lose_first(line: str, nth: int, data: bytes) -> list[float]:
        if line != REQUEST:
            return [DELAY]
        sent.append(data)
        return [DELAY] if nth else []

    net.script = lose_first
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(20)
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert_joined(net)
