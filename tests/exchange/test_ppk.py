"""Postquantum preshared keys, with and without being required, in both roles.

In IKE_AUTH (RFC 8784), as with a peer that has no more, and in IKE_INTERMEDIATE (RFC 9867).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from ikepy.crypto.key_schedule import IkeSuite, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.init import InitTask
from ikepy.wire.constants import Encr, NotifyType, Prf
from ikepy.wire.message import IkeHeader, decode_message
from ikepy.wire.payloads import AuthPayload, NotifyPayload, Payload

from . import test_eap
from .network import DELAY, Network, Options, assert_joined
from .tampering import answer_otherwise
from .test_established import ike_sa

KEY = '[secrets.ppk-1]\nids = ["ppk1"]\nsecret = "0x{}"\n'
GOOD, OTHER = KEY.format("11" * 32), KEY.format("22" * 32)


@dataclass(frozen=True, slots=True)
class Ppk(Options):
    """One end: `more` has the key."""

    more: str = GOOD
    connection: str = 'ppk_id = "ppk1"\n'


KEM = '["aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256"]'
REQUIRED = 'ppk_id = "ppk1"\nppk_required = true\n'
NAMED = Ppk()
ANY = Ppk(connection="")  # as responder, whatever the peer names
ANOTHER = Ppk(more='[secrets.ppk-2]\nids = ["ppk2"]\nsecret = "0x3333"\n', connection="")
NONE = Options()


@pytest.fixture
def in_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initiators know RFC 8784 alone."""
    real = InitTask.request

    def request(self: InitTask, sa: IkeSa, now: float) -> list[Payload] | None:
        payloads = real(self, sa, now)
        return None if payloads is None else without(NotifyType.USE_PPK_INT, payloads)

    monkeypatch.setattr(InitTask, "request", request)


@pytest.fixture(params=["IKE_AUTH", "IKE_INTERMEDIATE"])
def way(request: pytest.FixtureRequest) -> str:
    """Where the PPK is mixed in."""
    if request.param == "IKE_AUTH":
        request.getfixturevalue("in_auth")
    return str(request.param)


NO_SUCH_KEY = {
    "IKE_AUTH": "AUTHENTICATION_FAILED",
    "IKE_INTERMEDIATE": "the peer does not have our postquantum preshared key, and ppk_required = yes",
}


def began(a: Options, b: Options) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(3)
    return net


def ppks(net: Network) -> list[bool]:
    return [sa.ppk for site in (net.a, net.b) for sa in site.manager.list_sas(net.now)]


@pytest.mark.parametrize(
    "a, b, used",
    [
        (NAMED, NAMED, True),
        (NAMED, ANY, True),
        (Ppk(connection=REQUIRED), ANY, True),
        (NAMED, Ppk(connection="ppk_required = true\n"), True),
        (NAMED, ANOTHER, False),
        (NAMED, NONE, False),
        (NONE, NAMED, False),
        (ANY, NAMED, False),
        (replace(NAMED, proposals=KEM), replace(ANY, proposals=KEM), True),
    ],
)
def test_agreed(a: Options, b: Options, used: bool, way: str) -> None:
    net = began(a, b)
    assert net.a.outcomes[7].ok
    assert ppks(net) == [used, used]
    assert_joined(net)
    for command in (Rekey(child="net"), Rekey(ike="ab")):
        net.command("b", command)
        net.run(60)
    assert_joined(net)
    assert ppks(net) == [used, used]


@pytest.mark.parametrize(
    "a, b, why",
    [
        (Ppk(connection=REQUIRED), NONE, "does not use postquantum preshared keys"),
        (Ppk(connection=REQUIRED), ANOTHER, None),
        (Ppk(connection=REQUIRED), Ppk(more=OTHER), None),
        (NONE, Ppk(connection="ppk_required = true\n"), "AUTHENTICATION_FAILED"),
        (
            NAMED,
            Ppk(connection='ppk_id = "ppk2"\nppk_required = true\n', more=ANOTHER.more),
            "AUTHENTICATION_FAILED",
        ),
    ],
)
def test_refused(a: Options, b: Options, why: str | None, way: str) -> None:
    """`why`: None where it depends on the way."""
    net = began(a, b)
    assert not any(sa.established_at for site in (net.a, net.b) for sa in site.manager.list_sas(net.now))
    expected = NO_SUCH_KEY[way] if why is None else why
    assert any(expected in text for text in net.a.errors())


def test_the_initial_ike_sa_itself(way: str) -> None:
    """In IKE_AUTH it is too late for it; its children are safe, and what a rekey makes of it."""
    net = began(NAMED, ANY)
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.quantum_safe == (way == "IKE_INTERMEDIATE")
    assert [child.quantum_safe for child in sa.children] == [True]
    net.command("a", Rekey(ike="ab"))
    net.run(60)
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.quantum_safe


def test_the_keys_differ_by_the_ppk(in_auth: None) -> None:
    with_it, without = began(NAMED, ANY), began(NONE, NONE)
    keys = [ike_sa(net, "a").keys.schedule.keys for net in (with_it, without)]
    assert keys[0].sk_ei == keys[1].sk_ei
    assert keys[0].sk_d != keys[1].sk_d


def test_formula() -> None:
    """SK_d = prf(PPK, SK_d' | 0x01), and so SK_pi and SK_pr; nothing else changes (RFC 8784 3)."""
    suite = IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None)
    plain = KeySchedule.initial(suite, Secret(b"g^ir"), Seed(b"i" * 32, b"r" * 32, b"1" * 8, b"2" * 8))
    mixed = plain.with_ppk(Secret(b"ppk")).keys

    def mix(key: Secret) -> Secret:
        return Secret(hmac.new(b"ppk", key.expose() + b"\x01", hashlib.sha256).digest())

    keys = plain.keys
    assert (mixed.sk_d, mixed.sk_pi, mixed.sk_pr) == (mix(keys.sk_d), mix(keys.sk_pi), mix(keys.sk_pr))
    assert (mixed.sk_ei, mixed.sk_er) == (keys.sk_ei, keys.sk_er)


def test_another_key_of_the_same_name(in_auth: None) -> None:
    """Nobody sees that before AUTH does not verify (RFC 8784)."""
    net = began(NAMED, Ppk(more=OTHER))
    assert any("AUTHENTICATION_FAILED" in text for text in net.a.errors())


def test_another_key_of_the_same_name_early() -> None:
    """The confirmation shows it, and the ends do without (RFC 9867 3.1)."""
    net = began(NAMED, Ppk(more=OTHER))
    assert ppks(net) == [False, False]
    assert any("does not have our postquantum preshared key" in text for text in net.a.errors())


def test_exchanges() -> None:
    """The last additional key exchange has it with it; without one it has an exchange of its own."""
    for proposals, exchanges in (([], 1), ([KEM], 2)):
        options = [replace(one, proposals=proposals[0]) if proposals else one for one in (NAMED, ANY)]
        net = began(options[0], options[1])
        assert len([line for line in net.ladder if line.startswith("b -> a IKE_INTERMEDIATE")]) == exchanges
        assert ppks(net) == [True, True]


def test_early_formula() -> None:
    """SKEYSEED' = prf+(PPK, SK_d), and all keys anew (RFC 9867 3.1)."""
    suite = IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None)
    seed = Seed(b"i" * 32, b"r" * 32, b"1" * 8, b"2" * 8)
    plain = KeySchedule.initial(suite, Secret(b"g^ir"), seed)
    keys = plain.renewed_by_ppk(Secret(b"ppk"), seed).keys
    skeyseed = hmac.new(b"ppk", plain.keys.sk_d.expose() + b"\x01", hashlib.sha256).digest()
    data = seed.nonce_i + seed.nonce_r + seed.spi_i + seed.spi_r
    first = hmac.new(skeyseed, data + b"\x01", hashlib.sha256).digest()
    second = hmac.new(skeyseed, first + data + b"\x02", hashlib.sha256).digest()
    assert keys.sk_d.expose() == first
    assert keys.sk_ei.expose() == second[:20]


def without(kind: NotifyType, payloads: Sequence[Payload]) -> list[Payload]:
    return [p for p in payloads if not (isinstance(p, NotifyPayload) and p.notify == kind)]


def begin_unnamed(net: Network, line: str) -> None:
    """Set up, while somebody who can seal messages takes PPK_IDENTITY out of this one."""
    answer_otherwise(
        net,
        line,
        lambda: net.command("a", Initiate("ab", "net")),
        lambda payloads: without(NotifyType.PPK_IDENTITY, payloads),
    )
    net.run(1)


def test_responder_that_does_not_say_that_it_uses_it(in_auth: None) -> None:
    """Its AUTH covers other keys than we then take it for."""
    net = Network(NAMED, ANY)
    begin_unnamed(net, "b -> a IKE_AUTH response 1")
    assert any("authentication of the peer" in text for text in net.a.errors())


def test_required_and_not_used(in_auth: None) -> None:
    net = Network(Ppk(connection=REQUIRED), ANY)
    begin_unnamed(net, "b -> a IKE_AUTH response 1")
    assert any("does not use the PPK" in text for text in net.a.errors())


def test_request_that_names_none(in_auth: None) -> None:
    """Both ends have announced PPKs: then it has to (RFC 8784 3)."""
    net = Network(NAMED, ANY)
    begin_unnamed(net, "a -> b IKE_AUTH request 1")
    assert any("it names no postquantum preshared key" in text for text in net.b.errors())


def test_nobody_announces_it_where_none_is_configured() -> None:
    net = Network(NAMED, NONE)
    seen: list[list[int]] = []

    def watch(line: str, nth: int, data: bytes) -> list[float]:
        if "IKE_SA_INIT" in line:
            payloads = decode_message(data).payloads
            seen.append([p.notify for p in payloads if isinstance(p, NotifyPayload)])
        return [DELAY]

    net.script = watch
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert [NotifyType.USE_PPK in one for one in seen] == [True, False]


# -- with EAP, and with several rounds -------------------------------------------------------------


def both(a: Options, b: Options, ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    """Two ends with what is theirs of postquantum preshared keys."""
    return tuple(  # type: ignore[return-value]
        replace(end, connection=f"{end.connection}\n{mine.connection}", more=f"{end.more}\n{mine.more}")
        for end, mine in ((a, ppk_a), (b, ppk_b))
    )


def by_eap(ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    return both(*test_eap.options("eap-mschapv2"), ppk_a, ppk_b)


def by_eap_without_keys(ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    """AUTH is made with SK_p then."""
    return both(*test_eap.options("eap-md5"), ppk_a, ppk_b)


def by_secret_and_user(ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    a, b = test_eap.options("eap-mschapv2")
    local = 'auth = "psk"\n[connections.ab.local2]\nid = "alice"\n' + a.local
    remote = 'auth = "psk"\n[connections.ab.remote2]\nid = "alice"\n' + b.remote
    return both(replace(a, local=local), replace(b, remote=remote), ppk_a, ppk_b)


def by_user_and_secret(ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    a, b = test_eap.options("eap-md5")
    second = '\n[connections.ab.{}]\nid = "machine"\nauth = "psk"'
    a = replace(a, local=a.local + second.format("local2"))
    return both(a, replace(b, remote=b.remote + second.format("remote2")), ppk_a, ppk_b)


def by_two_of_both(ppk_a: Ppk, ppk_b: Options) -> tuple[Options, Options]:
    """Both ends prove themselves twice."""
    each = "".join(f'\n[connections.ab.{one}2]\nauth = "psk"\nid = "{{}}"' for one in ("local", "remote"))
    a = Options(remote='auth = "psk"' + each.format("a2", "b2"))
    return both(a, Options(remote='auth = "psk"' + each.format("b2", "a2")), ppk_a, ppk_b)


ROUNDS = [by_eap, by_eap_without_keys, by_secret_and_user, by_user_and_secret, by_two_of_both]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize(
    "a, b, used",
    [
        (NAMED, ANY, True),
        (Ppk(connection=REQUIRED), Ppk(connection="ppk_required = true\n"), True),
        (NAMED, ANOTHER, False),
        (NAMED, NONE, False),
        (ANY, ANY, False),
    ],
)
def test_agreed_by_eap_and_in_rounds(
    rounds: Callable[[Ppk, Options], tuple[Options, Options]], a: Ppk, b: Options, used: bool, way: str
) -> None:
    net = began(*rounds(a, b))
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert ppks(net) == [used, used]
    assert_joined(net)
    net.command("b", Rekey(ike="ab"))
    net.run(60)
    assert_joined(net)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize(
    "a, b",
    [
        (Ppk(connection=REQUIRED), ANOTHER),
        (Ppk(connection=REQUIRED), NONE),
        (NAMED, Ppk(more=OTHER, connection=REQUIRED)),
        (ANY, Ppk(connection="ppk_required = true\n")),
    ],
)
def test_refused_by_eap_and_in_rounds(
    rounds: Callable[[Ppk, Options], tuple[Options, Options]], a: Ppk, b: Options, way: str
) -> None:
    net = began(*rounds(a, b))
    assert not any(sa.established_at for site in (net.a, net.b) for sa in site.manager.list_sas(net.now))


def test_in_which_messages_eap_names_it(in_auth: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the AUTH that follows EAP, and in the answer to it (RFC 8784 3)."""
    net = Network(*by_eap(NAMED, ANY))
    kinds = NotifyType.PPK_IDENTITY, NotifyType.NO_PPK_AUTH
    named: list[tuple[bool, int]] = []
    real = IkeSa.encode

    def encode(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        found = [p.notify for p in payloads if isinstance(p, NotifyPayload) and p.notify in kinds]
        named.extend((sa.initiator, one) for one in found)
        if found:
            assert query.maybe(payloads, AuthPayload) is not None
            assert header.message_id == 5
        return real(sa, header, payloads)

    monkeypatch.setattr(IkeSa, "encode", encode)
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(3)
    assert named == [
        (True, NotifyType.PPK_IDENTITY),
        (True, NotifyType.NO_PPK_AUTH),
        (False, NotifyType.PPK_IDENTITY),
    ]
    assert ppks(net) == [True, True]


def test_required_and_unknown_early() -> None:
    """The responder says so in IKE_INTERMEDIATE: nobody has to say who he is (RFC 9867 3.1)."""
    required = Ppk(more=OTHER, connection="ppk_required = true\n")
    net = began(NAMED, required)
    assert not any("IKE_AUTH" in line for line in net.ladder)
    assert any("AUTHENTICATION_FAILED" in text for text in net.a.errors())
    assert any("we don't have the postquantum preshared key" in text for text in net.b.errors())
    assert not net.b.manager.ike_sas


def changed_auth(number: int, change: Callable[[list[Payload]], list[Payload]]) -> Network:
    """The user of two rounds changes its IKE_AUTH request with this message ID."""
    net = Network(*by_two_of_both(NAMED, ANY))
    answer_otherwise(
        net,
        f"a -> b IKE_AUTH request {number}",
        lambda: net.command("a", Initiate("ab", "net", ticket=7)),
        lambda payloads: change(list(payloads)),
    )
    net.run(3)
    return net


def test_it_is_decided_once(in_auth: None) -> None:
    """What a later AUTH names, or that it names none, changes nothing: the first one has decided."""
    told: Payload = NotifyPayload(NotifyType.PPK_IDENTITY, b"\x02another")
    net = changed_auth(2, lambda payloads: [*payloads, told])
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert ppks(net) == [True, True]


def test_named_too_late(in_auth: None) -> None:
    net = changed_auth(1, lambda payloads: without(NotifyType.PPK_IDENTITY, payloads))
    assert any("it names no postquantum preshared key" in text for text in net.b.errors())
    assert not net.b.plane.inbound
