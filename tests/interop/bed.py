"""ikepy on the left, a real strongSwan on the right, and what the tests do with the two.

left_host -- left (ikepy) ==== right (strongSwan) -- right_host
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, TypedDict, Unpack

import pytest

from ikepy import listing
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.strongswan import StrongSwan
from ikepy.lab.vici_text import Section
from tests.interop.flow import Flow
from tests.netns.namespaces import wait_until

Side = Literal["ikepy", "strongSwan"]
SIDES: tuple[Side, ...] = ("ikepy", "strongSwan")
either_side_initiates = pytest.mark.parametrize("initiator", SIDES)

# ikepy: selectors 0.0.0.0/0 and ::/0, routes as negotiated. strongSwan: the networks behind the gateways.
OURS = gateway.Connection(local_addrs=(pair.LEFT,), remote_addrs=(pair.RIGHT,))
THEIRS = strongswan.Connection(
    local_addrs=pair.RIGHT, remote_addrs=pair.LEFT, local_ts=pair.RIGHT_NET, remote_ts=pair.LEFT_NET
)
# A second network behind each gateway.
LEFT_NET_2, RIGHT_NET_2 = "10.1.1.0/24", "10.2.1.0/24"
LEFT_HOST_2, RIGHT_HOST_2 = "10.1.1.10", "10.2.1.10"

# What no log may say, whatever a test does: an internal fault, a message that one side can't read.
OUR_FAULTS = (r"ERROR +fault:", "Traceback", "dropped a message", "malformed")
CRASH = "thread .* received"
THEIR_FAULTS = (
    "message parsing failed",
    "parsing .* payload failed",
    "integrity check failed",
    r"(?<!EAP-MS-CHAPv2 )(?<!EAP-MD5 )verification failed",
    "could not decrypt",
    "decryption failed",
    CRASH,
)


class CharonSettings(TypedDict, total=False):
    """How long charon waits for an answer: seconds, times the base each time; octets of a packet."""

    retransmit_timeout: float
    retransmit_base: float
    retransmit_tries: int
    fragment_size: int


class Ends(Protocol):
    """Where the gateways are, and the hosts behind them (which may be the gateways themselves)."""

    left_host: Namespace
    left: Namespace
    right: Namespace
    right_host: Namespace


def our_child(name: str, local_ts: str, remote_ts: str) -> str:
    """TOML of a further child, for `child_extra`."""
    return (
        f"[connections.{OURS.name}.children.{name}]\n"
        f"local_ts = {json.dumps(local_ts.split(','))}\n"
        f"remote_ts = {json.dumps(remote_ts.split(','))}\n"
        f"esp_proposals = {json.dumps(OURS.esp_proposals)}\n"
    )


def with_children(connection: strongswan.Connection, children: Mapping[str, Mapping[str, str]]) -> str:
    """swanctl.conf of `connection` with further children: their keys by their names."""
    sections = "".join(
        f"{name} {{\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) + "}\n"
        for name, keys in children.items()
    )
    return connection.text().replace("children {\n", f"children {{\n{sections}", 1)


def daemon(**settings: float) -> str:
    """TOML lines for `[daemon]`."""
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


class Bed:
    """Both daemons, stopped at first, and the hosts behind them. `pair` has the namespaces.

    `charon_crashes`: it does by itself, sooner or later, in what the test asks of it.
    """

    def __init__(self, pair: Ends, files: Path) -> None:
        self.pair = pair
        self.charon_crashes = False
        self.ours = Gateway(pair.left, files / "ikepy")
        self.theirs = StrongSwan(pair.right, files / "strongswan")

    # -- the daemons -------------------------------------------------------------------------------

    def start(
        self,
        ours: gateway.Connection = OURS,
        theirs: strongswan.Connection | str = THEIRS,
        **settings: Unpack[CharonSettings],
    ) -> None:
        """Start both, our log at its fullest; nothing is negotiated unless a connection says so."""
        self.theirs = StrongSwan(self.pair.right, self.theirs.run_directory, **settings)
        self.theirs.start(theirs)
        self.start_ours(ours)

    def start_ours(self, connection: gateway.Connection = OURS) -> None:
        """Start ikepy alone (again)."""
        self.ours.start(replace(connection, daemon=f'log_level = "debug"\n{connection.daemon}'))

    def initiate(self, by: Side, child: str = "net") -> None:
        """One side begins; LabError with its words when it fails."""
        (self.ours if by == "ikepy" else self.theirs).initiate(child)

    def up(self, by: Side, child: str = "net", *, children: int = 1) -> None:
        """One side brings a child up; then both have `children` in all."""
        self.initiate(by, child)
        self.wait_for_children(children)

    def each_brings_it_up(self) -> Iterator[Side]:
        """One side after the other as the initiator of the IKE_SA; who began deletes it in between."""
        for side in SIDES:
            self.up(by=side)
            yield side
            self.terminate(side, ike="net")
            self.wait_for_nothing()

    def refused(self, by: Side, child: str = "net") -> str:
        """One side begins and must fail: what it tells its user."""
        with pytest.raises(LabError) as caught:
            self.initiate(by, child)
        return str(caught.value)

    def terminate(self, by: Side, *, ike: str | None = None, child: str | None = None) -> None:
        """One side deletes what is named."""
        (self.ours if by == "ikepy" else self.theirs).terminate(ike=ike, child=child)

    # -- waiting -----------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        """Until the condition holds; AssertionError with both sides' SAs."""
        try:
            wait_until(condition, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.sas()}") from None

    def wait_for_children(self, number: int, timeout: float = 30.0) -> None:
        """Until both sides have one IKE_SA and the same `number` children, all installed."""

        def there() -> bool:
            ours, theirs = self.ours.list_sas(), self.theirs.list_sas()
            if len(ours) != 1 or len(theirs) != 1:
                return False
            our_spis = {(c["spi_in"], c["spi_out"]) for c in ours[0]["children"] if c["state"] == "INSTALLED"}
            their_spis = {(c["spi-out"], c["spi-in"]) for c in self.their_children()}
            return our_spis == their_spis and len(ours[0]["children"]) == number

        self.wait(there, f"{number} children, the same on both sides", timeout)

    def wait_for_nothing(self, timeout: float = 30.0) -> None:
        """Until neither side has an IKE_SA left."""
        self.wait(lambda: not self.ours.list_sas() and not self.theirs.list_sas(), "no SA left", timeout)

    def wait_for_log(self, of: Side, pattern: str, *, times: int = 1, timeout: float = 30.0) -> None:
        """Until a log has the pattern that often."""
        source = self.ours if of == "ikepy" else self.theirs
        self.wait(
            lambda: len(re.findall(pattern, source.log())) >= times, f"{pattern!r} in {of}'s log", timeout
        )

    # -- what they say -----------------------------------------------------------------------------

    @property
    def our_sa(self) -> listing.IkeSa:
        """ikepy's only IKE_SA."""
        (sa,) = self.ours.list_sas()
        return sa

    @property
    def their_sa(self) -> Section:
        """strongSwan's only IKE_SA."""
        (sa,) = self.theirs.list_sas()
        return sa

    @property
    def our_child(self) -> listing.ChildSa:
        """ikepy's only child."""
        (child,) = self.ours.children()
        return child

    @property
    def their_child(self) -> Section:
        """strongSwan's only child."""
        (child,) = self.their_children()
        return child

    def their_children(self) -> list[Section]:
        """strongSwan's installed children."""
        return [child for child in self.theirs.children() if child["state"] == "INSTALLED"]

    @property
    def selectors(self) -> tuple[list[str], list[str]]:
        """Left and right selectors of the only child, sorted; both sides have to agree on them."""
        ours, theirs = self.our_child, self.their_child
        left, right = sorted(ours["ts_local"]), sorted(ours["ts_remote"])
        assert (theirs["remote-ts"], theirs["local-ts"]) == (left, right)
        return left, right

    @property
    def has_carrier(self) -> bool:
        """Is the link of our device up?"""
        return "LOWER_UP" in self.pair.left.run("ip", "link", "show", "dev", OURS.device)

    def sas(self) -> str:
        """The SAs of those that run, for people."""
        ours = self.ours.describe() if self.ours.running else "not running"
        theirs = self.theirs.swanctl("--list-sas") if self.theirs.running else "not running"
        return f"--- ikepy's SAs\n{ours}\n--- strongSwan's SAs\n{theirs}"

    # -- traffic -----------------------------------------------------------------------------------

    def expect_traffic(
        self, left: str = pair.LEFT_HOST, right: str = pair.RIGHT_HOST, *, ipv6: bool = False
    ) -> None:
        """Pings both ways between the hosts, small and large: none is lost, and none dropped by an SA."""
        if ipv6:
            left, right = pair.LEFT_HOST6, pair.RIGHT_HOST6
        for size in (56, 1200):
            ping(self.pair.left_host, left, right, size=size)
            ping(self.pair.right_host, right, left, size=size)
        for child in self.ours.children():
            assert not any(child["drops"].values()), child["drops"]

    def expect_no_traffic(self, left: str = pair.LEFT_HOST, right: str = pair.RIGHT_HOST) -> None:
        """Nothing gets through, whichever side begins."""
        for host, source, destination in (
            (self.pair.left_host, left, right),
            (self.pair.right_host, right, left),
        ):
            assert not reaches(host, source, destination)

    @contextlib.contextmanager
    def flow(self, left: str = pair.LEFT_HOST, right: str = pair.RIGHT_HOST) -> Iterator[Flow]:
        """Numbered packets both ways while the block runs; at its end none may be lost."""
        with Flow((self.pair.left_host, left), (self.pair.right_host, right)) as flow:
            yield flow
        flow.assert_nothing_lost()

    # -- the end -----------------------------------------------------------------------------------

    def stop(self) -> bool:
        """End both, and keep their logs. Did ikepy end by itself?"""
        in_time = self.ours.stop(keep_files=True)
        self.theirs.stop(keep_files=True)
        return in_time

    def logs(self) -> str:
        """Both logs, without charon's echo of its configuration."""
        charon = [line for line in self.theirs.log().splitlines() if "[CFG]   " not in line]
        return "\n".join(["--- ikepy's log", self.ours.log(), "--- charon's log", *charon])

    def assert_healthy(self) -> None:
        """No internal fault, and nothing that one side could not read, in either log."""
        theirs = [fault for fault in THEIR_FAULTS if not (self.charon_crashes and fault == CRASH)]
        logs = (("ikepy", self.ours.log(), OUR_FAULTS), ("charon", self.theirs.log(), theirs))
        for who, log, faults in logs:
            found = [line for line in log.splitlines() for fault in faults if re.search(fault, line)]
            assert not found, f"{who} says: {found}"


def ping(host: Namespace, source: str, destination: str, *, size: int = 56, patience: float = 5) -> None:
    """One echo request of `size` bytes; LabError unless it is answered within `patience` seconds.

    One at a time: after the last of several, ping waits for no longer than twice the RTT that it saw.
    """
    host.run(*f"ping -n -q -c 1 -W {patience} -s {size} -I {source} {destination}".split())


def reaches(host: Namespace, source: str, destination: str) -> bool:
    """Is an echo request answered at once?"""
    try:
        ping(host, source, destination, patience=0.3)
    except LabError:
        return False
    return True


def suite_text(section: Section) -> str:
    """The suite of an IKE_SA or a child of strongSwan's, as ikepy's list-sas has it."""
    words = {key: value for key, value in section.items() if isinstance(value, str)}
    cipher = "_".join(words[key] for key in ("encr-alg", "encr-keysize") if key in words)
    rest = [words[key] for key in ("integ-alg", "prf-alg", "dh-group") if key in words]
    return re.sub(r"ECP_(\d+)_BP", r"BRAINPOOL_\1", "/".join([cipher, *rest]))
