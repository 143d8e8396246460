"""The CGW as in its pod: what its daemon does beside the tunnel, and what the pods' kernels make of that."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from importlib.util import find_spec
from typing import TypedDict

from ikepy.daemon.checks import FOR_HTTP
from ikepy.lab import topology
from ikepy.lab.gateway import Connection
from ikepy.lab.netns import LabError, Namespace

HTTP = "127.0.0.1:9427"
SEGMENT = "vxeth0"

# Tables of the daemon's configuration file. BIRD sets the routes, so that the advertised ones are named.
TABLES = f"""\
[daemon.http]
listen = "{HTTP}"
[router_advertisements.{SEGMENT}]
connections = ["c4"]
default_router = false
routes = {json.dumps(topology.far_networks6())}
"""

# What a reload adds and removes. It waits for a peer: /readyz counts what is to be started.
SPARE = Connection(
    name="spare",
    remote_addrs=(topology.address(topology.C4_PUBLIC),),
    local_id="spare.cgw.ikepy.example",
    remote_id="spare.c4.ikepy.example",
    device="vti1",
    addresses=("169.254.11.1/30",),
    peers=("169.254.11.2",),
    routes=(),
)


class Route(TypedDict):
    """What `ip -j route` tells of a route; `expires` in seconds."""

    dst: str
    gateway: str
    expires: int


def missing_libraries() -> list[str]:
    """What the daemon's HTTP server needs and this Python does not have."""
    return [name for name in FOR_HTTP if find_spec(name) is None]


def advertised(node: Namespace) -> list[Route]:
    """The routes that a node's kernel has of router advertisements on the segment (RFC 4191)."""
    words = ("ip", "-j", "-6", "route", "show", "proto", "ra", "dev", SEGMENT)
    routes: list[Route] = json.loads(node.run(*words))
    return routes


def takes_all(node: Namespace) -> bool:
    """Whether a pod's kernel has routes to all that the CGW advertises."""
    return {route["dst"] for route in advertised(node)} >= set(topology.far_networks6())


def link_local(node: Namespace) -> str:
    """The address that the node's advertisements come from; "" if the segment has none."""
    words = ("ip", "-j", "-6", "addr", "show", "dev", SEGMENT, "scope", "link")
    found = [one for link in json.loads(node.run(*words)) for one in link.get("addr_info", [])]
    return next((str(one["local"]) for one in found if "local" in one), "")


def get(node: Namespace, path: str) -> tuple[int, str]:
    """Status and body of the daemon's answer over HTTP, asked within its namespace; LabError without one."""

    def ask() -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{HTTP}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    try:
        return node.inside(ask)
    except OSError as error:  # URLError, too
        raise LabError(f"http://{HTTP}{path} in {node.name}: {error}") from None


def metrics(node: Namespace) -> dict[str, float]:
    """What /metrics tells, by a sample's name and labels, as `name{a="1",b="2"}` in the labels' order."""
    from prometheus_client.parser import text_string_to_metric_families

    status, text = get(node, "/metrics")
    if status != 200:
        raise LabError(f"/metrics in {node.name}: status {status}")
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        raise LabError(f"/metrics in {node.name} can't be read: {error}") from None
    return {sample_name(one.name, **one.labels): one.value for family in families for one in family.samples}


def sample_name(name: str, **labels: str) -> str:
    """The key of a sample in `metrics`."""
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if labels else name
