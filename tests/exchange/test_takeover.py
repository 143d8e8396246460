"""A machine goes on for another one with what that exports, and the peer notices nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ikepy.crypto.secret import Secret
from ikepy.errors import ExportRefusedError, RestoreRefusedError
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Effect, InstallInbound, InstallOutbound, Send
from ikepy.sa.api.esp_state import EspState
from ikepy.sa.api.events import ChildUp, IkeUp
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.takeover import codec
from ikepy.sa.takeover.restore import IV_MARGIN
from ikepy.sa.takeover.values import ExportedIkeSa

from . import test_auth_lifetime, test_followups, test_redirect
from .network import ADDRESS_A, DELAY, DataPlane, Network, Options, Site, assert_joined, lose
from .test_established import TWO_CHILDREN, established, ike_sa

KEY = Secret(bytes(range(32)))
CBC = Options(
    proposals='["aes128-sha256-x25519"]', esp_proposals='["aes256-sha256-esn"]', connection="encap = true"
)
FRAGMENTS = Options(daemon="fragment_size = 576")
NO_MOBIKE = Options(connection="mobike = false")
WIDE = Options(daemon="window_size = 4")


def states(plane: DataPlane, **changes: int) -> dict[int, EspState]:
    """What the worker has got to: a number a child, so that none can be taken for another."""
    return {
        child: EspState(1000 * child, 500 * child, standby=child in plane.standby, **changes)
        for child in plane.inbound
    }


def exported(net: Network, name: str, **changes: int) -> ExportedIkeSa:
    site = net.site(name)
    return site.manager.export(ike_sa(net, name).ike_id, states(site.plane, **changes), net.now)


def take_over(net: Network, name: str, ahead: float = 0.0) -> list[Effect]:
    """A new process, whose clock is `ahead`, goes on for a site; what it did at first."""
    old = net.site(name)
    sealed = codec.seal(exported(net, name), KEY, random.randbytes)
    new = Site(name, old.config, "another process")
    new.restart_keys.crash, new.restart_keys.tickets = old.restart_keys.crash, old.restart_keys.tickets
    new.restart_keys.epoch = old.restart_keys.epoch - ahead  # the time of day is the same
    setattr(net, name, new)
    net.now += ahead
    return net.run_effects(name, new.manager.restore(codec.unseal(sealed, KEY), net.now))


@pytest.mark.parametrize("options", [TWO_CHILDREN, CBC, FRAGMENTS, WIDE, NO_MOBIKE])
@pytest.mark.parametrize("who", ["a", "b"])
def test_both_ends_go_on(who: str, options: Options) -> None:
    """Rekeys, a further exchange and the delete, begun by either end."""
    net = established(options)
    take_over(net, who)
    assert_joined(net)
    for number, other in enumerate(("a", "b"), 10):
        net.command(other, Rekey(child="net", ticket=number))
        net.run(10)
        assert net.site(other).outcomes[number].ok
        assert_joined(net)
        net.command(other, Rekey(ike="ab", ticket=number + 10))
        net.run(10)
        assert net.site(other).outcomes[number + 10].ok
        assert_joined(net)
    net.command(who, Terminate(ike="ab", ticket=30))
    net.run()
    assert net.a.manager.idle
    assert net.b.manager.idle


def test_every_inbound_sa_before_the_first_outbound_one() -> None:
    net = established(TWO_CHILDREN)
    net.command("a", Initiate("ab", "second", ticket=2))
    net.run()
    effects = take_over(net, "a")
    installed = [type(effect) for effect in effects if isinstance(effect, InstallInbound | InstallOutbound)]
    assert installed == [InstallInbound, InstallInbound, InstallOutbound, InstallOutbound]
    assert_joined(net, 2)
    assert [type(event) for event in net.a.events] == [IkeUp, ChildUp, ChildUp]


def test_sequence_numbers_go_on() -> None:
    net = established()
    into, out = take_over(net, "a")[:2]
    assert isinstance(into, InstallInbound)
    assert isinstance(out, InstallOutbound)
    assert (into.replay_top, out.last_sequence) == (500, 1000)


def test_a_standby_sa_goes_on_standing_by() -> None:
    net = established()
    (child_id,) = net.a.plane.outbound
    net.a.plane.standby.add(child_id)
    take_over(net, "a")
    assert net.a.plane.standby == set(net.a.plane.outbound)


@pytest.mark.parametrize("options", [Options(), CBC])
def test_no_iv_comes_twice(options: Options) -> None:
    """Even if the exporting machine goes on though it should not: the peer answers either."""
    net = established(options)
    seen: list[bytes] = []
    net.script = lambda line, nth, data: seen.append(data[32:40] + data[:4]) or [0.01]  # type: ignore[func-returns-value]
    old = net.a
    take_over(net, "a")
    for site in (old, net.a, old):
        net.run_effects("a", site.manager.request(Rekey(child="net", ticket=7), net.now))
        site.outcomes.clear()
    ours = [iv for iv in seen if iv[8:] == ike_sa(net, "a").spi_i[:4]]
    assert len(set(ours)) == len(ours) >= 2


def test_ivs_begin_beyond_all_that_the_exporting_machine_can_reach() -> None:
    net = established()
    before = exported(net, "a").keys.next_iv
    take_over(net, "a")
    after = exported(net, "a").keys.next_iv
    assert before is not None
    assert after == before + IV_MARGIN


def test_a_request_that_was_answered_before_is_answered_alike() -> None:
    """The peer repeats it, as it has not seen the response (RFC 7296 2.1)."""
    net = established()
    net.command("a", Rekey(child="net", ticket=5))
    net.run(10)
    last = ike_sa(net, "b").last_answered
    assert last is not None
    request, reply = last
    take_over(net, "b")
    sent = net.inject("b", ike_sa(net, "b").path, request)
    assert [effect.data for effect in sent if isinstance(effect, Send)] == list(reply)


def test_times_are_of_the_new_clock() -> None:
    net = established(Options(connection="rekey_time = 1000\nrand_time = 0\ndpd_delay = 30"))
    net.run(10)
    before = ike_sa(net, "a")
    rekey_in, child_rekey_in = before.lifetime.rekey_at, _child(before).lifetime.rekey_at
    assert rekey_in and child_rekey_in and before.established_at
    age = net.now - before.established_at
    rekey_in, child_rekey_in = rekey_in - net.now, child_rekey_in - net.now
    net.b.manager = Site("b", net.b.config, "unused").manager  # its clock would jump as well
    take_over(net, "a", ahead=1_000_000.0)
    after = ike_sa(net, "a")
    assert after.lifetime.rekey_at == pytest.approx(net.now + rekey_in)
    assert _child(after).lifetime.rekey_at == pytest.approx(net.now + child_rekey_in)
    assert after.established_at == pytest.approx(net.now - age)
    assert net.a.manager.deadline is not None
    assert net.a.manager.deadline == pytest.approx(net.now + 30 - 10, abs=2.5)


def test_what_was_carried_counts() -> None:
    net = established(Options(child="rekey_bytes = 1000\nrand_bytes = 0\nlife_bytes = 3000"))
    value = exported(net, "a", octets=900)
    assert [(c.bytes_left.rekey, c.bytes_left.hard) for c in value.children] == [(100, 2100)]
    value = exported(net, "a", octets=5000)
    assert [(c.bytes_left.rekey, c.bytes_left.hard) for c in value.children] == [(1, 1)]  # 0 is no limit


def test_a_deleted_child_is_received_from_and_no_more() -> None:
    net = established()
    net.command("a", Rekey(child="net", ticket=5))
    net.run(0.5)
    assert sorted(c.state.value for c in ike_sa(net, "b").children.values()) == ["DELETED", "INSTALLED"]
    effects = take_over(net, "b")
    assert [isinstance(e, InstallInbound) for e in effects[:3]] == [True, True, False]
    assert len(net.b.plane.outbound) == 1
    net.run(30)
    assert len(net.b.plane.inbound) == 1
    assert_joined(net)


def test_secrets_are_in_no_text() -> None:
    net = established()
    value = exported(net, "a")
    keys = [value.keys.sk_d, value.keys.sk_ei, value.children[0].keys_in, value.children[0].keys_out]
    for key in keys:
        assert key.expose().hex() not in repr(value)
        assert repr(key.expose())[2:-1] not in repr(value)
        assert key.expose() not in codec.seal(value, KEY, random.randbytes)


def test_removed_children_leave_no_keys() -> None:
    net = established()
    child = _child(ike_sa(net, "a"))
    net.command("a", Terminate(child="net", ticket=9))
    net.run()
    assert not net.a.plane.inbound
    for key in (child.keys_in, child.keys_out):
        with pytest.raises(Exception, match="wiped"):
            key.expose()


def _child(sa: IkeSa) -> ChildSa:
    (child,) = sa.children.values()
    return child


# -- what can't be exported ------------------------------------------------------------------------


def test_a_half_open_ike_sa_is_refused() -> None:
    net = Network()
    net.script = lose("b -> a IKE_AUTH response 1", times=9)
    net.command("a", Initiate("ab", "net"))
    net.run(0.5)
    with pytest.raises(ExportRefusedError, match="CONNECTING"):
        exported(net, "a")


@pytest.mark.parametrize("command", [Rekey(child="net"), Rekey(ike="ab"), Terminate(child="net")])
def test_an_exchange_under_way_is_refused_until_it_is_over(command: Rekey | Terminate) -> None:
    net = established()
    net.command("a", command)
    with pytest.raises(ExportRefusedError, match="under way"):
        exported(net, "a")
    net.run(10)
    newest = net.a.manager.list_sas(net.now)[-1].ike_id
    assert net.a.manager.export(newest, states(net.a.plane), net.now)


@pytest.mark.parametrize("command", [Rekey(child="net"), Rekey(ike="ab"), Initiate("ab", "second")])
def test_an_exchange_that_the_peer_has_not_gone_on_with_is_refused(command: Rekey | Initiate) -> None:
    """Of additional key exchanges another process has no secrets (RFC 9370 2.2.4)."""
    net = test_followups.established()
    net.script = lambda line, nth, data: [] if line.startswith("a -> b IKE_FOLLOWUP_KE") else [DELAY]
    net.command("a", command)
    net.run(1)
    with pytest.raises(ExportRefusedError, match="under way"):
        exported(net, "b")
    net.script = lambda line, nth, data: [DELAY]
    net.run(30)
    newest = net.b.manager.list_sas(net.now)[-1].ike_id
    assert net.b.manager.export(newest, states(net.b.plane), net.now)


def test_a_client_that_follows_redirects_follows_those_of_the_new_process() -> None:
    net = test_redirect.set_up(test_redirect.CLIENT, test_redirect.SERVES)
    take_over(net, "b")
    assert ike_sa(net, "b").redirection.followed_by_peer


def test_an_ike_sa_that_is_being_reauthenticated_is_refused() -> None:
    net = established(Options(connection="reauth_time = 600\nrand_time = 0"), Options())
    net.script = lose("a -> b IKE_SA_INIT request 0", times=9)
    reauth_at = ike_sa(net, "a").reauth_at
    assert reauth_at is not None
    net.run(reauth_at - net.now + 1)
    with pytest.raises(ExportRefusedError, match="is being reauthenticated"):
        exported(net, "a")


def test_an_ike_sa_that_ends_is_refused() -> None:
    net = established()
    net.script = lose("b -> a INFORMATIONAL response 2", times=9)
    net.command("a", Terminate(ike="ab"))
    with pytest.raises(ExportRefusedError, match="is DELETING"):
        exported(net, "a")


def test_a_rekeyed_child_is_refused_until_the_peer_deletes_it() -> None:
    net = established()
    net.script = lose("a -> b INFORMATIONAL request 3")
    net.command("a", Rekey(child="net", ticket=5))
    net.run(0.5)
    with pytest.raises(ExportRefusedError, match="REKEYED"):
        exported(net, "b")


def test_a_child_without_its_workers_state_is_refused() -> None:
    net = established()
    with pytest.raises(ExportRefusedError, match="state of child net #1 is missing"):
        net.a.manager.export(ike_sa(net, "a").ike_id, {}, net.now)


def test_an_unknown_ike_sa_is_refused() -> None:
    with pytest.raises(ExportRefusedError, match="no IKE_SA #77"):
        Network().a.manager.export(77, {}, 0.0)


# -- what can't be restored ------------------------------------------------------------------------


def refused(net: Network, options: Options, value: ExportedIkeSa, why: str) -> None:
    """A site of these options refuses it, and is as before."""
    site = Site("a", options.config("a"), "another process")
    with pytest.raises(RestoreRefusedError, match=why):
        site.manager.restore(value, net.now)
    assert site.manager.idle
    assert site.manager.deadline is None


def test_a_configuration_that_does_not_permit_it() -> None:
    net = established()
    value = exported(net, "a")
    refused(net, Options(), replace(value, connection="cd"), "no connection cd")
    refused(net, Options(remote_id="gwc"), value, r"remote.id is gwc, the IKE_SA's is gwb")
    refused(net, Options(local_id="gwc"), value, r"local.id is gwc, the IKE_SA's is gwa")
    other = replace(value, children=(replace(value.children[0], name="other"),))
    refused(net, Options(), other, "no child ab.other")


def test_values_that_do_not_fit_each_other() -> None:
    net = established()
    value = exported(net, "a")
    (child,) = value.children
    for changed, why in (
        (replace(child, keys_in=Secret(bytes(3))), "wrong length"),
        (replace(child, spi_out=4711), "two outbound SPIs"),
        (replace(child, last_sequence=1 << 32), "beyond"),
        (replace(child, replay_top=1 << 32), "beyond"),
    ):
        refused(net, Options(), replace(value, children=(changed,)), why)
    for keys, why in (
        (replace(value.keys, sk_d=Secret(b"short")), "SK_d"),
        (replace(value.keys, sk_ei=Secret(b"short")), "SK_e"),
        (replace(value.keys, next_iv=None), "counter"),
        (replace(value.keys, next_iv=(1 << 64) - 1), "64 bits"),
    ):
        refused(net, Options(), replace(value, keys=keys), why)


def test_an_export_is_restored_once() -> None:
    net = established()
    value = exported(net, "a")
    with pytest.raises(RestoreRefusedError, match="in use here"):
        net.a.manager.restore(value, net.now)
    assert len(net.a.manager.ike_sas) == 1


def test_the_export_outlives_what_it_was_made_of() -> None:
    """The exporting machine ends the IKE_SA, and wipes its keys, before the value is sealed or restored."""
    net = established()
    value = exported(net, "a")
    before = codec.encode(value)
    net.command("a", Terminate(ike="ab", ticket=9))
    net.run()
    assert not net.a.manager.ike_sas
    assert codec.encode(value) == before
    net.a.manager.restore(value, net.now)


def test_an_inbound_spi_that_is_in_use_is_not_taken_again() -> None:
    """By another IKE_SA's child here, or another child of the export; free again, it is no obstacle."""
    net = established()
    value = exported(net, "a")
    (child,) = value.children
    refused(net, Options(), replace(value, children=(child, replace(child))), "inbound SPI .* is in use")
    other = replace(value, spi_i=bytes(7) + b"\1")
    with pytest.raises(RestoreRefusedError, match=f"the inbound SPI {child.spi_in:08x} is in use here"):
        net.a.manager.restore(other, net.now)
    assert len(net.a.manager.ike_sas) == 1
    net.command("a", Terminate(child="net", ticket=9))
    net.run()
    net.a.manager.restore(other, net.now)
    assert len(net.a.manager.ike_sas) == 2


def test_an_ike_spi_of_zero_would_catch_every_new_peer() -> None:
    net = established()
    value = exported(net, "a")
    refused(net, Options(), replace(value, spi_i=bytes(8)), "zero")
    refused(net, Options(), replace(value, spi_r=bytes(8)), "zero")


def test_a_new_process_starts_only_what_is_missing() -> None:
    options = replace(TWO_CHILDREN, child='start_action = "start"')
    net = established(options)
    take_over(net, "a")
    net.ladder.clear()
    net.start()
    net.run()
    assert net.ladder == []
    assert_joined(net)


def test_the_peers_address_is_kept() -> None:
    net = established()
    before = ike_sa(net, "a").path
    take_over(net, "a")
    assert ike_sa(net, "a").path == before
    assert before.local.address == ADDRESS_A


@pytest.mark.parametrize("who", ["a", "b"])
def test_what_is_quantum_safe_stays_so(who: str) -> None:
    """ML-KEM in the set-up, or a postquantum preshared key alone."""
    kem = Options(proposals='["aes128gcm16-prfsha256-x25519-ke1_mlkem768"]')
    ppk = Options(
        connection='ppk_id = "ppk1"\n',
        more='[secrets.ppk-1]\nids = ["ppk1"]\nsecret = "0x' + "11" * 32 + '"\n',
    )
    for options in (kem, ppk):
        net = Network(options)
        net.command("a", Initiate("ab", "net"))
        net.run(1)
        take_over(net, who)
        net.run(1)
        for command in (Rekey(child="net"), Rekey(ike="ab")):
            net.command(who, command)
            net.run(60)
        assert_joined(net)
        for site in (net.a, net.b):
            (sa,) = site.manager.list_sas(net.now)
            assert sa.quantum_safe
            assert [child.quantum_safe for child in sa.children] == [True]
            assert sa.ppk == (options is ppk)


def test_a_session_that_is_granted_for_a_time_ends_as_it_would_have() -> None:
    """Who the user is decides about addresses and uniqueness, too."""
    net, _ = test_auth_lifetime.connect(2000)
    before = ike_sa(net, "b")
    net.a.manager = Site("a", net.a.config, "unused").manager  # it authenticates anew no more
    take_over(net, "b")
    after = ike_sa(net, "b")
    assert (after.eap_id, after.lessee) == ("alice@example.org", before.lessee)
    net.run(1990)
    assert net.b.manager.ike_sas
    net.run(300)
    assert not net.b.manager.ike_sas
