"""Additional key exchanges of CREATE_CHILD_SA, in IKE_FOLLOWUP_KE (RFC 9370 2.2.4)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun, KeyExchange, Random, Response
from ikepy.crypto.key_schedule import IkeSuite, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Command, Initiate, Rekey
from ikepy.sa.api.effects import Effect
from ikepy.sa.message import query
from ikepy.sa.state import followups
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks.child_create import ChildCreate
from ikepy.sa.tasks.child_rekey import ChildRekey
from ikepy.wire.constants import ExchangeType, KeGroup, NotifyType, TransformType
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload, SaPayload
from tests.key_exchanges import all_slow, begin

from .network import DELAY, Network, Options, Script, assert_joined, deliver_all, duplicate, lose
from .tampering import answer_otherwise
from .test_crossings import SECOND
from .test_established import do, ike_sa

LINGER = 10.0  # seconds: then what was replaced is gone (`tasks.delete`)
KE = "x25519-ke1_mlkem768-ke3_ecp256"
OPTIONS = Options(
    proposals=f'["aes128gcm16-prfsha256-{KE}"]',
    esp_proposals=f'["aes128gcm16-{KE}"]',
    connection="rekey_time = 0",
    child="rekey_time = 0",
    local_ts='["10.1.0.0/24"]',
    remote_ts='["10.1.0.0/24"]',
    more=SECOND.format(esp=f'["aes128gcm16-{KE}"]'),
)
REKEY = [
    "CREATE_CHILD_SA request 0",
    "CREATE_CHILD_SA response 0",
    "IKE_FOLLOWUP_KE request 1 1/2",
    "IKE_FOLLOWUP_KE request 1 2/2",
    "IKE_FOLLOWUP_KE response 1",
    "IKE_FOLLOWUP_KE request 2",
    "IKE_FOLLOWUP_KE response 2",
]
COMMANDS: dict[str, Command] = {
    "child create": Initiate("ab", "second"),
    "child rekey": Rekey(child="net"),
    "IKE rekey": Rekey(ike="ab"),
}
EVERY = pytest.mark.parametrize("action", COMMANDS)


def ladder(by: str, first: int, lines: Sequence[str] = REKEY) -> list[str]:
    """The lines with sites, and with message IDs that begin with `first`."""
    there, back = ("a -> b", "b -> a") if by == "a" else ("b -> a", "a -> b")
    shifted = []
    for line in lines:
        exchange, kind, number, *part = line.split()
        way = there if kind == "request" else back
        shifted.append(" ".join([way, exchange, kind, str(int(number) + first), *part]))
    return shifted


def established(a: Options = OPTIONS, b: Options = OPTIONS) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    net.ladder.clear()
    return net


def children(action: str) -> int:
    return 2 if action == "child create" else 1


@EVERY
@pytest.mark.parametrize(("by", "first"), [("a", 4), ("b", 0)])
def test_exchanges(action: str, by: str, first: int) -> None:
    net = established()
    before = ike_sa(net, "a").spi_i
    net.command(by, COMMANDS[action])
    net.run(LINGER)
    assert net.ladder[: len(REKEY)] == ladder(by, first)
    assert_joined(net, children(action))
    assert (ike_sa(net, "a").spi_i != before) == (action == "IKE rekey")
    assert not net.a.errors() + net.b.errors()


@EVERY
@pytest.mark.parametrize("seconds", [0.0, 0.3, 6.0])
@pytest.mark.parametrize("line", REKEY)
@pytest.mark.parametrize("disturb", [lose, duplicate], ids=["lost", "twice"])
def test_disturbed(disturb: Callable[[str], Script], line: str, seconds: float, action: str) -> None:
    """Whatever is lost or comes twice, and whatever takes its time: one SA, and nothing is begun anew."""
    with all_slow():
        net = established()
        net.thinking = lambda site, job: seconds
        net.script = disturb(ladder("a", 4, [line])[0])
        net.computed.clear()
        net.command("a", COMMANDS[action])
        net.run(100)
    assert_joined(net, children(action))
    assert len(net.computed) == 9, "two steps at a and one at b, thrice"
    assert not net.a.errors() + net.b.errors()


@EVERY
def test_none_of_them_is_chosen(action: str) -> None:
    """An additional key exchange that is optional, and that the peer does not have, is not made."""
    optional = "x25519-ke1_mlkem768-ke1_none"
    ours = replace(
        OPTIONS,
        proposals=f'["aes128gcm16-prfsha256-{optional}"]',
        esp_proposals=f'["aes128gcm16-{optional}"]',
        more=SECOND.format(esp=f'["aes128gcm16-{optional}"]'),
    )
    theirs = replace(
        OPTIONS,
        proposals='["aes128gcm16-prfsha256-x25519"]',
        esp_proposals='["aes128gcm16-x25519"]',
        more=SECOND.format(esp='["aes128gcm16-x25519"]'),
    )
    for options in ((ours, theirs), (theirs, ours)):
        net = established(*options)
        net.command("a", COMMANDS[action])
        net.run(LINGER)
        assert not [line for line in net.ladder if "FOLLOWUP" in line]
        assert_joined(net, children(action))


# -- the keys, computed otherwise ---------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """A method that tells what secrets it gives."""

    method: KeyExchange
    secrets: list[bytes] = field(default_factory=list)

    @property
    def id(self) -> int:
        return self.method.id

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def seconds(self) -> float:
        return self.method.seconds

    def begin(self, random: Random) -> Callable[[], Begun]:
        return self.method.begin(random)

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        def compute() -> Response:
            own, secret = self.method.respond(random, public)()
            self.secrets.append(secret.expose())
            return own, secret

        return compute

    def check_initiator(self, public: bytes) -> None:
        self.method.check_initiator(public)

    def check_responder(self, public: bytes) -> None:
        self.method.check_responder(public)


@contextmanager
def told() -> Iterator[list[bytes]]:
    """The secrets of all key exchanges, in order."""
    secrets: list[bytes] = []
    methods = [KeGroup.CURVE_25519, KeGroup.ML_KEM_768, KeGroup.ECP_256]
    with registry.registered(*(Told(registry.method(group), secrets) for group in methods)):
        yield secrets


def prf(key: bytes, *data: bytes) -> bytes:
    return hmac.new(key, b"".join(data), hashlib.sha256).digest()


def prf_plus(key: bytes, seed: bytes, size: int) -> bytes:
    out, block, n = b"", b"", 1
    while len(out) < size:
        block = prf(key, block, seed, bytes([n]))
        out, n = out + block, n + 1
    return out[:size]


def sk_d(net: Network, name: str) -> bytes:
    return ike_sa(net, name).keys.schedule.keys.sk_d.expose()


def test_keys_of_a_set_up() -> None:
    """SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) (RFC 9370 2.2.2)."""
    with told() as secrets:
        net = Network(OPTIONS)
        net.command("a", Initiate("ab", "net"))
        net.run(3.5 * DELAY)  # IKE_AUTH is not over
        sa = ike_sa(net, "b")
        seed = sa.seed
        ni, nr, spis = seed.nonce_i, seed.nonce_r, seed.spi_i + seed.spi_r
        net.run(1)
    first, second, third = secrets
    key = prf_plus(prf(ni + nr, first), ni + nr + spis, 32)
    for secret in (second, third):
        key = prf_plus(prf(key, secret, ni, nr), ni + nr + spis, 32)
    assert sk_d(net, "a") == sk_d(net, "b") == key


@pytest.mark.parametrize("action", ["child create", "child rekey"])
def test_keys_of_a_child(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All secrets in their order, at both ends; `test_key_schedule` is about the formula."""
    used: list[list[bytes]] = []
    real = KeySchedule.child_keys

    def child_keys(
        self: KeySchedule, nonce_i: bytes, nonce_r: bytes, secrets: Sequence[Secret], length: int
    ) -> tuple[Secret, Secret]:
        used.append([one.expose() for one in secrets])
        return real(self, nonce_i, nonce_r, secrets, length)

    with told() as secrets:
        net = established()
        secrets.clear()
        monkeypatch.setattr(KeySchedule, "child_keys", child_keys)
        net.command("a", COMMANDS[action])
        net.run(1)
    assert used == [secrets, secrets]
    assert [len(one) for one in secrets] == [32, 32, 32]


def test_keys_of_an_ike_rekey(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[list[bytes]] = []
    real = KeySchedule.rekeyed

    def rekeyed(self: KeySchedule, suite: IkeSuite, secrets: Sequence[Secret], seed: Seed) -> KeySchedule:
        used.append([one.expose() for one in secrets])
        return real(self, suite, secrets, seed)

    with told() as secrets:
        net = established()
        secrets.clear()
        monkeypatch.setattr(KeySchedule, "rekeyed", rekeyed)
        net.command("b", COMMANDS["IKE rekey"])
        net.run(1)
    assert used == [secrets, secrets]
    assert sk_d(net, "a") == sk_d(net, "b")


# -- what does not go on --------------------------------------------------------------------------------


@EVERY
def test_peer_that_does_not_go_on(action: str) -> None:
    """What we keep for it is given up after a while; what stood goes on, and a rekey of ours may come."""
    net = established()
    net.script = lose(ladder("a", 4)[2], times=100)
    net.command("a", COMMANDS[action])
    net.run(followups.TIMEOUT / 2)
    assert ike_sa(net, "b").followups.deadline is not None
    net.run(followups.TIMEOUT)
    assert ike_sa(net, "b").followups.deadline is None
    net.script = deliver_all
    net.run(100)
    assert_joined(net, children(action))
    assert any("STATE_NOT_FOUND" in text for text in net.b.errors())


@pytest.mark.parametrize("action", ["child rekey", "IKE rekey"])
def test_our_rekey_waits_for_the_peers(action: str) -> None:
    """While the peer's goes on, ours is not asked for; if it comes to nothing, ours comes."""
    net = established()
    net.script = lose(ladder("b", 0)[2], times=100)
    net.command("b", COMMANDS[action])
    net.run(1)
    before = len(net.ladder)
    net.command("a", COMMANDS[action])
    net.run(1)
    assert not [line for line in net.ladder[before:] if line.startswith("a -> b CREATE_CHILD_SA")]
    net.script = deliver_all
    net.run(60)
    assert_joined(net)


class Asking(Task[IkeSa]):
    """An IKE_FOLLOWUP_KE with these payloads; `error`: what the peer answers."""

    kind = TaskKind.CHILD_CREATE
    exchange = ExchangeType.IKE_FOLLOWUP_KE

    def __init__(self, *payloads: Payload) -> None:
        self.payloads = list(payloads)
        self.error: NotifyPayload | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return self.payloads

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        self.error = query.error(payloads)
        return []


def asked(net: Network, *payloads: Payload) -> NotifyType | None:
    task = Asking(*payloads)
    do(net, "a", task)
    net.run(1)
    return None if task.error is None else NotifyType(task.error.notify)


def ke(group: KeGroup) -> KePayload:
    return KePayload(group, begin(group, bytes).public)


def link(data: bytes) -> NotifyPayload:
    return NotifyPayload(NotifyType.ADDITIONAL_KEY_EXCHANGE, data)


@pytest.mark.parametrize("links", [(), (link(b""),), (link(b"12345678"),), (link(bytes(5000)),)])
def test_what_nothing_is_known_of(links: tuple[NotifyPayload, ...]) -> None:
    """STATE_NOT_FOUND, and the IKE_SA goes on."""
    net = established()
    assert asked(net, ke(KeGroup.ML_KEM_768), *links) == NotifyType.STATE_NOT_FOUND
    net.command("a", COMMANDS["child rekey"])
    net.run(LINGER)
    assert_joined(net)


def waiting(net: Network) -> NotifyPayload:
    """Begin the rekey of a child at a, which does not go on; the link that b gave it."""
    sa = ike_sa(net, "a")
    found: list[NotifyPayload] = []

    class Rekeying(ChildRekey):
        def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
            found.extend(query.notifies(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE))
            return []

    (child,) = [one for one in sa.children.values() if one.in_use]
    do(net, "a", Rekeying(child.child_id, child.config))
    net.run(1)
    return found[-1]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (ke(KeGroup.ECP_256), NotifyType.INVALID_KE_PAYLOAD),
        (KePayload(KeGroup.ML_KEM_768, bytes(1088)), NotifyType.INVALID_SYNTAX),
        (KePayload(KeGroup.ML_KEM_768, b"\xff" * 1184), NotifyType.INVALID_SYNTAX),
    ],
    ids=["another method", "a ciphertext's length", "not reduced"],
)
def test_bad_key_exchange(payload: KePayload, error: NotifyType) -> None:
    """It can't be tried again; what is malformed ends the IKE_SA, as anywhere (RFC 7296 2.21.3)."""
    net = established()
    notify = waiting(net)
    assert asked(net, payload, notify) == (error if error == NotifyType.INVALID_KE_PAYLOAD else None)
    if error == NotifyType.INVALID_SYNTAX:
        assert not net.b.manager.ike_sas
    else:
        assert asked(net, ke(KeGroup.ML_KEM_768), notify) == NotifyType.STATE_NOT_FOUND


def test_repeated_key_exchange() -> None:
    """A link is good for one request: the next one has another."""
    net = established()
    notify = waiting(net)
    assert asked(net, ke(KeGroup.ML_KEM_768), notify) is None
    assert asked(net, ke(KeGroup.ML_KEM_768), notify) == NotifyType.STATE_NOT_FOUND
    assert asked(net, ke(KeGroup.ECP_256), notify) == NotifyType.STATE_NOT_FOUND


def test_many_that_do_not_go_on() -> None:
    """Memory is bounded: the next one is told to come later."""
    net = established()

    class Creating(ChildCreate):
        def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
            answers.append(query.error(payloads))
            return []

    answers: list[NotifyPayload | None] = []
    config = ike_sa(net, "a").connection.children["second"]
    for _ in range(followups.MOST + 3):
        do(net, "a", Creating(WantedChild(config)))
        net.run(0.5)
    assert [one is None for one in answers] == [True] * followups.MOST + [False] * 3
    assert all(one is None or one.notify == NotifyType.TEMPORARY_FAILURE for one in answers)
    net.run(followups.TIMEOUT)
    assert ike_sa(net, "b").followups.deadline is None


def test_rekey_that_is_begun_again_and_again() -> None:
    """Only the last one may go on: the others were for the same child."""
    net = established()
    links = [waiting(net) for _ in range(followups.MOST + 3)]
    assert asked(net, ke(KeGroup.ML_KEM_768), links[0]) == NotifyType.STATE_NOT_FOUND
    assert asked(net, ke(KeGroup.ML_KEM_768), links[-1]) is None


# -- responses that are not acceptable --------------------------------------------------------------------


def without_link(payloads: Sequence[Payload]) -> list[Payload]:
    return [p for p in payloads if not (isinstance(p, NotifyPayload) and p.notify == link(b"").notify)]


@EVERY
def test_response_without_a_link(action: str) -> None:
    """The peer does not say how it goes on: a child comes to nothing, a rekey of the IKE_SA ends it."""
    net = established()
    line = ladder("a", 4)[1]
    answer_otherwise(net, line, lambda: net.command("a", COMMANDS[action]), without_link)
    net.run(1)
    assert any("does not say how" in text for text in net.a.errors())
    assert bool(net.a.manager.ike_sas) == (action != "IKE rekey")


def longer(payloads: Sequence[Payload]) -> list[Payload]:
    return [replace(p, data=p.data + b"\0") if isinstance(p, KePayload) else p for p in payloads]


@EVERY
def test_ciphertext_of_a_wrong_length(action: str) -> None:
    """It ends the IKE_SA, as a bad public value does in CREATE_CHILD_SA (RFC 6989 2.5)."""
    net = established()
    line = ladder("a", 4)[4]
    answer_otherwise(net, line, lambda: net.command("a", COMMANDS[action]), longer)
    net.run(1)
    assert any("public value of ML_KEM_768: wrong length" in text for text in net.a.errors())
    assert not net.a.manager.ike_sas


@EVERY
def test_another_method_than_the_one_agreed_on(action: str) -> None:
    net = established()
    line = ladder("a", 4)[4]
    other: Sequence[Payload] = [KePayload(KeGroup.ECP_256, bytes(64)), link(b"x")]
    answer_otherwise(net, line, lambda: net.command("a", COMMANDS[action]), lambda _: other)
    net.run(1)
    assert any("not the one it chose" in text for text in net.a.errors())


def test_duplicates_that_the_peer_chooses() -> None:
    """The responder's choice must not have a method twice (RFC 9370 2.2.1)."""
    twice = "x25519-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_mlkem1024"
    net = established(replace(OPTIONS, esp_proposals=f'["aes128gcm16-{twice}"]'),
                      replace(OPTIONS, esp_proposals=f'["aes128gcm16-{twice}"]'))  # fmt: skip

    def same(payloads: Sequence[Payload]) -> list[Payload]:
        return [_same(p) if isinstance(p, SaPayload) else p for p in payloads]

    answer_otherwise(net, ladder("a", 4)[1], lambda: net.command("a", Rekey(child="net")), same)
    net.run(1)
    assert any("not offered" in text for text in net.a.errors())


def _same(payload: SaPayload) -> SaPayload:
    (chosen,) = payload.proposals
    types = TransformType.ADDKE1, TransformType.ADDKE2
    transforms = tuple(replace(t, id=36) if t.type in types else t for t in chosen.transforms)
    return SaPayload((replace(chosen, transforms=transforms),))


def test_many_fragments_of_a_repeated_request() -> None:
    """The first fragment is answered, for all: the others don't count for the limit of repeated requests."""
    small = replace(OPTIONS, daemon="fragment_size = 576")
    net = established(small, small)
    first, after = "a -> b IKE_FOLLOWUP_KE request 5 ", "a -> b IKE_FOLLOWUP_KE request 6"
    fragments: list[bytes] = []

    def gather(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith(first):
            fragments.append(data)
        return [] if line.startswith(after) else [DELAY]

    net.script = gather
    net.command("a", COMMANDS["child rekey"])
    net.run(10 * DELAY)
    path = ike_sa(net, "b").path
    assert len(fragments) == 3
    for _ in range(6):
        worthless = [net.b.manager.is_worthless(one, path, net.now) for one in fragments]
        assert worthless == [False, True, True]
