"""Debian's `swanctl`, unchanged, at our VICI socket and at charon's: the same commands, the same fields."""

from __future__ import annotations

import re
import select
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.vici_text import Section, parse_events
from tests.interop.bed import OURS, THEIRS, Bed

# Keys that stand only where there is something to say: at one end, for a moment, or after traffic.
AT_ONE_END = {"initiator", "nat-local", "nat-remote", "nat-fake", "nat-any"}
FOR_A_MOMENT = {"tasks-queued", "tasks-active", "tasks-passive"}
AFTER_TRAFFIC = {"use-in", "use-out"}
SAME = (
    "version",
    "state",
    "initiator-spi",
    "responder-spi",
    "encr-alg",
    "encr-keysize",
    "prf-alg",
    "dh-group",
)
CROSSED = (("local-host", "remote-host"), ("local-port", "remote-port"), ("local-id", "remote-id"))
CHILD_SAME = ("name", "state", "mode", "protocol", "encap", "encr-alg", "encr-keysize")
CHILD_CROSSED = (("spi-in", "spi-out"), ("local-ts", "remote-ts"), ("bytes-in", "bytes-out"))


class Swanctl:
    """`swanctl` in our gateway's namespace, at our socket. LabError with its words when it fails."""

    def __init__(self, bed: Bed) -> None:
        self._namespace: Namespace = bed.pair.left
        directory: Path = bed.theirs.run_directory  # its settings alone: which plugins it loads
        self._environment = (
            "env",
            f"SWANCTL_DIR={directory}",
            f"STRONGSWAN_CONF={directory}/strongswan.conf",
        )
        self._uri = f"unix://{bed.ours.socket}"

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (*self._environment, "swanctl", *arguments, "--uri", self._uri)

    def __call__(self, *arguments: str) -> str:
        return self._namespace.run(*self.command(*arguments))

    def events(self, label: str, *arguments: str) -> list[Section]:
        return parse_events(self(*arguments, "--pretty"), label)


@pytest.fixture
def up(bed: Bed) -> Bed:
    """Both daemons with a child, which has carried packets."""
    bed.start()
    Swanctl(bed)("--initiate", "--child", "net")
    bed.wait_for_children(1)
    bed.expect_traffic()
    return bed


def only_section(events: list[Section], name: str) -> Section:
    (event,) = events
    section = event[name]
    assert isinstance(section, dict)
    return section


def child_of(sa: Section) -> Section:
    children = sa["child-sas"]
    assert isinstance(children, dict)
    (child,) = children.values()
    assert isinstance(child, dict)
    return child


def test_an_sa_has_the_same_fields_at_both_ends(up: Bed) -> None:
    ours = only_section(Swanctl(up).events("list-sa", "--list-sas"), "net")
    theirs = only_section(parse_events(up.theirs.swanctl("--list-sas", "--pretty"), "list-sa"), "net")
    optional = AT_ONE_END | FOR_A_MOMENT
    assert ours.keys() - optional == theirs.keys() - optional
    assert {key: ours[key] for key in SAME} == {key: theirs[key] for key in SAME}
    for own, peer in CROSSED:
        assert (ours[own], ours[peer]) == (theirs[peer], theirs[own])
    assert ours["initiator"] == "yes" and "initiator" not in theirs

    child, their_child = child_of(ours), child_of(theirs)
    assert child.keys() - AFTER_TRAFFIC == their_child.keys() - AFTER_TRAFFIC
    assert child.keys() >= AFTER_TRAFFIC
    assert {key: child[key] for key in CHILD_SAME} == {key: their_child[key] for key in CHILD_SAME}
    for own, peer in CHILD_CROSSED:
        assert (child[own], child[peer]) == (their_child[peer], their_child[own])


@pytest.mark.parametrize("suite", ["aes256-sha384-ecp384bp", "chacha20poly1305-prfsha512-modp2048"])
def test_algorithms_have_their_names(bed: Bed, suite: str) -> None:
    """Also with a key exchange for children, whose group shows after a rekey."""
    esp = suite.replace("prfsha512-", "")
    bed.start(
        replace(OURS, proposals=(suite,), esp_proposals=(esp,)),
        replace(THEIRS, proposals=suite, esp_proposals=esp),
    )
    swanctl = Swanctl(bed)
    swanctl("--initiate", "--child", "net")
    swanctl("--rekey", "--child", "net")
    bed.wait(lambda: "dh-group" in bed.their_child, "the rekey at their end")
    bed.wait_for_children(1)
    ours = only_section(swanctl.events("list-sa", "--list-sas"), "net")
    theirs = bed.their_sa
    keys = ("encr-alg", "encr-keysize", "integ-alg", "integ-keysize", "prf-alg", "dh-group", "esn")
    child, their_child = child_of(ours), bed.their_child
    assert {key: ours.get(key) for key in keys} == {key: theirs.get(key) for key in keys}
    assert {key: child.get(key) for key in keys} == {key: their_child.get(key) for key in keys}


def test_what_swanctl_prints_of_an_sa(up: Bed) -> None:
    def shape(text: str) -> list[str]:
        """The lines without what differs between two ends."""
        lines = [re.sub(r"[0-9a-f]{8,16}|\d+", "N", line) for line in text.splitlines() if line.strip()]
        return [lines[0].replace("*", ""), *lines[1:]]  # it marks our SPI

    ours, theirs = shape(Swanctl(up)("--list-sas")), shape(up.theirs.swanctl("--list-sas"))
    assert ours[0] == theirs[0]
    assert len(ours) == len(theirs)
    assert [line.split()[0] for line in ours] == [line.split()[0] for line in theirs]


def test_a_connection_has_the_same_fields(up: Bed) -> None:
    ours = only_section(Swanctl(up).events("list-conn", "--list-conns"), "net")
    theirs = only_section(parse_events(up.theirs.swanctl("--list-conns", "--pretty"), "list-conn"), "net")

    def keys(section: Section) -> dict[str, object]:
        return {key: keys(value) if isinstance(value, dict) else None for key, value in section.items()}

    assert keys(ours) == keys(theirs)
    for key in ("version", "rekey_time", "reauth_time", "unique"):
        assert ours[key] == theirs[key]


def test_commands(up: Bed) -> None:
    swanctl = Swanctl(up)
    assert "rekey completed successfully" in swanctl("--rekey", "--child", "net")
    up.wait_for_children(1)  # a rekey counts as complete before the old one is deleted
    assert up.our_child["child_id"] > 1
    assert "ikepy" in swanctl("--version", "--daemon")
    for operation in ("--stats", "--counters", "--list-algs", "--list-pols", "--list-certs", "--list-pools"):
        ours, theirs = swanctl(operation), ""
        if operation != "--counters":  # our charon has no such plugin
            theirs = up.theirs.swanctl(operation)
        if operation == "--stats":
            assert "IKE_SAs: 1 total, 0 half-open" in ours
            assert [line.split(":")[0] for line in ours.splitlines() if line] == [
                line.split(":")[0] for line in theirs.splitlines() if line and "mallinfo" not in line
            ]
    (counters,) = swanctl.events("counters", "--counters", "--all")
    (found,) = (value for value in counters.values() if isinstance(value, dict))
    net = found["net"]
    assert isinstance(net, dict)
    assert (net["ike-init-out-req"], net["ike-auth-in-resp"], net["child-rekey"]) == ("1", "1", "1")
    swanctl("--counters", "--reset")
    said = swanctl("--terminate", "--ike", "net")
    assert "IKE_SA ended" in said and "terminate completed successfully" in said
    up.wait_for_nothing()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--initiate --child nono", "initiate failed: CHILD_SA config 'nono' not found"),
        ("--terminate --ike nono", "terminate failed: no matching SAs to terminate found"),
        ("--rekey --ike nono", "rekey failed: no matching SAs to rekey found"),
        ("--uninstall --child nono", "uninstall failed: policy 'nono' not found"),
        ("--install --child nono", "install failed: configuration name not found"),
        ("--redirect --ike net --gateway 192.0.2.9", "redirect failed:"),
    ],
)
def test_refusals_have_charons_words(bed: Bed, arguments: str, words: str) -> None:
    bed.start()
    for refused in (Swanctl(bed), bed.theirs.swanctl):
        with pytest.raises(LabError, match=re.escape(words)):
            refused(*arguments.split())


def test_a_peer_that_is_not_there(bed: Bed) -> None:
    bed.start(replace(OURS, remote_addrs=("192.0.2.9",)))
    with pytest.raises(LabError, match="CHILD_SA 'net' not established after 1000ms"):
        Swanctl(bed)("--initiate", "--child", "net", "--timeout", "1")


def test_a_trap_policy(bed: Bed) -> None:
    bed.start(replace(OURS, routes=("10.2.0.0/24",)))
    swanctl = Swanctl(bed)
    assert swanctl.events("list-policy", "--list-pols") == []
    swanctl("--install", "--child", "net")
    bed.theirs.swanctl("--install", "--child", "net")
    (ours,) = swanctl.events("list-policy", "--list-pols")
    (theirs,) = parse_events(bed.theirs.swanctl("--list-pols", "--pretty"), "list-policy")
    policy, their_policy = ours["net/net"], theirs["net/net"]
    assert isinstance(policy, dict) and isinstance(their_policy, dict)
    assert policy.keys() == their_policy.keys()
    bed.expect_traffic()  # the first packet brings it up
    swanctl("--terminate", "--ike", "net")
    swanctl("--uninstall", "--child", "net")
    assert swanctl.events("list-policy", "--list-pols") == []


def test_log(bed: Bed) -> None:
    """`swanctl --log` shows the lines as they come, until it is interrupted."""
    bed.start()
    swanctl = Swanctl(bed)
    process = subprocess.Popen(
        ("ip", "netns", "exec", bed.pair.left.name, "stdbuf", "-oL", *swanctl.command("--log")),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for _ in range(50):  # it does not say that it listens
            swanctl("--initiate", "--child", "net")
            swanctl("--terminate", "--ike", "net")
            if select.select([process.stdout], [], [], 0.1)[0]:
                break
        assert re.fullmatch(r"00\[IKE\] .*_SA.*\n", process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
