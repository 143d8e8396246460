"""The metrics of a daemon with a real machine, read by prometheus_client's own parser."""

from __future__ import annotations

import re
from dataclasses import replace

from esp.packet.drop_reasons import Drop
from ikepy import __version__
from ikepy.daemon.control.snapshot import Snapshot
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.effects.past_traffic import PastTraffic, Traffic
from ikepy.daemon.http import metrics, strongswan_names
from ikepy.daemon.http.pages import exposition
from ikepy.daemon.http.tally import Tally
from ikepy.sa.api.commands import Rekey
from tests.exchange.network import Network
from tests.scraped import Scraped
from tests.unit.daemon.control import test_take_snapshot as bed
from tests.unit.daemon.control.test_take_snapshot import FakeWorkers
from tests.unit.daemon.http.everything import families

net, sources, workers = bed.net, bed.sources, bed.workers  # fixtures
CHILD = {"connection": "ab", "child": "net"}
SA = {"ike_name": "ab", "ike_id": "1"}
CHILD_SA = {**SA, "child_name": "net", "child_id": "1"}
SELECTED = {**CHILD_SA, "local_ts": "0.0.0.0/0", "remote_ts": "0.0.0.0/0"}


def scrape(sources: Sources, tally: Tally | None = None, *, strongswan: bool = False) -> Scraped:
    snapshot = take(sources, metrics.SECTIONS)
    facts = metrics.Facts(snapshot, tally or Tally(), True, 0.25, 0.5)
    return Scraped(exposition(facts, strongswan).decode())


def test_the_daemon(sources: Sources) -> None:
    found = scrape(sources)
    assert found.value("ikepy_build_info", version=__version__) == 1
    assert found.value("ikepy_start_time_seconds") == 1.0e9
    assert found.value("ikepy_ready") == 1
    assert found.value("ikepy_event_loop_lag_seconds") == 0.25
    assert found.value("ikepy_scrape_duration_seconds") == 0.5
    assert found.value("ikepy_control_cpu_seconds_total") > 0
    assert found.value("ikepy_control_resident_memory_bytes") > 1 << 20
    assert found.value("ikepy_unserved_total", reason="malformed messages") == 0


def test_reloads(sources: Sources) -> None:
    tally = Tally()
    assert scrape(sources, tally).value("ikepy_config_last_reload_successful") == 1
    tally.reloads["refused"] += 1
    tally.reload_refused = True
    found = scrape(sources, tally)
    assert found.value("ikepy_config_last_reload_successful") == 0
    assert found.value("ikepy_config_reloads_total", outcome="refused") == 1
    assert found.value("ikepy_config_reloads_total", outcome="done") == 0


def test_sas_and_children(sources: Sources) -> None:
    found = scrape(sources)
    assert found.value("ikepy_ike_sas", state="ESTABLISHED") == 1
    assert found.value("ikepy_child_sas", state="INSTALLED") == 1
    assert found.value("ikepy_child_up", **CHILD) == 1
    assert found.value("ikepy_child_up", connection="ab", child="second") == 0
    assert found.value("ikepy_child_failed_tries", **CHILD) == 0
    assert found.value("ikepy_children_down") == 0
    assert "ikepy_child_down" not in found  # neither child has `start`


def test_what_is_configured_and_down(sources: Sources) -> None:
    config = sources.machine.config
    connection = config.connections["ab"]
    children = {
        name: one.model_copy(update={"start_action": "start"}) for name, one in connection.children.items()
    }
    connections = {"ab": connection.model_copy(update={"children": children})}
    sources.machine.replace_config(config.model_copy(update={"connections": connections}), 100.0)
    found = scrape(sources)
    assert found.value("ikepy_children_down") == 1
    assert found.value("ikepy_child_down", **CHILD) == 0
    assert found.value("ikepy_child_down", connection="ab", child="second") == 1


def test_what_all_have_is_there_before_the_first_event(sources: Sources) -> None:
    found = scrape(sources)
    assert found.value("ikepy_ike_handshakes_total", connection="ab", outcome="established") == 0
    assert found.value("ikepy_ike_retransmissions_total", connection="ab") == 0
    assert found.value("ikepy_child_rekeys_total", **CHILD, outcome="done") == 0
    tally = Tally()
    tally.handshakes["ab", "timeout"] += 3
    tally.handshakes["", "no_proposal_chosen"] += 2
    tally.handshakes["gone", "timeout"] += 1
    found = scrape(sources, tally)
    assert found.value("ikepy_ike_handshakes_total", connection="ab", outcome="timeout") == 3
    assert found.value("ikepy_ike_handshakes_total", connection="", outcome="no_proposal_chosen") == 2
    assert found.find("ikepy_ike_handshakes_total", connection="gone", outcome="timeout") is None


def test_traffic_goes_on_over_rekeys(sources: Sources, workers: FakeWorkers) -> None:
    past = PastTraffic(workers.counters)
    sources = replace(sources, past_traffic=lambda: past.sums)
    sources.children.removing = past.note
    (child,) = sources.children
    workers.block.count_in(child.counter, 7, 1000, 1.0e9)
    workers.block.count_sealed(child.counter, 3, 500, 3, 1.0e9)
    workers.block.drop(Drop.REPLAY, 2, child.counter)
    assert scrape(sources).value("ikepy_child_received_bytes_total", **CHILD) == 1000

    sources.children.remove(child.child_id)
    new = sources.children.add(99, child.device, child.suite, child.name)
    assert new.counter == child.counter  # which the worker has not zeroed yet
    assert scrape(sources).value("ikepy_child_received_bytes_total", **CHILD) == 1000
    workers.block.clear(new.counter, new.child_id)
    workers.block.count_in(new.counter, 1, 100, 1.0e9)
    found = scrape(sources)
    assert found.value("ikepy_child_received_bytes_total", **CHILD) == 1100
    assert found.value("ikepy_child_received_packets_total", **CHILD) == 8
    assert found.value("ikepy_child_sent_bytes_total", **CHILD) == 500
    assert found.value("ikepy_child_sent_packets_total", **CHILD) == 3
    assert found.value("ikepy_child_drops_total", **CHILD, reason="replay") == 2


def test_a_connection_that_is_gone_has_no_series(sources: Sources) -> None:
    found = scrape(replace(sources, past_traffic=lambda: {("gone", "net"): Traffic(1, 1, 1, 1)}))
    assert found.find("ikepy_child_sent_bytes_total", connection="gone", child="net") is None
    assert found.value("ikepy_child_sent_bytes_total", connection="ab", child="second") == 0


def test_devices_and_workers(sources: Sources, workers: FakeWorkers) -> None:
    workers.block.drop(Drop.QUEUE_FULL, 5)
    (device,) = sources.devices
    found = scrape(sources)
    of_device = {"connection": "ab", "device": device.name}
    assert found.value("ikepy_device_carrier", **of_device) == 1
    assert found.value("ikepy_device_mtu_bytes", **of_device) == device.mtu
    assert found.value("ikepy_device_problems", **of_device) == 0
    assert found.value("ikepy_worker_up", worker="0") == 1
    assert found.value("ikepy_worker_up", worker="1") == 0
    assert found.value("ikepy_worker_restarts_total", worker="0") == 2
    assert found.value("ikepy_worker_cpu_seconds_total", worker="0") > 0
    assert found.value("ikepy_worker_resident_memory_bytes", worker="0") > 1 << 20
    assert found.value("ikepy_worker_drops_total", worker="0", reason="queue_full") == 5


def test_names_follow_the_conventions() -> None:
    """prometheus.io/docs/practices/naming: our prefix, small letters, counters alone end in _total."""
    names = [family.name for family in families()]
    assert len(set(names)) == len(names) > 60
    for family in families():
        assert family.documentation
        assert family.samples, family.name
        if family.name.startswith("strongswan"):  # these are another project's
            continue
        assert re.fullmatch(r"ikepy(_[a-z]+)+", family.name)
        sampled = family.name if family.type == "gauge" else f"{family.name}_total"
        assert {sample.name for sample in family.samples} == {sampled}


def test_names_of_the_exporter_only_if_asked_for(sources: Sources) -> None:
    assert not {name for name in scrape(sources).names if name.startswith("strongswan")}


def test_names_of_the_exporter(net: Network, sources: Sources, workers: FakeWorkers) -> None:
    workers.block.count_in(0, 7, 1000, net.now - 5)
    found = scrape(sources, strongswan=True)
    assert found.value("strongswan_ike_count") == 1
    assert found.value("strongswan_crt_count") == 0
    assert found.value("strongswan_ike_status", **SA) == 1
    assert found.value("strongswan_ike_initiator", **SA) == 1
    assert found.value("strongswan_ike_established_seconds", **SA) == 99
    assert found.value("strongswan_ike_rekey_seconds", **SA) > 0
    assert found.value("strongswan_ike_reauth_seconds", **SA) == 0
    assert found.value("strongswan_ike_children_size", **SA) == 1
    algorithms = {"algorithm": "AES_GCM_16", "dh_group": "CURVE_25519"}
    assert found.value("strongswan_ike_encryption_key_size", **SA, **algorithms) == 128
    assert found.value("strongswan_sa_status", **SELECTED) == 0
    assert found.value("strongswan_sa_inbound_bytes", **SELECTED) == 1000
    assert found.value("strongswan_sa_inbound_packets", **SELECTED) == 7
    assert 5 <= found.value("strongswan_sa_last_inbound_seconds", **SELECTED) < 60
    assert found.value("strongswan_sa_last_outbound_seconds", **SELECTED) == 0
    assert found.value("strongswan_sa_lifetime_seconds", **CHILD_SA) > 0
    net.script = lambda line, nth, data: []
    net.command("a", Rekey(child="net"))
    assert scrape(sources, strongswan=True).value("strongswan_sa_status", **SELECTED) == 0


def test_every_listed_name_is_there(sources: Sources) -> None:
    """Those that dashboards read (the exporter's README)."""
    ike = "status established_seconds rekey_seconds reauth_seconds nat_local nat_remote nat_fake nat_any"
    keys = "encryption_key_size integrity_key_size"
    sa = (
        "status encap inbound_bytes inbound_packets last_inbound_seconds outbound_bytes outbound_packets "
        "last_outbound_seconds established_seconds rekey_seconds lifetime_seconds"
    )
    listed = {f"strongswan_ike_{name}" for name in f"count children_size {ike} {keys}".split()}
    listed |= {f"strongswan_sa_{name}" for name in f"{sa} {keys}".split()}
    found = scrape(sources, strongswan=True)
    assert listed <= {name for name in found.names if name in found}


def test_without_an_sa(sources: Sources) -> None:
    snapshot = Snapshot(at=0.0, unix_at=0.0, daemon=take(sources, ()).daemon)
    assert sum(len(family.samples) for family in strongswan_names.families(snapshot)) == 2
    facts = metrics.Facts(snapshot, Tally(), True, 0, 0)
    assert Scraped(exposition(facts, True).decode()).value("ikepy_ike_sas", state="ESTABLISHED") == 0
