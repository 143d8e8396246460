"""VICI's commands in a whole control process: a fake machine, everything else real."""

from __future__ import annotations

import asyncio
import itertools
import socket
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from vici.protocol import Message, Packet

from ikepy.config.identity import Identity
from ikepy.config.model import SecretEntry
from ikepy.config.sources.config_file import ConfigFile
from ikepy.daemon import log
from ikepy.daemon.log import SUBSYSTEMS
from ikepy.daemon.vici.packets import HEADER
from ikepy.sa.api.commands import Initiate, RedirectClients, Rekey, Terminate
from ikepy.sa.api.effects import Level, Log, Outcome, Send, TargetOutcome
from ikepy.sa.api.log_source import NamedSa
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.path import Path as IkePath
from ikepy.sa.api.snapshot import ChildWait, Waiting
from ikepy.wire.constants import ExchangeType
from tests.unit.daemon.bed import LOOPBACK, Bed, run
from tests.unit.daemon.fakes import ike_info

OK = {"success": "yes"}


class Vici:
    """A client of the bed's VICI socket, registered for some events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, bed: Bed, *events: str) -> Vici:
        client = cls(*await asyncio.open_unix_connection(bed.control))
        for event in events:
            client.send(Packet.register_event(event))
            assert (await client.receive())[0] == Packet.EVENT_CONFIRM
        return client

    async def ask(self, command: str, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The answer, and the events before it; `_` in a name stands for `-`."""
        given = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.send(Packet.request(command, Message.serialize(given)))
        events: list[dict[str, Any]] = []
        while True:
            kind, message = await self.receive()
            if kind != Packet.EVENT:
                assert kind == Packet.CMD_RESPONSE
                return message, events
            events.append(message)

    async def fails(self, command: str, **arguments: Any) -> str:
        answer, _ = await self.ask(command, **arguments)
        assert answer["success"] == "no"
        return str(answer["errmsg"])

    def send(self, packet: bytes) -> None:
        self.writer.write(len(packet).to_bytes(HEADER, "big") + packet)

    async def closed(self) -> bool:
        """Whether the daemon has ended the connection, without another word."""
        try:
            return await self._reader.read() == b""
        except ConnectionError:
            return True

    async def receive(self) -> tuple[int, dict[str, Any]]:
        length = int.from_bytes(await self._reader.readexactly(HEADER), "big")
        parsed = Packet.parse(await self._reader.readexactly(length))
        return parsed.response_type, text(Message.deserialize(parsed.payload))


def text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [text(one) for one in value]
    return {key: text(one) for key, one in value.items()}


def test_initiate_waits_for_its_outcome_and_shows_the_lines(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        lines = [
            Log(Level.INFO, "a #1", "established", sa=NamedSa("a", 1, bytes(8), bytes(8))),
            Log(Level.DEBUG, "a #1", "a detail", sa=NamedSa("a", 1, bytes(8), bytes(8))),
            Log(Level.WARNING, "b #2", "another's", sa=NamedSa("b", 2, bytes(8), bytes(8))),
            Log(Level.WARNING, "a", "something is wrong"),
        ]
        bed.answers = {f"request {Initiate('a', 'net', 1)}": [*lines, Outcome(1, True, "up")]}
        client = await Vici.connect(bed, "control-log")
        answer, events = await client.ask("initiate", child="net", timeout="5000")
        assert answer == OK
        assert [event["msg"] for event in events] == ["established", "a: something is wrong"]
        assert events[0]["ikesa-uniqueid"] == "1" and events[1]["ikesa-name"] == "a"

        bed.answers = {f"request {Initiate('a', 'net', 2)}": [*lines, Outcome(2, True, "up")]}
        _, events = await client.ask("initiate", child="net", loglevel="2")
        assert [event["level"] for event in events] == ["1", "2", "0"]
        bed.answers = {f"request {Initiate('a', 'net', 3)}": [*lines, Outcome(3, True, "up")]}
        at_once = f"request {Initiate('a', 'net', 4)}"
        bed.answers |= {at_once: [*lines, Outcome(4, True, "up")]}
        silent = await Vici.connect(bed)
        assert await silent.ask("initiate", ike="a") == (OK, [])
        assert await client.ask("initiate", ike="a", timeout="-1") == (OK, [])
        for one in (client, silent):
            one.writer.close()

    run(Bed(control), scenario)


def test_outcomes_and_timeouts(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        assert "not established after 50ms" in await client.fails("initiate", child="net", timeout="50")
        assert await client.ask("initiate", child="net", timeout="-1") == (OK, [])
        bed.answers = {"request Initiate": [Outcome(3, False, "the peer refused")]}
        said = "establishing CHILD_SA 'net' failed: the peer refused"
        assert await client.fails("initiate", child="net") == said
        bed.answers = {"request Initiate": [Outcome(4, False, "no address yet")]}
        assert await client.fails("initiate", ike="a", timeout="-1") == (
            "establishing IKE_SA 'a' failed: no address yet"
        )
        client.writer.close()

    run(Bed(control), scenario)


def test_several_sas_say_for_each_what_came_of_it(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        bed.machine.sas = [ike_info(1, 5), ike_info(2, 7)]
        each = TargetOutcome("IKE_SA #1", True, "deleted"), TargetOutcome("IKE_SA #2", False, "no answer")
        bed.answers = {"request Terminate": [Outcome(1, False, "1 of 2 failed", each)]}
        answer, _ = await client.ask("terminate", ike="a")
        assert answer == {
            "success": "no",
            "matches": "2",
            "terminated": "1",
            "ikepy-outcomes": ["IKE_SA #1: deleted", "IKE_SA #2 failed: no answer"],
            "errmsg": "terminating SA failed: 1 of 2 failed",
        }
        bed.answers = {"request Rekey": [Outcome(2, True, "both", each[:1])]}
        answer, _ = await client.ask("rekey", ike="a", timeout="5000")
        assert answer == {**OK, "matches": "2", "ikepy-outcomes": ["IKE_SA #1: deleted"]}
        bed.machine.sas = []
        client.writer.close()

    run(Bed(control), scenario)


def test_terminate_and_rekey_by_criteria(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        bed.machine.sas = [ike_info(1, 5, 6), ike_info(2, 7)]
        name = bed.machine.sas[0].children[0].name
        request = Terminate(child=name, ike_id=1, ticket=1)
        bed.answers = {f"request {request}": [Outcome(1, True, "gone")]}
        answer, _ = await client.ask("terminate", child=name, ike_id="1")
        assert answer == {**OK, "matches": "2", "terminated": "2"}
        request = Terminate(ike="a", force=True, ticket=2)
        bed.answers = {f"request {request}": [Outcome(2, True, "gone")]}
        answer, _ = await client.ask("terminate", ike="a", force="yes")
        assert answer == {**OK, "matches": "2", "terminated": "2"}
        answer, _ = await client.ask("terminate", child_id="7", timeout="-1")
        assert answer == {**OK, "matches": "1", "terminated": "1"}
        assert "not terminated after 20ms" in await client.fails("terminate", ike_id="2", timeout="20")

        answer, _ = await client.ask("rekey", child_id="7")  # as charon's it does not wait
        assert answer == {**OK, "matches": "1"}
        rekey = Rekey(ike_id=2, reauth=True, ticket=6)
        bed.answers = {f"request {rekey}": [Outcome(6, True, "done")]}
        answer, _ = await client.ask("rekey", ike_id="2", reauth="yes", timeout="5000")
        assert answer == {**OK, "matches": "1"}
        assert f"request {rekey}" in bed.machine.calls
        assert "not rekeyed after 20ms" in await client.fails("rekey", ike_id="2", timeout="20")
        bed.answers = {"request Rekey": [Outcome(8, False, "it is being replaced already")]}
        said = "rekeying SA failed: it is being replaced already"
        assert await client.fails("rekey", ike_id="2", timeout="0") == said
        bed.machine.sas = []
        client.writer.close()

    run(Bed(control), scenario)


def test_what_is_not_there_has_charons_words(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        bed.answers = {"request Terminate": [Outcome(1, False, "nothing matches")]}
        assert await client.fails("terminate", ike="x") == "no matching SAs to terminate found"
        assert await client.fails("rekey", ike="x") == "no matching SAs to rekey found"
        assert (await client.fails("initiate", child="x")).startswith("CHILD_SA config 'x' not found")
        assert (await client.fails("initiate", ike="x")).startswith("IKE_SA config 'x' not found")
        assert await client.fails("initiate") == "missing configuration name"
        assert await client.fails("terminate") == "missing terminate selector"
        assert await client.fails("rekey") == "missing rekey selector"
        assert await client.fails("install") == "missing configuration name"
        bed.answers = {}
        for command in ("version", "stats", "get-algorithms", "get-conns", "list-certs", "reload-settings"):
            assert "no argument 'nonsense'" in await client.fails(command, nonsense="1")
        assert "whole number" in await client.fails("initiate", child="net", timeout="soon")
        assert "must be a value" in await client.fails("list-sas", ike=["a"])
        client.writer.close()

    run(Bed(control), scenario)


def test_retries_are_given_up_without_an_sa(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        bed.answers = {"request Terminate": [Outcome(1, True, "no further try of a")]}
        answer, _ = await client.ask("terminate", ike="a")
        assert answer == {**OK, "matches": "0", "terminated": "0"}
        client.writer.close()

    run(Bed(control), scenario)


def with_secret(bed: Bed) -> Bed:
    """A configuration that is checked again when it is changed."""
    secret = SecretEntry.model_validate({"secret": "a secret that nobody guesses"})
    bed.config = bed.config.model_copy(update={"secrets": {"ike-a": secret}})
    bed.make_daemon()
    return bed


def start_action(bed: Bed) -> str:
    return bed.machine.config.connections["a"].children["net"].start_action


def test_install_and_uninstall_change_the_start_action(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed, "list-policy")
        assert (await client.ask("install", child="net"))[0] == OK
        assert start_action(bed) == "trap"
        (event,) = (await client.ask("list-policies", trap="yes"))[1]
        assert event["a/net"]["ike"] == "a"
        assert (await client.ask("list-policies", drop="yes"))[1] == []
        assert (await client.ask("uninstall", child="net"))[0] == OK
        assert start_action(bed) == "none"
        assert await client.fails("uninstall", child="net") == "policy 'net' not found"
        client.writer.close()

    run(with_secret(Bed(control)), scenario)


def test_a_trap_that_stands_after_an_end_is_uninstalled(control: Path) -> None:
    """Whatever `list-policies` lists: the child waits for a packet as its `close_action` says."""

    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed, "list-policy")
        assert await client.fails("uninstall", child="net") == "policy 'net' not found"
        bed.machine.waits = [ChildWait("a", "net", Waiting.PACKET)]
        assert len((await client.ask("list-policies", trap="yes"))[1]) == 1
        assert (await client.ask("uninstall", child="net"))[0] == OK
        child = bed.machine.config.connections["a"].children["net"]
        assert (child.start_action, child.close_action, child.dpd_action) == ("none", "none", "start")
        client.writer.close()

    actions = {"close_action": "trap", "dpd_action": "start"}
    run(with_secret(Bed(control, child=actions)), scenario)


def test_a_child_that_is_kept_up_needs_no_trap(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        connection = bed.machine.config.connections["a"]
        kept = connection.children["net"].model_copy(update={"start_action": "start"})
        new = connection.model_copy(update={"children": {"net": kept}})
        await bed.daemon.replace_config(bed.machine.config.model_copy(update={"connections": {"a": new}}))
        assert "it is kept up" in await client.fails("install", child="net")
        assert "is in no file" in await client.fails("reload-settings")
        assert "is in no file" in await client.fails("reload")
        client.writer.close()

    run(with_secret(Bed(control)), scenario)


def test_the_file_is_read_again(control: Path, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    bed = Bed(control)
    bed.file = ConfigFile(path)
    bed.make_daemon()
    ports = f"[daemon]\nport = {bed.ports[0]}\nport_nat_t = {bed.ports[1]}\nworkers = 2\n"

    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        path.write_text(ports)
        assert (await client.ask("reload"))[0] == {**OK, "changed": "1 connection removed (a)"}
        path.write_text(f"{ports}lots = 1\n")
        assert "daemon.lots: unknown key" in await client.fails("reload")
        path.unlink()
        assert await client.fails("reload") == f"{path}: can't be read: No such file or directory"
        assert "no argument 'nonsense'" in await client.fails("reload", nonsense="1")
        client.writer.close()

    run(bed, scenario)


def test_lists(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed, "list-sa", "list-conn")
        bed.machine.sas = [ike_info(1, 5), replace(ike_info(2), state="DEAD"), ike_info(3, 7)]
        answer, events = await client.ask("list-sas")
        assert answer == {} and [event["a"]["uniqueid"] for event in events] == ["1", "2", "3"]
        assert events[1]["a"]["state"] == "DESTROYING" and "established" not in events[1]["a"]
        for filters, found in (({"ike_id": "3"}, "3"), ({"child_id": "5"}, "1")):
            (event,) = (await client.ask("list-sas", **filters))[1]
            assert event["a"]["uniqueid"] == found
        (event,) = (await client.ask("list-conns"))[1]
        assert event["a"]["version"] == "IKEv2" and "net" in event["a"]["children"]
        bed.machine.sas = []
        client.writer.close()

    run(Bed(control), scenario)


def test_messages_are_counted(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        assert "no counters found" in await client.fails("get-counters", name="a")
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            header = bytes(8) + bytes(8) + bytes((33, 0x20, ExchangeType.IKE_SA_INIT, 0x08)) + bytes(8)
            peer.sendto(header, ("127.0.0.1", bed.ports[0]))
            path = IkePath(Endpoint(LOOPBACK, bed.ports[0]), Endpoint(LOOPBACK, peer.getsockname()[1]))
            bed.answers = {"request Initiate": [Send(path, header), Outcome(1, True, "up")]}
            await client.ask("initiate", child="net")
        while (counted := await in_all(client))["ike-init-in-req"] == "0":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert counted["ike-init-in-req"] == "1" == counted["ike-init-out-req"]
        await client.ask("reset-counters")
        assert (await in_all(client))["ike-init-in-req"] == "0"
        client.writer.close()

    run(Bed(control), scenario)


async def in_all(client: Vici) -> dict[str, str]:
    answer, _ = await client.ask("get-counters")
    found: dict[str, str] = answer["counters"][""]
    return found


def test_levels_of_the_log(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        before = log.levels()
        client = await Vici.connect(bed)
        try:
            assert await client.ask("log-levels") == ({**OK, "levels": before}, [])
            answer, _ = await client.ask("log-levels", set=["all=error", "ike=debug"])
            assert answer["levels"] == dict.fromkeys(SUBSYSTEMS, "error") | {"ike": "debug"} == log.levels()
            for wrong in ("ike", "ike=loud", "nobody=info", "all=loud"):
                text = await client.fails("log-levels", set=["net=info", wrong])
                assert repr(wrong) in text and "audit" in text and "debug" in text
            assert log.levels()["net"] == "error"
        finally:
            client.writer.close()
            log.change_levels(before)

    run(Bed(control), scenario)


def test_redirect_by_criteria(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        there = IkePath(Endpoint(LOOPBACK, 500), Endpoint(IPv4Address("198.51.100.7"), 500))
        bed.machine.sas = [
            replace(ike_info(1, 5), remote_id=Identity.parse("a@example.org")),
            replace(ike_info(2, 6), path=there, remote_id=Identity.parse("b@example.net")),
        ]
        gateway, tickets = ip_address("203.0.113.1"), itertools.count(1)
        for arguments, ids in (
            ({"ike": "a"}, (1, 2)),
            ({"ike_id": "2"}, (2,)),
            ({"peer_ip": "198.51.100.7"}, (2,)),
            ({"peer_ip": "198.51.100.0/24"}, (2,)),
            ({"peer_ip": "198.51.100.1-198.51.100.9"}, (2,)),
            ({"peer_id": "*@example.org"}, (1,)),
        ):
            answer, _ = await client.ask("redirect", gateway="203.0.113.1", **arguments)
            assert answer == {**OK, "matches": str(len(ids))}
            assert f"request {RedirectClients(ids, gateway, next(tickets))}" in bed.machine.calls
        bed.answers = {"request Redirect": [Outcome(next(tickets), False, "it does not follow")]}
        told = await client.fails("redirect", ike="a", gateway="gw2.example.org")
        assert told == "redirecting SA failed: it does not follow"
        for wrong in (
            {"ike": "a"},
            {"gateway": "203.0.113.1"},
            {"ike": "a", "gateway": "no gateway"},
            {"ike": "no", "gateway": "203.0.113.1"},
            {"peer_ip": "198.51.100.9-2001:db8::1", "gateway": "203.0.113.1"},
            {"peer_ip": "everywhere", "gateway": "203.0.113.1"},
        ):
            assert await client.fails("redirect", **wrong)
        bed.machine.sas = []
        client.writer.close()

    run(Bed(control), scenario)
