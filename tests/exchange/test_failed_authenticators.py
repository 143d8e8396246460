"""IKE_AUTH that fails by other methods than a pre-shared key, in any of its rounds: both ends are told, and
nothing is left behind (RFC 7296 2.15, 2.16, 2.21.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.path import Path
from ikepy.sa.auth.authenticator import Authenticator, Context, More, Pending, Received, Step
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import CpPayload, DeletePayload, EapPayload, NotifyPayload, Payload

from .methods import ChallengeResponse, Signature
from .network import DELAY, PSK, Network, Options
from .test_authenticators import INIT_LADDER, ROUNDS, SIGNED, assert_nothing_left, begun, connect, round_of


def refused(a: Authenticator, b: Authenticator) -> Network:
    net = connect(a, b)
    assert not net.a.outcomes[1].ok
    assert_nothing_left(net)
    return net


def test_the_initiator_signs_with_a_wrong_key() -> None:
    net = refused(Signature(forges=True), Signature())
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert "the key of gwa" in net.a.outcomes[1].text
    assert any(
        'authentication of the peer FQDN "gwa" failed (a wrong signature)' in e for e in net.b.errors()
    )


def test_the_responder_signs_with_a_wrong_key() -> None:
    net = refused(Signature(), Signature(forges=True))
    assert net.ladder[4:] == ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]


@pytest.mark.parametrize("computes", [False, True])
def test_the_initiator_fails_in_the_second_round(computes: bool) -> None:
    net = refused(ChallengeResponse(b"a guess", computes=computes), ChallengeResponse(computes=computes))
    assert net.ladder == INIT_LADDER + round_of(1) + round_of(2)
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert any('the peer FQDN "gwa" failed (a wrong response)' in text for text in net.b.errors())


@pytest.mark.parametrize("computes", [False, True])
def test_the_responder_fails_in_the_second_round(computes: bool) -> None:
    """The initiator says so by a message ID that goes on, before the IKE_SA stands (2.21.2)."""
    net = refused(ChallengeResponse(computes=computes), ChallengeResponse(success=b"?", computes=computes))
    told = ["a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"]
    assert net.ladder == INIT_LADDER + round_of(1) + round_of(2) + told
    assert any("the peer ends the IKE_SA: it says AUTHENTICATION_FAILED" in text for text in net.b.errors())


def between_rounds() -> tuple[Network, IkeSa]:
    """b has answered the first round, and a's second request does not arrive. a's end of it."""
    net = begun(ROUNDS, script=lambda line, nth, data: [] if line == round_of(2)[0] else [DELAY])
    net.run(1)
    assert net.b.manager.list_sas(net.now)[0].state == "CONNECTING"
    return net, net.a.manager.ike_sas[0]


def said_by(sa: IkeSa, net: Network, exchange: ExchangeType, *payloads: Payload) -> list[Effect]:
    """What follows at b from another second request of a's."""
    (datagram,) = sa.encode(sa.header(exchange, 2, response=False), payloads)
    return net.inject("b", Path(sa.path.remote, sa.path.local), datagram)


@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (DeletePayload(ProtocolId.IKE, ()),),
        (NotifyPayload(NotifyType.AUTHENTICATION_FAILED),),
        (NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES),),
    ],
    ids=["nothing", "a delete", "why it gives up", "something that only peers may ask for"],
)
def test_an_informational_between_rounds_ends_it_whatever_it_says(payloads: tuple[Payload, ...]) -> None:
    """Nobody is authenticated: it is answered, and that is all (2.21.2)."""
    net, sa = between_rounds()
    effects = said_by(sa, net, ExchangeType.INFORMATIONAL, *payloads)
    assert sum(isinstance(effect, Send) for effect in effects) == 1
    assert net.b.manager.idle


@pytest.mark.parametrize(("method", "last"), [(SIGNED, 1), (ROUNDS, 3)], ids=["one round", "three"])
def test_an_initiator_rejects_the_last_response_by_the_request_behind_it(
    method: Authenticator, last: int
) -> None:
    """Whichever message ID that has: later, INVALID_SYNTAX in a request means nothing (2.21.2)."""
    for later in (False, True):
        net = connect(method)
        (sa,) = net.a.manager.ike_sas
        if later:
            net.run_effects("a", sa.send_unanswered([], net.now))
            net.run(1)
            sa.window.finished(last + 1)
        net.run_effects("a", sa.send_unanswered([NotifyPayload(NotifyType.INVALID_SYNTAX)], net.now))
        net.run(1)
        assert f"b -> a INFORMATIONAL response {last + 1}" in net.ladder
        assert net.b.manager.idle is not later


def test_nothing_else_is_answered_between_rounds() -> None:
    net, sa = between_rounds()
    effects = said_by(sa, net, ExchangeType.CREATE_CHILD_SA, NotifyPayload(NotifyType.REKEY_SA))
    assert not any(isinstance(effect, Send) for effect in effects)
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_an_unknown_peer_hears_the_same_as_one_that_gives_a_wrong_response() -> None:
    wrong = refused(ChallengeResponse(b"a guess"), ChallengeResponse())
    unknown = connect(ROUNDS, a=Options(), b=Options(remote_id="somebody"))
    assert wrong.a.outcomes[1].text == unknown.a.outcomes[1].text
    assert wrong.ladder == unknown.ladder
    assert any("no remote.id" in text for text in unknown.b.errors())
    assert_nothing_left(unknown)


class Stumbles:
    """Its job raises what is no failure of the peer's."""

    def initiate(self, context: Context) -> Step:
        first = PSK.initiate(context)
        assert isinstance(first, More)
        return replace(first, following=lambda message: Pending(self.stumble, 1.0))

    def respond(self, context: Context, message: Received) -> Step:
        return Pending(self.stumble, 1.0)

    def credential(self, context: Context) -> str:
        return PSK.credential(context)

    def stumble(self) -> Step:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "no room for it")


def test_a_job_that_raises_an_error_ends_the_set_up_as_initiator() -> None:
    net = connect(Stumbles(), PSK)
    assert net.a.outcomes[1].text == "no room for it"
    assert net.a.manager.idle


def test_a_job_that_raises_an_error_ends_the_set_up_as_responder() -> None:
    net = connect(PSK, Stumbles())
    assert "TEMPORARY_FAILURE" in net.a.outcomes[1].text
    assert_nothing_left(net)


def test_a_request_of_a_later_round_asks_for_no_address() -> None:
    net = refused(ChallengeResponse(extra=(CpPayload(1),)), ROUNDS)
    assert "INVALID_SYNTAX" in net.a.outcomes[1].text
    assert any("a payload CP where none may stand" in text for text in net.b.errors())


@pytest.mark.parametrize(
    "method",
    [ChallengeResponse(extra=(CpPayload(1),)), ChallengeResponse(last=(EapPayload(b""),))],
    ids=["the last one's in a response before", "another's in the last response"],
)
def test_a_response_has_what_its_round_permits(method: Authenticator) -> None:
    """Which round is the last, only the method of authentication knows."""
    net = connect(ROUNDS, method)
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle
    assert "payload" in net.a.outcomes[1].text


@pytest.mark.parametrize(("a", "b"), [(SIGNED, PSK), (PSK, SIGNED), (ROUNDS, PSK), (PSK, ROUNDS)])
def test_ends_with_different_methods(a: Authenticator, b: Authenticator) -> None:
    net = connect(a, b)
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert_nothing_left(net)
