"""strongSwan's own Python package `vici` as the client of a real daemon: each command, each event."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import vici
from vici.exception import CommandException, EventUnknownException, SessionException

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

PATIENCE = 20.0  # seconds
Event = tuple[str, dict[str, Any]]
NOTHING_OF: dict[str, dict[str, list[str]]] = {
    "get_conns": {"conns": []},
    "get_keys": {"keys": []},
    "get_shared": {"keys": []},
    "get_authorities": {"authorities": []},
    "get_pools": {},
}


@contextlib.contextmanager
def session(pair: Pair) -> Iterator[vici.Session]:
    """A client of the left daemon."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(pair.left.socket))
        yield vici.Session(sock)


@pytest.fixture
def running(pair: Pair) -> Pair:
    for gateway, own, peer in ((pair.left, LEFT, RIGHT), (pair.right, RIGHT, LEFT)):
        gateway.start(configuration(own, peer))
    return pair


def text(value: object) -> Any:
    """What the package gives as bytes, as text."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {key: text(one) for key, one in value.items()}
    return [text(one) for one in value] if isinstance(value, list) else value


def drain(stream: Iterator[object]) -> list[dict[str, Any]]:
    return [text(one) for one in stream]


def sas(client: vici.Session, **filters: str) -> list[dict[str, Any]]:
    return [section for event in drain(client.list_sas(filters)) for section in event.values()]


def test_an_sa_comes_and_goes(running: Pair) -> None:
    with session(running) as client:
        lines = drain(client.initiate({"child": "net", "ike": "tunnel", "timeout": "15000"}))
        assert any("IKE_SA established" in line["msg"] for line in lines)
        assert all(line["ikesa-name"] == "tunnel" for line in lines)
        assert ping(running.left.namespace, LEFT, RIGHT)
        (sa,) = sas(client)
        assert (sa["state"], sa["local-id"], sa["initiator"]) == ("ESTABLISHED", "gwa", "yes")
        (child,) = sa["child-sas"].values()
        assert (child["name"], child["state"]) == ("net", "INSTALLED")
        assert int(child["packets-in"]) >= 3
        assert sas(client, ike="another") == [] == sas(client, child="another")
        assert len(sas(client, **{"ike-id": sa["uniqueid"], "child-id": child["uniqueid"]})) == 1
        with pytest.raises(CommandException, match="no matching SAs"):
            drain(client.terminate({"child-id": "99"}))
        drain(client.terminate({"ike-id": sa["uniqueid"], "timeout": "15000"}))
        assert sas(client) == []


def test_at_once_and_quietly(running: Pair) -> None:
    """A timeout of -1 neither waits nor shows lines; a loglevel of 0 shows what is wrong alone."""
    with session(running) as client:
        assert drain(client.initiate({"child": "net", "timeout": "-1"})) == []
        wait_until(lambda: running.left.children(), "the child is up")
        assert drain(client.terminate({"ike": "tunnel", "loglevel": "0"})) == []


def test_what_is_told(running: Pair) -> None:
    with session(running) as client:
        assert text(client.version())["daemon"] == "ikepy"
        assert text(client.stats())["ikesas"] == {"total": "0", "half-open": "0"}
        (connection,) = drain(client.list_conns())
        assert connection["tunnel"]["local-1"]["id"] == "gwa"
        assert "s3cr3t" not in str(connection)
        assert drain(client.list_conns({"ike": "another"})) == []
        assert drain(client.list_certs()) == [] == drain(client.list_authorities())
        assert "AES_GCM_16" in text(client.get_algorithms())["aead"]
        for method, answer in NOTHING_OF.items():
            assert text(getattr(client, method)()) == answer


def test_policies(running: Pair) -> None:
    with session(running) as client:
        assert drain(client.list_policies({"trap": "yes"})) == []
        client.install({"child": "net", "ike": "tunnel"})
        (policy,) = drain(client.list_policies({"trap": "yes"}))
        assert policy["tunnel/net"]["remote-ts"] == ["0.0.0.0/0", "::/0"]
        assert drain(client.list_policies({"drop": "yes"})) == []
        assert ping(running.left.namespace, LEFT, RIGHT, "-w", "10")
        client.uninstall({"child": "net"})
        assert drain(client.list_policies({"trap": "yes"})) == []
        assert len(sas(client)) == 1  # its SA stays
        with pytest.raises(CommandException, match="policy 'net' not found"):
            client.uninstall({"child": "net"})


def test_settings_are_read_again(running: Pair) -> None:
    own = configuration(LEFT, RIGHT)
    with session(running) as client:
        client.reload_settings()
        assert "DEBUG" not in running.left.log()
        running.left.rewrite(f'{own}[daemon]\nlog_level = "debug"\n')
        client.reload_settings()
        drain(client.initiate({"child": "net"}))
        wait_until(lambda: "DEBUG" in running.left.log(), "the log is at its fullest")
        running.left.rewrite(f'{own}[daemon]\nlog_level = "loud"\n')
        with pytest.raises(CommandException, match=r"daemon\.log_level"):
            client.reload_settings()


STRONGSWANS = f"""connections {{ site {{
  local_addrs = {LEFT.outer}
  remote_addrs = {RIGHT.outer}
  local {{ auth = psk
          id = {LEFT.identity} }}
  remote {{ auth = psk
           id = {RIGHT.identity} }}
  children {{ net {{ remote_ts = {RIGHT.networks[0]} }} }}
}} }}
secrets {{ ike-site {{ secret = "LzU0vX3nRkq9TfWm7cYh" }} }}
"""


def test_settings_are_read_again_from_strongswans_file(pair: Pair) -> None:
    pair.left.start(STRONGSWANS)
    with session(pair) as client:
        client.reload_settings()
        pair.left.rewrite(f"{STRONGSWANS}daemon {{ log_level = debug }}")
        client.reload_settings()
        assert client.version()
        pair.left.rewrite(f"{STRONGSWANS}daemon {{ log_level = loud }}")
        with pytest.raises(CommandException, match=r"daemon\.log_level"):
            client.reload_settings()


def test_counters(running: Pair) -> None:
    with session(running) as client:
        drain(client.initiate({"child": "net"}))
        counted = text(client.get_counters({"name": "tunnel"}))["counters"]["tunnel"]
        assert counted["ike-auth-out-req"] == "1" == counted["ike-auth-in-resp"]
        assert text(client.get_counters())["counters"][""]["ike-init-out-req"] == "1"
        assert list(text(client.get_counters({"all": "yes"}))["counters"]) == ["tunnel"]
        with pytest.raises(CommandException, match="no counters found"):
            client.get_counters({"name": "another"})
        client.reset_counters({"name": "tunnel"})
        client.reset_counters()
        assert text(client.get_counters())["counters"][""]["ike-init-out-req"] == "0"
        assert text(client.get_counters({"all": "yes"}))["counters"] == {}


def test_what_is_not_there(running: Pair) -> None:
    with session(running) as client:
        for command in ("no-such-command", ""):
            with pytest.raises(SessionException):
                client.request(command)
        with pytest.raises(EventUnknownException):
            list(client.listen(["no-such-event"]))
        with pytest.raises(CommandException, match="no matching SAs to redirect found"):
            client.redirect({"ike": "another", "gateway": "192.0.2.9"})
        with pytest.raises(CommandException, match="there is no argument 'chlid'"):
            drain(client.initiate({"chlid": "net"}))
        assert text(client.version())["daemon"] == "ikepy"  # and it is served on


class Listener:
    """A second client, which is registered for events."""

    def __init__(self, client: vici.Session, *events: str) -> None:
        """Registered when this returns: the package registers when the stream is asked for the first item."""
        self._stream = client.listen(list(events), timeout=0.01)
        assert next(self._stream) == (None, None)
        self.events: list[Event] = []

    def close(self) -> None:
        """Unregister."""
        self._stream.close()

    def until(self, wanted: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is wanted."""
        end = time.monotonic() + PATIENCE
        for name, message in self._stream:
            if name is None:
                assert time.monotonic() < end, f"nothing came after {self.events}"
                continue
            event: Event = (name.decode(), text(message))
            self.events.append(event)
            if wanted(*event):
                return event[1]
        raise AssertionError("the stream has ended")


@contextlib.contextmanager
def listening(pair: Pair, *events: str) -> Iterator[Listener]:
    """A second client, registered for these events while the block runs."""
    with session(pair) as client, contextlib.closing(Listener(client, *events)) as listener:
        yield listener


EVENTS = ("ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "log", "alert")


def test_the_events_of_an_sa(running: Pair) -> None:
    with listening(running, *EVENTS) as listener, session(running) as client:
        client_lines = client.initiate({"child": "net", "timeout": "-1"})
        assert drain(client_lines) == []
        up = listener.until(lambda name, _: name == "ike-updown")
        assert up["up"] == "yes" and up["tunnel"]["state"] == "ESTABLISHED"
        assert "child-sas" not in up["tunnel"]
        child = listener.until(lambda name, _: name == "child-updown")
        assert child["up"] == "yes"
        (section,) = child["tunnel"]["child-sas"].values()
        assert section["name"] == "net"
        assert ping(running.left.namespace, LEFT, RIGHT)

        client.rekey({"child": "net"})
        rekeyed = listener.until(lambda name, _: name == "child-rekey")
        (both,) = rekeyed["tunnel"]["child-sas"].values()
        assert both["old"]["uniqueid"] == section["uniqueid"] != both["new"]["uniqueid"]
        assert int(both["old"]["packets-in"]) >= 3
        client.rekey({"ike": "tunnel"})
        ike = listener.until(lambda name, _: name == "ike-rekey")
        assert ike["tunnel"]["old"]["uniqueid"] == up["tunnel"]["uniqueid"]
        assert ping(running.left.namespace, LEFT, RIGHT)

        drain(client.terminate({"ike": "tunnel"}))
        gone = listener.until(lambda name, _: name == "child-updown")
        assert "up" not in gone
        (last,) = gone["tunnel"]["child-sas"].values()
        assert int(last["packets-in"]) >= 3  # what it has carried, to its end
        names = {name for name, _ in listener.events}
        assert names == {"ike-updown", "ike-rekey", "child-updown", "child-rekey", "log"}
        lines = [message for name, message in listener.events if name == "log"]
        assert any("IKE_SA established" in line["msg"] for line in lines)
        assert all({"group", "level", "thread", "msg"} <= line.keys() for line in lines)


def test_an_ike_sa_that_moves(running: Pair) -> None:
    left = running.left.namespace
    for gateway in running:
        gateway.stop()
    running.right.start(configuration(RIGHT, LEFT, remote="%any"))
    running.left.start(configuration(LEFT, RIGHT).replace('["192.0.2.1"]', '["%any"]'))
    with listening(running, "ike-update") as listener, session(running) as client:
        drain(client.initiate({"child": "net"}))
        left.ip("addr", "add", "192.0.2.7/24", "dev", "eth0")
        left.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
        left.ip("addr", "replace", "192.0.2.7/24", "dev", "eth0")
        moved = listener.until(lambda name, _: name == "ike-update")
        assert moved["tunnel"]["local-host"] == "192.0.2.1"  # where it was
        assert (moved["local-host"], moved["remote-host"]) == ("192.0.2.7", "192.0.2.2")


def test_alerts(running: Pair) -> None:
    running.right.stop()
    running.right.start(configuration(RIGHT, LEFT).replace("s3cr3t", "another"))
    with listening(running, "alert") as listener, session(running) as client:
        with pytest.raises(CommandException, match="establishing CHILD_SA 'net' failed"):
            drain(client.initiate({"child": "net"}))
        alert = listener.until(lambda name, _: name == "alert")
        assert alert["type"] == "local-auth-failed"
        assert alert["tunnel"]["remote-host"] == "192.0.2.2"
        assert alert["msg"]
