"""BIRD (Debian's bird2) in a network namespace: BGP (RFC 4271) with the other end of a tunnel, through it.

The tunnel's device has carrier exactly while a CHILD_SA stands: with `check link` the session, and what was
learned in it, ends as soon as the SA does, long before the hold time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.process import Process

_TEMPLATE = """\
log stderr all;
router id {router_id};
protocol device {{ scan time 10; }}
protocol direct {{ ipv4; ipv6; interface {inside}; }}
protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}
protocol kernel {{ ipv6 {{ import none; export where source = RTS_BGP; }}; }}
template bgp tunnel {{
  local as {local_as};
  direct;                                     # the neighbour is the other end of the device
  check link;                                 # no SA, no carrier, no session
  hold time 30;
  connect delay time 1; connect retry time 5; error wait time 1, 10;
}}
"""
_SESSION = """\
protocol bgp tunnel{version} from tunnel {{
  neighbor {peer} as {peer_as}; source address {own};
  ipv{version} {{ import all; export where source = RTS_DEVICE; next hop self; }};
}}
"""


@dataclass(frozen=True, slots=True)
class Bgp:
    """One end. `inside`: the interfaces whose networks it announces; `sessions`: (own address, peer's)."""

    router_id: str
    local_as: int
    peer_as: int
    inside: Sequence[str]
    sessions: Sequence[tuple[str, str]]

    def text(self) -> str:
        """The file bird.conf; the sessions are called tunnel4 and tunnel6."""
        inside = ", ".join(f'"{name}"' for name in self.inside)
        head = _TEMPLATE.format(router_id=self.router_id, inside=inside, local_as=self.local_as)
        return head + "".join(
            _SESSION.format(version=ip_address(own).version, own=own, peer=peer, peer_as=self.peer_as)
            for own, peer in self.sessions
        )


class Bird:
    """A BIRD; its files are in `directory` (made, and removed by `stop`)."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self._namespace = namespace
        self._directory = directory
        self._process = Process(namespace, directory)

    @property
    def _socket(self) -> str:
        return str(self._directory / "bird.ctl")

    def start(self, bgp: Bgp) -> None:
        """Start it. LabError if it runs already."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / "bird.conf"
        path.write_text(bgp.text())
        self._process.start("bird", "-f", "-c", str(path), "-s", self._socket)

    @property
    def running(self) -> bool:
        return self._process.running

    def ask(self, command: str) -> str:
        """What BIRD answers to a command of birdc. LabError if it does not."""
        return self._namespace.run("birdc", "-s", self._socket, command)

    def established(self) -> int:
        """How many sessions are up; 0 before it answers."""
        try:
            return len(re.findall(r"\bEstablished\b", self.ask("show protocols")))
        except LabError:
            return 0

    def log(self) -> str:
        return self._process.log()

    def stop(self) -> None:
        """End it, and remove its files. May be called twice."""
        self._process.stop(3.0)
        shutil.rmtree(self._directory, ignore_errors=True)
