"""Rounds of authentication: who says what in which message; ends prove themselves by words (RFC 4739)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from ikepy.config.model import AuthLocal, AuthRemote, Identity
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets
from ikepy.sa.api.computation import AT_ONCE, Computation
from ikepy.sa.auth.announced import NOTHING
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Pending, Received, Step, settle
from ikepy.sa.auth.rounds import NO_MULTIPLE, TOO_FEW, TOO_MANY, LocalRound, RemoteRound, Rounds
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.sa.message import query
from ikepy.wire.constants import NotifyType, PayloadType, Prf
from ikepy.wire.payloads import AuthPayload, EapPayload, IdPayload, NotifyPayload, Payload

WORD = 201  # a method of AUTH that nobody has


def identity(text: str) -> Identity:
    found = Identity.parse(text)
    assert found is not None
    return found


A, B, USER = identity("gwa"), identity("gwb"), identity("user")
SECRETS = SharedSecrets(parse(""))


def octets_of(name: Identity) -> SignedOctets:
    return SignedOctets(b"message", b"nonce", name.data)


@dataclass(frozen=True)
class Says:
    """Proves itself by a word and its identity; a job says it."""

    word: str

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        auth = AuthPayload(WORD, self.word.encode() + context.octets.maced_id)
        return Pending(lambda: Done((auth,)), 1.0, waits=True)

    def credential(self, context: Context) -> str:
        return self.word


@dataclass(frozen=True)
class Hears:
    word: str
    mutual: bool = False

    def asks(self, context: Context) -> tuple[Payload, ...]:
        return ()

    def verify(self, context: Context, message: Received) -> Step:
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is None or auth.data != self.word.encode() + message.octets.maced_id:
            return Failed(f"it does not say {self.word}")
        return Pending(lambda: Done(remark=f"it said {self.word}"), 1.0)


@dataclass(frozen=True)
class Answers:
    """As EAP: the responder asks, the initiator answers, both have a key of it then."""

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        return More((), self._answer) if context.initiator else Done()

    def _answer(self, message: Received) -> Step:
        asked = query.must(message.payloads, EapPayload).data
        if asked == b"success":
            return More((AuthPayload(WORD, b"key"),), self._end)
        return More((EapPayload(asked[::-1]),), self._answer)

    def _end(self, message: Received) -> Step:
        auth = query.maybe(message.payloads, AuthPayload)
        proven = auth is not None and auth.data == b"key"
        return Done(mutual=True) if proven else Failed("no key")

    def credential(self, context: Context) -> str:
        return ""


@dataclass(frozen=True)
class Asks:
    mutual: bool = False

    def asks(self, context: Context) -> tuple[Payload, ...]:
        return (NotifyPayload(NotifyType.EAP_ONLY_AUTHENTICATION),) if self.mutual else ()

    def verify(self, context: Context, message: Received) -> Step:
        return More((EapPayload(b"who"),), self._answered)

    def _answered(self, message: Received) -> Step:
        if query.must(message.payloads, EapPayload).data != b"ohw":
            return Failed("a wrong answer")
        return More((EapPayload(b"success"),), self._proven)

    def _proven(self, message: Received) -> Step:
        if query.must(message.payloads, AuthPayload).data != b"key":
            return Failed("no key")
        return Done((AuthPayload(WORD, b"key"),), "it answered")


def end(*, initiator: bool, multiple: bool = True) -> Context:
    ours, theirs = (A, B) if initiator else (B, A)
    return Context(
        SECRETS,
        bytes,
        Prf.HMAC_SHA2_256,
        ours,
        theirs,
        octets_of(ours),
        initiator=initiator,
        peer=NOTHING.and_in([NotifyPayload(NotifyType.MULTIPLE_AUTH_SUPPORTED)]) if multiple else NOTHING,
        own_octets=octets_of,
        peer_octets=lambda payload: octets_of(Identity(payload.id_type, payload.data)),
    )


Ladder = list[tuple[str, ...]]


def settled(step: Step) -> Done | More | Failed:
    return settle(step, Computation(AT_ONCE), 1)


def run(a: Rounds, b: Rounds, *, multiple: bool = True) -> tuple[Ladder, Step, Step]:
    """The messages, and how it ends for the initiator and the responder."""
    ladder: Ladder = []
    ours = settled(a.initiate(end(initiator=True, multiple=multiple)))
    respond: Callable[[Received], Step] = partial(b.respond, end(initiator=False, multiple=False))
    while isinstance(ours, More):
        ladder.append(shown(ours.payloads))
        theirs = settled(respond(Received(ours.payloads, A, octets_of(A))))
        if isinstance(theirs, Failed):
            return ladder, ours, theirs
        ladder.append(shown(theirs.payloads))
        ours = settled(ours.following(Received(theirs.payloads, B, octets_of(B))))
        if isinstance(theirs, Done):
            return ladder, ours, theirs
        respond = theirs.following
    return ladder, ours, Failed("")


def shown(payloads: tuple[Payload, ...]) -> tuple[str, ...]:
    return tuple(_shown(one) for one in payloads)


def _shown(payload: Payload) -> str:
    match payload:
        case AuthPayload(data=data):
            return f"AUTH {data.decode()}"
        case EapPayload(data=data):
            return f"EAP {data.decode()}"
        case IdPayload(type=PayloadType() as type, data=data):
            return f"{type.name} {data.decode()}"
        case NotifyPayload(notify=notify):
            return NotifyType(notify).name
    return "?"


def local(*provers: Says | Answers, ids: dict[int, str] = {}) -> tuple[LocalRound, ...]:  # noqa: B006
    return tuple(LocalRound(AuthLocal(id=ids.get(number, "")), one) for number, one in enumerate(provers))


def remote(*verifiers: Hears | Asks, ids: dict[int, str] = {}) -> tuple[RemoteRound, ...]:  # noqa: B006
    return tuple(RemoteRound(AuthRemote(id=ids.get(number, "")), one) for number, one in enumerate(verifiers))


def test_one_round() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Says("sesame")), remote(Hears("open"))),
        Rounds(local(Says("open")), remote(Hears("sesame"))),
    )
    assert ladder == [("AUTH sesamegwa",), ("AUTH opengwb",)]
    assert ours == Done(remark="it said open")
    assert isinstance(theirs, Done)
    assert theirs.remark == "it said sesame"


def test_the_initiator_by_eap_and_the_responder_by_a_word_first() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Answers()), remote(Hears("open"))), Rounds(local(Says("open")), remote(Asks()))
    )
    assert ladder == [
        (),
        ("AUTH opengwb", "EAP who"),
        ("EAP ohw",),
        ("EAP success",),
        ("AUTH key",),
        ("AUTH key",),
    ]
    assert isinstance(ours, Done)
    assert isinstance(theirs, Done)


def test_an_initiator_answers_nobody_who_has_not_proven_who_it_is() -> None:
    """It would tell a stranger what its password gives."""
    a = Rounds(local(Answers()), remote(Hears("open")))
    for word in "other", "":
        begun = settled(a.initiate(end(initiator=True)))
        assert isinstance(begun, More)
        payloads = (AuthPayload(WORD, word.encode()),) if word else ()
        found = begun.following(Received((*payloads, EapPayload(b"who")), B, octets_of(B)))
        assert settled(found) == Failed("it does not say open")


def test_eap_alone() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Answers()), remote(Asks(mutual=True))), Rounds(local(Answers()), remote(Asks()))
    )
    assert ladder[:2] == [("EAP_ONLY_AUTHENTICATION",), ("EAP who",)]
    assert isinstance(ours, Done)
    assert isinstance(theirs, Done)


def test_a_word_and_then_a_user() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Says("sesame"), Answers(), ids={1: "user"}), remote(Hears("open"))),
        Rounds(local(Says("open")), remote(Hears("sesame"), Asks(), ids={1: "user"})),
    )
    assert ladder == [
        ("AUTH sesamegwa", "MULTIPLE_AUTH_SUPPORTED", "ANOTHER_AUTH_FOLLOWS"),
        ("AUTH opengwb",),
        ("ID_I user",),
        ("EAP who",),
        ("EAP ohw",),
        ("EAP success",),
        ("AUTH key",),
        ("AUTH key",),
    ]
    assert isinstance(ours, Done)
    assert isinstance(theirs, Done)
    assert theirs.remark == "it said sesame; it answered"


def test_a_user_and_then_a_word() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Answers(), Says("sesame"), ids={1: "user"}), remote(Hears("open"))),
        Rounds(local(Says("open")), remote(Asks(), Hears("sesame"), ids={1: "user"})),
    )
    assert ladder[4:] == [
        ("AUTH key", "ANOTHER_AUTH_FOLLOWS"),
        ("AUTH key",),
        ("ID_I user", "AUTH sesameuser"),
        (),
    ]
    assert isinstance(ours, Done)
    assert isinstance(theirs, Done)


def test_both_twice() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Says("a"), Says("b"), ids={1: "user"}), remote(Hears("c"), Hears("d"))),
        Rounds(local(Says("c"), Says("d"), ids={1: "box"}), remote(Hears("a"), Hears("b"))),
    )
    assert ladder == [
        ("AUTH agwa", "MULTIPLE_AUTH_SUPPORTED", "ANOTHER_AUTH_FOLLOWS"),
        ("AUTH cgwb", "ANOTHER_AUTH_FOLLOWS"),
        ("ID_I user", "AUTH buser"),
        ("ID_R box", "AUTH dbox"),
    ]
    assert ours == Done(remark="it said c; it said d")
    assert isinstance(theirs, Done)


def test_the_responder_alone_twice() -> None:
    ladder, ours, theirs = run(
        Rounds(local(Says("a")), remote(Hears("c"), Hears("d"))),
        Rounds(local(Says("c"), Says("d"), ids={1: "box"}), remote(Hears("a"))),
    )
    assert ladder[2:] == [(), ("ID_R box", "AUTH dbox")]
    assert isinstance(ours, Done)
    assert isinstance(theirs, Done)


def refused(a: Rounds, b: Rounds, *, multiple: bool = True) -> str:
    _, ours, theirs = run(a, b, multiple=multiple)
    (found,) = [one for one in (ours, theirs) if isinstance(one, Failed) and one.why]
    return found.why


ONCE_A = Rounds(local(Says("a")), remote(Hears("c")))
ONCE_B = Rounds(local(Says("c")), remote(Hears("a")))
TWICE_A = Rounds(local(Says("a"), Says("b"), ids={1: "user"}), remote(Hears("c")))
TWICE_B = Rounds(local(Says("c")), remote(Hears("a"), Hears("b"), ids={1: "user"}))


def test_refusals() -> None:
    assert refused(TWICE_A, TWICE_B, multiple=False) == NO_MULTIPLE
    assert refused(ONCE_A, TWICE_B) == NO_MULTIPLE
    assert refused(TWICE_A, ONCE_B) == TOO_MANY
    too_few = Rounds(local(Says("a")), remote(Hears("c"), Hears("d")))
    assert refused(too_few, ONCE_B) == TOO_FEW
    other = Rounds(local(Says("a"), Says("b"), ids={1: "somebody"}), remote(Hears("c")))
    assert "its second identity" in refused(other, TWICE_B)
    assert refused(Rounds(TWICE_A.local, remote(Hears("x"))), TWICE_B) == "it does not say x"


@pytest.mark.parametrize("word", ["a", ""])
def test_the_same_proof_twice_is_no_second_one(word: str) -> None:
    a = Rounds(local(Says("a"), Says(word), ids={1: "user"}), remote(Hears("c")))
    assert refused(a, TWICE_B) == "it does not say b"


def test_the_second_proof_covers_the_second_identity() -> None:
    started = settled(TWICE_B.respond(end(initiator=False), _first()))
    assert isinstance(started, More)
    user = IdPayload(PayloadType.ID_I, USER.id_type, USER.data)
    replayed = started.following(Received((user, AuthPayload(WORD, b"bgwa")), A, octets_of(A)))
    assert settled(replayed) == Failed("it does not say b")


def _first() -> Received:
    follows = NotifyPayload(NotifyType.ANOTHER_AUTH_FOLLOWS)
    supported = NotifyPayload(NotifyType.MULTIPLE_AUTH_SUPPORTED)
    return Received((AuthPayload(WORD, b"agwa"), supported, follows), A, octets_of(A))
