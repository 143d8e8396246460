"""Session resumption: an IKE_SA that was interrupted goes on by a ticket (RFC 5723)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.events import IkeUp
from ikepy.sa.api.restart_keys import TicketKey
from ikepy.sa.exchange.resumption import MOST_GRANTED
from ikepy.sa.state.resumption import ClientTicket
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import NotifyPayload

from .network import Network, Options, assert_joined, duplicate, lose
from .test_crash_detection import SECRET
from .test_established import do, ike_sa
from .test_redirect import notifies, recorded

KEY = TicketKey(b"key1", Secret(b"\7" * 32))
NEXT = TicketKey(b"key2", Secret(b"\10" * 32))
ALONE = "resumption = true"
QUICK = "retransmit_timeout = 1\nretransmit_tries = 1"
RESUMES = Options(connection="resumption = true\ndpd_delay = 10", child='dpd_action = "start"', daemon=QUICK)
RESUMED = [
    "a -> b IKE_SESSION_RESUME request 0",
    "b -> a IKE_SESSION_RESUME response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]
IN_FULL = [
    "a -> b IKE_SESSION_RESUME request 0",
    "b -> a IKE_SESSION_RESUME response 0",
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]


def established(options: Options = RESUMES, gateway: Options | None = None) -> Network:
    net = Network(options, gateway or options)
    net.b.restart_keys.tickets = (KEY,)
    net.b.restart_keys.crash = (SECRET,)
    net.b.restart_keys.epoch = 1_700_000_000.0
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    net.ladder.clear()
    return net


def crash(net: Network, change: Callable[[], object] = lambda: None, seconds: float = 1.0) -> list[str]:
    """The gateway is killed and begins anew, and a asks whether it is alive. Gives the ladder after that."""
    net.run(15)  # an IKE_SA that ends soon is set up again with a delay
    net.b.restart()
    change()
    net.ladder.clear()
    do(net, "a", Liveness())
    net.run(seconds)
    assert [line.split(" request")[0].split(" response")[0] for line in net.ladder[:2]] == [
        "a -> b INFORMATIONAL",
        "b -> a INFORMATIONAL",
    ]
    return net.ladder[2:]


def is_resumed(net: Network, name: str) -> bool:
    (sa,) = net.site(name).manager.list_sas(net.now)
    return sa.resumed


def test_after_a_crash_of_the_gateway_without_a_key_exchange() -> None:
    net = established()
    assert not is_resumed(net, "a")
    computed = len(net.computed)
    assert crash(net) == RESUMED
    assert_joined(net)
    assert is_resumed(net, "a")
    assert is_resumed(net, "b")
    assert len(net.computed) == computed, "nothing that takes long"
    assert [event for event in net.b.events if isinstance(event, IkeUp)][-1].sa.resumed


def test_again_and_again_with_a_new_ticket_each_time() -> None:
    net = established()
    for _ in range(5):
        assert crash(net) == RESUMED
        assert_joined(net)


def test_the_keys_are_those_of_the_rfc() -> None:
    net = established()
    old = ike_sa(net, "a").keys.schedule
    sk_d, suite = Secret(old.keys.sk_d.expose()), old.suite
    seen: list[bytes] = []
    net.script = recorded(seen, "IKE_SESSION_RESUME")
    crash(net)
    request, response = map(decode_message, seen)
    (nonce_i,) = (one.data for one in request.payloads if hasattr(one, "data") and one.type == 40)
    (nonce_r,) = (one.data for one in response.payloads if hasattr(one, "data") and one.type == 40)
    new = ike_sa(net, "a")
    function = prf(suite.prf)
    skeyseed = function.compute(sk_d, b"Resumption" + nonce_i + nonce_r)
    spis = response.header.spi_i + response.header.spi_r
    keymat = function.plus(skeyseed, nonce_i + nonce_r + spis, function.size).expose()
    assert new.keys.schedule.keys.sk_d.expose() == keymat, "RFC 5723 5.1"
    assert new.keys.suite == suite
    assert response.header.spi_i != bytes(8) != response.header.spi_r


def test_what_passes() -> None:
    net = Network(RESUMES)
    net.b.restart_keys.tickets = (KEY,)
    seen: list[bytes] = []
    net.script = recorded(seen, "IKE_SESSION_RESUME")
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.b.restart_keys.crash = (SECRET,)
    net.b.restart()
    net.gone = set()
    do(net, "a", Liveness())
    net.run(60)  # no token: the peer counts as gone after a while
    request, _ = seen
    message = decode_message(request)
    assert message.header.exchange == ExchangeType.IKE_SESSION_RESUME
    assert message.header.spi_r == bytes(8)
    kinds = {one.notify for one in notifies(request)}
    assert NotifyType.TICKET_OPAQUE in kinds
    assert NotifyType.NAT_DETECTION_SOURCE_IP in kinds
    assert_joined(net)
    assert is_resumed(net, "a")


def test_the_gateway_had_it_still_and_forgets_it_without_a_word() -> None:
    """The network was cut for a while: only the client has given up."""
    net = established(gateway=Options(connection="resumption = true"))
    old = ike_sa(net, "b").spi_r
    net.script = lambda line, nth, data: []
    net.run(30)
    assert "a -> b IKE_SESSION_RESUME request 0" in net.ladder, "in vain, and the ticket is not used by that"
    net.script = lambda line, nth, data: [0.01]
    net.ladder.clear()
    net.run(300)
    assert "a -> b IKE_SESSION_RESUME request 0" in net.ladder
    assert is_resumed(net, "b")
    assert ike_sa(net, "b").spi_r != old
    assert_joined(net)
    assert not any("b -> a INFORMATIONAL request" in line for line in net.ladder[:6])


@pytest.mark.parametrize("keys", [(), (NEXT,)])
def test_a_gateway_whose_keys_are_gone_has_it_set_up_in_full(keys: tuple[TicketKey, ...]) -> None:
    net = established()

    def forget() -> None:
        net.b.restart_keys.tickets = keys

    assert crash(net, forget) == IN_FULL
    assert_joined(net)
    assert not is_resumed(net, "a")


def test_a_key_that_was_replaced_opens_its_tickets_still() -> None:
    net = established()

    def rotate() -> None:
        net.b.restart_keys.tickets = (NEXT, KEY)

    assert crash(net, rotate) == RESUMED
    assert crash(net, lambda: setattr(net.b.restart_keys, "tickets", (NEXT,))) == RESUMED, (
        "by the next ticket"
    )


def reconfigured(net: Network, options: Options) -> Callable[[], object]:
    def change() -> None:
        net.b.config = options.config("b")
        net.b.manager.replace_config(net.b.config, net.now)

    return change


@pytest.mark.parametrize(
    ("options", "comes_up"),
    [
        (replace(RESUMES, connection="resumption = false"), True),
        (replace(RESUMES, secret="another horse", daemon=f"{QUICK}\nold_secret_grace = 0"), False),
        (replace(RESUMES, remote_id="somebody"), False),
        (replace(RESUMES, local_id="another"), False),
        (replace(RESUMES, proposals='["aes256gcm16-prfsha384-x25519"]'), False),
        (replace(RESUMES, remote_addrs="203.0.113.1"), False),
        (replace(RESUMES, connection=RESUMES.connection + "\nrekey_time = 5000"), True),
    ],
)
def test_the_configuration_of_now_decides(options: Options, comes_up: bool) -> None:
    """Whom the gateway would not let in any more does not come in by a ticket."""
    net = established()
    ladder = crash(net, reconfigured(net, options), seconds=0.5)
    up = bool(net.b.manager.list_sas(net.now)) and ike_sa(net, "b").established
    assert up is comes_up
    if options.connection == RESUMES.connection + "\nrekey_time = 5000":
        assert ladder == RESUMED
    else:
        assert ladder[:3] == IN_FULL[:3]


def test_an_expired_ticket_is_refused() -> None:
    net = established()
    assert crash(net, lambda: setattr(net.b.restart_keys, "epoch", 1_700_003_601.0)) == IN_FULL


def test_a_new_ticket_is_asked_for_in_time() -> None:
    net = established(
        replace(RESUMES, daemon=f"{QUICK}\nticket_lifetime = 60", connection="resumption = true")
    )
    net.run(3600)
    assert net.ladder.count("a -> b INFORMATIONAL request 2") == 1
    assert len(net.ladder) >= 2 * (3600 // 31)
    net.b.restart()
    net.ladder.clear()
    do(net, "a", Liveness())
    net.run(1)
    assert net.ladder[2:] == RESUMED


@pytest.mark.parametrize("who", ["a", "b"])
def test_after_a_rekey_the_new_one_has_a_ticket_and_the_former_one_is_worth_nothing(who: str) -> None:
    net = established()
    old = net.a.manager.ike_sas[0].resumption
    assert old.renew_at is not None
    net.command(who, Rekey(ike="ab"))
    net.run(2)
    net.b.restart()
    net.ladder.clear()
    do(net, "a", Liveness())
    net.run(1)
    assert net.ladder[2:] == RESUMED


@pytest.mark.parametrize("who", ["a", "b"])
def test_what_was_deleted_is_not_resumed(who: str) -> None:
    net = established(replace(RESUMES, child=""))
    net.command(who, Terminate(ike="ab"))
    net.run(1)
    net.ladder.clear()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert net.ladder[0] == "a -> b IKE_SA_INIT request 0"


def test_a_reauthentication_is_one() -> None:
    net = established()
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(5)
    assert net.ladder[0] == "a -> b IKE_SA_INIT request 0"
    assert not is_resumed(net, "a")


def test_it_is_not_resumed_for_ever() -> None:
    """After a day the peer has to prove who it is, by its secret."""
    net = established(replace(RESUMES, daemon=f"{QUICK}\nticket_lifetime = 86400"))
    resumed = 0
    for _ in range(30):
        net.run(3600)
        net.b.restart()
        net.ladder.clear()
        do(net, "a", Liveness())
        net.run(2)
        assert_joined(net)
        if not is_resumed(net, "b"):
            break
        resumed += 1
    assert 22 <= resumed <= 24


@pytest.mark.parametrize("message", RESUMED)
@pytest.mark.parametrize("twice", [False, True])
def test_a_message_is_lost_or_comes_twice(message: str, twice: bool) -> None:
    net = established()
    net.b.restart()
    net.ladder.clear()
    net.script = duplicate(message) if twice else lose(message)
    do(net, "a", Liveness())
    net.run(20)
    assert_joined(net)
    assert is_resumed(net, "b")


def test_a_cookie_is_asked_for() -> None:
    wary = f"{QUICK}\ncookie_threshold = 1\ncookie_threshold_ip = 1"
    net = established(gateway=replace(RESUMES, daemon=wary))
    net.b.restart()
    for number in range(3):  # half-open ones, of others
        other = Network(Options(), seed=f"other {number}")
        other.command("a", Initiate("ab", "net"))
        (sa,) = other.a.manager.ike_sas
        net.inject(
            "b", replace(sa.path, local=sa.path.remote, remote=sa.path.local), sa.connecting.init.request
        )
    net.ladder.clear()
    do(net, "a", Liveness())
    net.run(1)
    assert net.ladder[2:] == [*RESUMED[:2], *RESUMED]
    assert is_resumed(net, "a")


def test_a_gateway_that_does_not_grant_any_is_a_gateway_all_the_same() -> None:
    net = established(gateway=replace(RESUMES, connection=""))
    assert crash(net)[0] == "a -> b IKE_SA_INIT request 0"
    assert_joined(net)


PPK = '[secrets.ppk-1]\nids = ["ppk1"]\nsecret = "0x{}"\n'.format("11" * 32)


def test_what_a_postquantum_preshared_key_has_made_safe_stays_so() -> None:
    net = established(replace(RESUMES, connection=f'{RESUMES.connection}\nppk_id = "ppk1"', more=PPK))
    assert crash(net) == RESUMED
    for site in (net.a, net.b):
        (sa,) = site.manager.list_sas(net.now)
        assert (sa.resumed, sa.ppk) == (True, True)
    new = ike_sa(net, "b")
    assert new.keeps_safe


def test_a_ticket_is_no_way_around_a_key_that_is_required_now() -> None:
    net = established(replace(RESUMES, more=PPK))
    required = replace(RESUMES, connection=f"{RESUMES.connection}\nppk_required = true", more=PPK)
    assert crash(net, reconfigured(net, required), seconds=0.5)[:3] == IN_FULL[:3]
    assert not any(sa.resumed for sa in net.b.manager.list_sas(net.now))


def test_one_with_ml_kem_is_as_safe_as_before() -> None:
    net = established(replace(RESUMES, proposals='["aes256gcm16-prfsha384-x25519-ke1_mlkem768"]'))
    assert crash(net) == RESUMED
    for site in (net.a, net.b):
        (sa,) = site.manager.list_sas(net.now)
        assert (sa.resumed, sa.quantum_safe) == (True, True)


def held(net: Network) -> ClientTicket:
    """A copy of the ticket that a has."""
    sa = ike_sa(net, "a")
    ticket = sa.registry.tickets.held(sa.connection, sa.ike_id)
    assert ticket is not None
    return replace(ticket, sk_d=Secret(ticket.sk_d.expose()))


def ask(net: Network, found: dict[bytes, ClientTicket]) -> int:
    """Ask for another ticket; how many are found by now."""
    do(net, "a", SendNotify(NotifyPayload(NotifyType.TICKET_REQUEST)))
    net.run(0.1)
    found[held(net).data] = held(net)
    return len(found)


def test_a_client_that_asks_for_many_tickets_has_none_left_that_is_worth_anything() -> None:
    """Once it is terminated."""
    net = established(replace(RESUMES, connection=ALONE, child=""))
    found = {held(net).data: held(net)}
    assert max(ask(net, found) for _ in range(2 * MOST_GRANTED)) == MOST_GRANTED
    tickets = ike_sa(net, "a").registry.tickets
    for ticket in found.values():
        net.command("b", Terminate(ike="ab"))
        net.run(1)
        net.ladder.clear()
        tickets.put(ticket)
        net.command("a", Initiate("ab", "net"))
        net.run(1)
        assert net.ladder[0] == IN_FULL[0] and "a -> b IKE_SA_INIT request 0" in net.ladder
        assert not is_resumed(net, "b")


def test_a_client_gets_further_tickets_as_the_first_ones_expire() -> None:
    net = established(replace(RESUMES, connection=ALONE, child="", daemon=f"{QUICK}\nticket_lifetime = 60"))
    found = {held(net).data: held(net)}
    assert max(ask(net, found) for _ in range(2 * MOST_GRANTED)) == MOST_GRANTED
    net.run(61)
    assert ask(net, found) == MOST_GRANTED + 1
