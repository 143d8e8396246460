"""Refusals say what differed: at the end that refuses, both sides; at the other one, its own."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Level
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, Site

GCM = "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"
CBC = "AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/MODP_3072"


def fail(a: Options, b: Options) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert not net.a.outcomes[1].ok
    return net


def said(net: Network, name: str, *words: str) -> str:
    """The one line in which all of them stand: nothing is said twice."""
    texts = [log.text for log in net.site(name).logs if log.level is not Level.DEBUG]
    (found,) = (text for text in texts if all(word in text for word in words))
    return found


def test_ike_proposals_side_by_side() -> None:
    net = fail(Options(), Options(proposals='["aes256-sha384-modp3072"]'))
    line = said(net, "b", "NO_PROPOSAL_CHOSEN")
    assert f"the peer's: {GCM}; ours: {CBC}" in line
    assert "no common encryption nor integrity nor PRF nor key exchange" in line
    assert f"NO_PROPOSAL_CHOSEN; our proposals: {GCM}" in net.a.outcomes[1].text


def test_addresses_without_a_connection_are_named() -> None:
    net = fail(Options(), Options(remote_addrs="203.0.113.7"))
    line = said(net, "b", "NO_PROPOSAL_CHOSEN")
    assert f"no connection has {ADDRESS_B} in local_addrs and {ADDRESS_A} in remote_addrs" in line
    assert f"or it has no connection for our address {ADDRESS_A}" in net.a.outcomes[1].text


def test_the_kind_of_algorithm_that_differs_is_named() -> None:
    net = fail(Options(), Options(proposals='["aes128gcm16-prfsha256-ecp256"]'))
    assert "no common key exchange; " in said(net, "b", "NO_PROPOSAL_CHOSEN")


def test_esp_proposals_side_by_side() -> None:
    net = fail(Options(), Options(esp_proposals='["aes256-sha256"]'))
    line = said(net, "b", "no first child")
    assert "no common encryption nor integrity; the peer's: AES_GCM_16_128" in line
    assert "ours: AES_CBC_256/HMAC_SHA2_256_128" in line
    assert "NO_PROPOSAL_CHOSEN; our proposals: AES_GCM_16_128" in net.a.outcomes[1].text


def test_selectors_side_by_side() -> None:
    one = Options(local_ts='["10.1.0.0/24"]', remote_ts='["10.2.0.0/24"]')
    net = fail(one, Options(local_ts='["10.3.0.0/24"]', remote_ts='["10.1.0.0/24", "fd00::/64"]'))
    line = said(net, "b", "no first child")
    assert "the peer's: 10.2.0.0/24 === 10.1.0.0/24; ours: 10.3.0.0/24 === 10.1.0.0/24 fd00::/64" in line
    assert "TS_UNACCEPTABLE; our selectors: 10.1.0.0/24 === 10.2.0.0/24" in net.a.outcomes[1].text


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        pytest.param(
            Options(),
            Options(remote_id="192.0.2.1"),
            ['IDi, the peer\'s FQDN "gwa", is no remote.id', 'address "192.0.2.1" (ab)'],
            id="IDi of another type",
        ),
        pytest.param(
            Options(remote_id="gwx"),
            Options(),
            ['IDr, FQDN "gwx" for us, is no local.id', 'FQDN "gwb" (ab)'],
            id="IDr",
        ),
        pytest.param(
            Options(secret="another"),
            Options(),
            ["secret: the peer's is not the one of [secrets.ike]", 'FQDN "gwa" and our FQDN "gwb"'],
            id="secret",
        ),
    ],
)
def test_which_of_identities_and_secret_it_was(a: Options, b: Options, words: list[str]) -> None:
    """In the responder's log. The initiator hears the same of all of them, and shows what it said itself."""
    net = fail(a, b)
    said(net, "b", "AUTHENTICATION_FAILED", *words)
    asked = a.remote_id or "gwb"
    assert net.a.outcomes[1].text == (
        'the peer ends the IKE_SA: it answers AUTHENTICATION_FAILED (for one of: IDi FQDN "gwa", '
        f'IDr FQDN "{asked}", secret of [secrets.ike])'
    )


def test_no_secret_for_the_peer() -> None:
    net = fail(Options(), Options(remote_id="%any", secret='another"\nids = ["gwc", "gwd"] #'))
    said(net, "b", 'secret: no [secrets] entry fits FQDN "gwa" and our FQDN "gwb"')


def test_the_initiator_says_which_it_was_too() -> None:
    """The responder shows another identity than the one that is asked for."""
    a = Options(remote_id="*.example.org")
    net = fail(a, Options())
    assert 'IDr: it is not FQDN "*.example.org"' in net.a.outcomes[1].text


def test_an_address_behind_a_nat_is_an_identity_that_the_peer_does_not_know() -> None:
    a = Network(Options()).a.config
    local = a.connections["ab"].local.model_copy(update={"id": None})
    connection = a.connections["ab"].model_copy(update={"local": local})
    net = Network()
    net.a = Site("a", a.model_copy(update={"connections": {"ab": connection}}), "seed")
    net.nat_to_a = Endpoint(ADDRESS_A, 1024)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert "set local.id" in net.a.outcomes[1].text


@pytest.mark.parametrize("what", ["child", "ike"])
def test_a_refused_rekey_shows_what_is_in_use(what: str) -> None:
    lasting = Options(child="rekey_time = 0", connection="rekey_time = 0")
    net = Network(lasting)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    other = Options(proposals='["aes256-sha384-modp3072"]', esp_proposals='["aes256-sha384"]').config("b")
    connection = other.connections["ab"]
    for sa in net.b.manager.ike_sas:
        sa.connection = connection
        for child in sa.children.values():
            child.config = connection.children["net"]
    net.command("a", Rekey(child="net") if what == "child" else Rekey(ike="ab"))
    net.run(1)
    suite = "AES_GCM_16_128" if what == "child" else GCM
    assert f"in use: {suite}" in said(net, "a", "rekey of ", " failed: NO_PROPOSAL_CHOSEN")


def test_a_silent_peer() -> None:
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(170)
    line = said(net, "a", "the peer does not answer, giving up")
    assert "nothing came from 192.0.2.2[500] for 165 s; UDP port 500 may be filtered" in line


def test_only_ike_auth_is_not_answered() -> None:
    """It is too large for the path, where IP fragments are dropped."""
    net = Network(Options(local_ts=str([f"10.1.{n}.0/24" for n in range(80)]).replace("'", '"')))
    net.script = lambda line, nth, data: [] if "IKE_AUTH" in line else [DELAY]
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(170)
    line = said(net, "a", "the peer does not answer, giving up")
    assert "answered IKE_SA_INIT but not IKE_AUTH (" in line


def test_no_way_to_the_peer_is_told_once_and_as_that() -> None:
    net = Network()
    net.a.address = None
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].text == "can't initiate: no way there"
    (line,) = [log for log in net.a.logs if "can't initiate" in log.text]
    assert (line.subject, line.text) == ("ab", "can't initiate: no way there")


def test_what_strangers_offer_is_shown_shortened() -> None:
    """The most proposals and transforms that a message may hold: a line of ours stays short."""
    net = Network()
    transforms = tuple(Transform(1, number, 256) for number in range(5000, 5060))
    offered = SaPayload(tuple(Proposal(n, 1, b"", transforms) for n in range(1, 14)))
    header = IkeHeader(b"stranger", bytes(8), 34, 0x08, 0)
    data = encode_message(header, [offered, KePayload(31, bytes(32)), NoncePayload(bytes(32))])
    path = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
    net.inject("b", path, data)
    lines = [log.text for log in net.b.logs]
    assert any(NotifyType.NO_PROPOSAL_CHOSEN.name in line for line in lines)
    assert all(len(line) < 1000 for line in lines)
