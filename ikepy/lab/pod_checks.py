"""Tests the pod: its segment, what it advertises, its HTTP server, a reload under traffic, and its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from ikepy.lab import pod, topology
from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result, seconds_until, timed
from ikepy.lab.flow import Flow
from ikepy.lab.netns import run
from ikepy.lab.topology import address

IN_ALL = 15.0  # seconds that a pod has for its end
PATIENCE = 20.0  # seconds for what follows from a change
PACKETS = 100  # of each flow, each way, before, between and after the reloads
_CHILD = {"connection": "c4", "child": "net"}


def segment(lab: Lab) -> list[Result]:
    """Each node has the device of the controller, with an all-zero entry for each of the others."""
    return [_segment(lab, node) for node in topology.POD_NETWORK]


def _segment(lab: Lab, node: str) -> Result:
    lines = run("bridge", "-n", lab.nodes[node].name, "fdb", "show", "dev", pod.SEGMENT).splitlines()
    entries = [line.split() for line in lines if line.startswith("00:00:00:00:00:00 ")]
    floods_to = sorted(words[words.index("dst") + 1] for words in entries if "dst" in words)
    others = sorted(address(text) for name, text in topology.POD_NETWORK.items() if name != node)
    return Result(floods_to == others, f"{node}: all-zero entries", ", ".join(floods_to) or "none")


def advertisements(lab: Lab) -> list[Result]:
    """The pods' kernels have routes to the far networks, by the CGW, of nothing but its advertisements."""
    router = pod.link_local(lab.nodes["cgw"])
    return [_taken(lab, name, router) for name in topology.PODS]


def _taken(lab: Lab, name: str, router: str) -> Result:
    routes = pod.advertised(lab.nodes[name])
    told = ", ".join(f"{one['dst']} via {one['gateway']} for {one['expires']} s" for one in routes)
    right = {one["dst"] for one in routes} == set(topology.far_networks6())
    return Result(
        right and all(one["gateway"] == router for one in routes),
        f"{name}: routes by router advertisements",
        told or "none",
    )


def http(lab: Lab) -> list[Result]:
    """What the pod's HTTP server says of the tunnel that is up."""
    cgw = lab.nodes["cgw"]
    results = []
    for path in ("/healthz", "/readyz"):
        status, text = pod.get(cgw, path)
        results.append(Result(status == 200, path, f"{status}: {' '.join(text.split())}"))
    found = pod.metrics(cgw)
    for key, right in _expected().items():
        value = found.get(key)
        results.append(
            Result(value is not None and right(value), key, "missing" if value is None else f"{value:g}")
        )
    return results


def _expected() -> dict[str, Callable[[float], bool]]:
    """Samples of /metrics, and what is right for them."""
    name = pod.sample_name
    return {
        name("ikepy_ike_sas", state="ESTABLISHED"): lambda value: value == 1,
        name("ikepy_children_down"): lambda value: value == 0,
        name("ikepy_device_carrier", connection="c4", device="vti0"): lambda value: value == 1,
        name("ikepy_child_sent_packets_total", **_CHILD): lambda value: value > 0,
        name("ikepy_child_received_packets_total", **_CHILD): lambda value: value > 0,
    }


def reload(lab: Lab) -> list[Result]:
    """Another connection is added and removed by reloads, under UDP flows of both families."""
    gateway = lab.gateway("cgw")
    before, spis = gateway.config, _spis(lab)
    with ExitStack() as stack:
        flows = [stack.enter_context(_flow(lab, *ends)) for ends in _ends()]
        _go_on(flows)
        results = [_reloaded(lab, "a connection is added", pod.SPARE.tables() + before, there=True)]
        _go_on(flows)
        results.append(_reloaded(lab, "it is removed", before, there=False))
        _go_on(flows)
    results.append(Result(_spis(lab) == spis, "the tunnel is the same", f"SPIs {', '.join(spis)}"))
    results += [_lost(flow, *ends) for flow, ends in zip(flows, _ends(), strict=True)]
    return results


def _ends() -> list[tuple[str, str]]:
    families = ((topology.SEGMENT, topology.SITE), (topology.SEGMENT6, topology.SITE6))
    return [(address(segment["pod1"]), address(site["site"])) for segment, site in families]


def _flow(lab: Lab, here: str, there: str) -> Flow:
    return Flow((lab.nodes["pod1"], here), (lab.nodes["site"], there))


def _go_on(flows: list[Flow]) -> None:
    for flow in flows:
        flow.wait_for(PACKETS, PATIENCE)


def _reloaded(lab: Lab, what: str, config: str, *, there: bool) -> Result:
    """Reload, and wait until the further connection's device is there, or not there any more."""
    cgw = lab.nodes["cgw"]
    changed = lab.gateway("cgw").reload(config)
    seconds_until([lambda: cgw.has_device(pod.SPARE.device) is there], PATIENCE)
    found, ready = cgw.has_device(pod.SPARE.device), pod.get(cgw, "/readyz")[0]
    told = f"{changed}; {pod.SPARE.device} is {'there' if found else 'not there'}; /readyz: {ready}"
    return Result(found is there and ready == 200, what, told)


def _spis(lab: Lab) -> list[str]:
    return [f"{child['spi_in']}/{child['spi_out']}" for child in lab.gateway("cgw").children()]


def _lost(flow: Flow, here: str, there: str) -> Result:
    lost = len(flow.to_right.lost) + len(flow.to_left.lost)
    sent = flow.to_right.sent + flow.to_left.sent
    return Result(sent > 0 and lost == 0, f"UDP meanwhile, {here} and {there}", f"{lost} of {sent} lost")


def end(lab: Lab) -> list[Result]:
    """The daemon ends by SIGTERM in time; its peer and the pods have nothing left of it. To be the last."""
    cgw, c4 = lab.gateway("cgw"), lab.gateway("c4")
    pods = [lab.nodes[name] for name in topology.PODS]
    spis = [sa["spi_i"] for sa in cgw.list_sas()]
    begin = time.monotonic()
    in_time = cgw.stop(keep_files=True, patience=IN_ALL)
    seconds = time.monotonic() - begin
    ended = f"after {seconds:.2f} s" if in_time else f"not within {IN_ALL:g} s: killed"
    conditions: dict[str, Callable[[], bool]] = {
        "c4: list-sas is empty": lambda: not c4.list_sas(),
        "c4: its log has the delete": lambda: bool(spis) and all(is_deleted(c4.log(), one) for one in spis),
        "the pods' routes are withdrawn": lambda: not any(pod.advertised(one) for one in pods),
        "cgw: vti0 is gone": lambda: not lab.nodes["cgw"].has_device(lab.cgw.device),
    }
    found = seconds_until(list(conditions.values()), PATIENCE)
    return [
        Result(in_time, "cgw: SIGTERM ends the daemon", ended),
        *(timed(what, one, PATIENCE) for what, one in zip(conditions, found, strict=True)),
    ]


def is_deleted(log: str, spi: str) -> bool:
    """Whether the log's audit lines say of an IKE_SA, by its initiator's SPI, that the peer deleted it."""
    words = ("audit: ike-down ", f" spi_i={spi} ", ' reason="deleted by the peer"')
    return any(all(word in line for word in words) for line in log.splitlines())


WHILE_UP: dict[str, Callable[[Lab], list[Result]]] = {
    "The segment, as kube-vxlan-controller makes it": segment,
    "Router advertisements": advertisements,
    "HTTP, in the pod": http,
    "Reloads under traffic": reload,
}
