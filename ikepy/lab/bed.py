"""Runs a lab: build the topology, start both concentrators, wait for the tunnel, remove everything."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from ikepy.lab import concentrators, pod, topology
from ikepy.lab.bird import Bird
from ikepy.lab.capture import Capture
from ikepy.lab.concentrators import Concentrator
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError, Namespace, delete_all
from ikepy.lab.state import PREFIX, RUN_DIRECTORY, Options, State, read_state, remove_state, write_state
from ikepy.lab.strongswan import missing as strongswan_missing

# program -> Debian's package
_PROGRAMS = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "ss": "iproute2",
    "ping": "iputils-ping",
    "iperf3": "iperf3",
}
_NODES = topology.plan(nat=True).nodes  # of every variant


class Lab:
    """One lab: the namespaces `prefix`..., files in `directory`. Labs that differ in both are independent."""

    def __init__(self, options: Options, prefix: str = PREFIX, directory: Path = RUN_DIRECTORY) -> None:
        self.options = options
        self.directory = directory
        self.prefix = prefix
        self.plan = topology.plan(nat=options.nat, ipv6=options.ipv6, pod=options.pod)
        self.nodes: dict[str, Namespace] = topology.namespaces(prefix, self.plan.nodes)
        method = concentrators.authentication(options)
        self.cgw: Concentrator = concentrators.cgw(options, self.nodes["cgw"], directory / "cgw", method)
        self.c4: Concentrator = concentrators.c4(options, self.nodes["c4"], directory / "c4", method)
        self.birds = {
            node: Bird(self.nodes[node], directory / f"bird-{node}") for node in ("cgw", "c4") if options.bgp
        }

    def require(self) -> None:
        """LabError, naming what is missing, where the lab can't run on this machine."""
        if not Path("/dev/net/tun").exists():
            raise LabError("/dev/net/tun is missing: the kernel's tun module is not loaded")
        programs = {
            **_PROGRAMS,
            **({"nft": "nftables"} if self.options.nat or self.options.web else {}),
            **({"bird": "bird2", "birdc": "bird2"} if self.options.bgp else {}),
        }
        missing = sorted({package for name, package in programs.items() if shutil.which(name) is None})
        if missing:
            raise LabError(f"programs are missing: apt-get install {' '.join(missing)}")
        if self.options.pod and (libraries := pod.missing_libraries()):
            raise LabError(
                f"the pod's HTTP server needs {' and '.join(libraries)}, which this Python does not have: "
                "install ikepy with its extra \"http\" (in a clone: pip install '.[http]')"
            )
        if "strongswan" in (self.options.peer, self.options.cgw):
            reason = strongswan_missing()
            if reason is not None:
                raise LabError(f"strongSwan can't run here: {reason}")

    def build(self) -> None:
        """Create the namespaces and their links. LabError if one of that name exists already."""
        there = [space.name for space in topology.namespaces(self.prefix, _NODES).values() if space.exists]
        if there:
            raise LabError(f"there are network namespaces {', '.join(there)}: `ikepy lab down` removes them")
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_state(self.directory, State(self.options, kept=False))
        topology.build(self.plan, self.prefix)

    def capture(self) -> Capture:
        """Packet sockets on the nodes whose links the picture shows; not started yet."""
        shown = ("pod1", "pod2", "cgw", "internet", "c4", "site", *(("nat",) if self.options.nat else ()))
        return Capture(self.nodes[name] for name in shown)

    def connect(self, patience: float = 20.0) -> float:
        """Start both concentrators and wait for the tunnel; the seconds that took. LabError with the logs."""
        self.c4.start()
        self.cgw.start()
        begin = time.monotonic()
        while not (self.cgw.established and self.c4.established):
            if time.monotonic() - begin > patience:
                raise LabError(f"no tunnel after {patience:g} s.\n{self.logs()}")
            for name, concentrator in (("cgw", self.cgw), ("c4", self.c4)):
                if not concentrator.running:
                    raise LabError(f"the daemon on {name} ended.\n{self.logs()}")
            time.sleep(0.05)
        seconds = time.monotonic() - begin
        for node, bird in self.birds.items():
            bird.start(concentrators.bgp(node, self.options))
        self.await_routes(patience)
        return seconds

    def gateway(self, node: str) -> Gateway:
        """The ikepy on a concentrator, to be asked and told."""
        return Gateway(self.nodes[node], self.directory / node)

    def await_routes(self, patience: float = 20.0) -> None:
        """Wait until both ends have by BGP what they are to have, and the pods what is advertised.

        LabError with BIRD's words, or the daemons'.
        """
        end = time.monotonic() + patience
        while not all(self.has_routes(node) for node in self.birds):
            if time.monotonic() > end:
                told = "\n".join(bird.ask("show protocols all") for bird in self.birds.values())
                raise LabError(f"no routes by BGP after {patience:g} s.\n{told}")
            time.sleep(0.05)
        if self.options.pod:
            self._await_advertised(end, patience)

    def _await_advertised(self, end: float, patience: float) -> None:
        while not all(pod.takes_all(self.nodes[name]) for name in topology.PODS):
            if time.monotonic() > end:
                raise LabError(f"no routes by router advertisements after {patience:g} s.\n{self.logs()}")
            time.sleep(0.05)

    def has_routes(self, node: str) -> bool:
        """Whether a concentrator has routes by BGP to all networks behind the other one."""
        other = "c4" if node == "cgw" else "cgw"
        return set(concentrators.networks_behind(other, self.options)) <= self.routes_by_bgp(node)

    def routes_by_bgp(self, node: str) -> set[str]:
        """The networks that the kernel has of BIRD, through the tunnel."""
        device = self.cgw.device if node == "cgw" else self.c4.device
        lines = [
            line
            for family in ("-4", "-6")
            for line in self.nodes[node].run("ip", family, "route", "show", "proto", "bird").splitlines()
        ]
        return {line.split()[0] for line in lines if f" dev {device} " in f"{line} "}

    def keep(self) -> None:
        """Leave it running: from now on only `down` removes it."""
        write_state(self.directory, State(self.options, kept=True))

    def logs(self, lines: int = 25) -> str:
        """The last lines of both logs."""
        return "\n".join(
            f"--- the log of {name} ({concentrator.kind}) ---\n"
            + "\n".join(concentrator.log().splitlines()[-lines:])
            for name, concentrator in (("cgw", self.cgw), ("c4", self.c4))
        )

    def down(self) -> None:
        """Stop the daemons (they delete their SAs) and remove everything. No lab is no error."""
        try:
            for bird in self.birds.values():
                bird.stop()
            self.cgw.stop()
            self.c4.stop()
        finally:
            remove(self.prefix, self.directory)


def remove(prefix: str = PREFIX, directory: Path = RUN_DIRECTORY) -> None:
    """Remove every namespace of a lab, whatever variant it was and however it ended."""
    delete_all(list(topology.namespaces(prefix, _NODES).values()))
    for name in ("cgw", "c4", "bird-cgw", "bird-c4"):
        shutil.rmtree(directory / name, ignore_errors=True)
    remove_state(directory)


def existing(prefix: str = PREFIX, directory: Path = RUN_DIRECTORY) -> tuple[Lab, State] | None:
    """The lab that is there, and its state; None without one."""
    state = read_state(directory)
    return None if state is None else (Lab(state.options, prefix, directory), state)
