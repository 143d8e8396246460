"""The IPsec daemons on the CGW (C3) and on the other concentrator (C4), configured for the lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from ikepy.lab import gateway, pod, strongswan, topology
from ikepy.lab.authentication import EAP, PSK, PUBKEY, Authentication
from ikepy.lab.bird import Bgp
from ikepy.lab.netns import Namespace
from ikepy.lab.state import Options
from ikepy.lab.topology import address, host, network

_PROPOSALS = ("aes128gcm16-prfsha256-x25519", "aes256-sha384-modp3072")
_PQ_PROPOSALS = ("aes256gcm16-prfsha384-x25519-ke1_mlkem768",)  # RFC 9370
_ESP_PROPOSALS = ("aes128gcm16", "aes256-sha256")
SECRET = "a secret of the lab alone"
# A page shows at once what a changed secret does, and a retransmission after a second, not after four.
_WEB = "old_secret_grace = 0\nretransmit_timeout = 1.0\n"
KEYS = "keys"  # the directory of its key log in a concentrator's own
_NUMBERS = {"cgw": 65001, "c4": 65002}  # private autonomous systems (RFC 6996)
_IDS = {"cgw": "cgw.ikepy.example", "c4": "c4.ikepy.example"}


class Concentrator(Protocol):
    """One end of the tunnel."""

    kind: str  # "ikepy" or "strongSwan"
    device: str  # the TUN device that stands in for the VTI

    def start(self) -> None:
        """Start it, configured; LabError with its log."""

    @property
    def running(self) -> bool:
        """Is its process there?"""

    @property
    def established(self) -> bool:
        """Is a CHILD_SA installed?"""

    def describe(self) -> str:
        """Its SAs, for people."""

    def log(self) -> str:
        """Its log so far."""

    def stop(self) -> None:
        """End it, and remove its files. May be called twice, and for one that was never started."""


def authentication(options: Options) -> Authentication:
    """How the two ends of a lab authenticate."""
    return Authentication(options.auth, _IDS["cgw"], _IDS["c4"])


def _daemon(options: Options, directory: Path) -> str:
    """The lines of `[daemon]`."""
    keylog = f"keylog_dir = {json.dumps(str(directory / KEYS))}\n" if options.keylog else ""
    return keylog + (_WEB if options.web else "")


def cgw(options: Options, namespace: Namespace, directory: Path, method: Authentication) -> Concentrator:
    """The CGW: it initiates."""
    local = topology.CGW_PRIVATE if options.nat else topology.CGW_PUBLIC
    if options.cgw == "strongswan":
        return _StrongSwanEnd(
            options, namespace, directory, "cgw", local, address(topology.C4_PUBLIC), method
        )
    return _IkepyEnd(options, namespace, directory, "cgw", local, address(topology.C4_PUBLIC), method)


def c4(options: Options, namespace: Namespace, directory: Path, method: Authentication) -> Concentrator:
    """The other end: a responder for any peer that authenticates."""
    if options.peer == "strongswan":
        return _StrongSwanEnd(options, namespace, directory, "c4", topology.C4_PUBLIC, "%any", method)
    return _IkepyEnd(options, namespace, directory, "c4", topology.C4_PUBLIC, "%any", method)


def _other(node: str) -> str:
    return "c4" if node == "cgw" else "cgw"


def bgp(node: str, options: Options) -> Bgp:
    """BGP on a concentrator: it announces the networks behind it."""
    peer = _other(node)
    ends = zip(_vti(node, options), _vti(peer, options), strict=True)
    return Bgp(
        address(topology.VTI[node]),
        _NUMBERS[node],
        _NUMBERS[peer],
        {"cgw": ("vxeth0",), "c4": ("lan",)}[node],
        tuple((address(own), address(other)) for own, other in ends),
    )


def networks_behind(node: str, options: Options) -> list[str]:
    """The networks that the other end of the tunnel is to have routes to."""
    return _inner(node, options)


def _inner(node: str, options: Options) -> list[str]:
    """The networks behind a concentrator."""
    networks = {"cgw": (topology.SEGMENT, topology.SEGMENT6), "c4": (topology.SITE, topology.SITE6)}[node]
    return [network(table[node]) for table in (networks if options.ipv6 else networks[:1])]


def _vti(node: str, options: Options) -> list[str]:
    """The addresses, with prefix length, of a concentrator's end of L4."""
    tables = (topology.VTI, topology.VTI6) if options.ipv6 else (topology.VTI,)
    return [table[node] for table in tables]


class _IkepyEnd:
    """ikepy: selectors 0.0.0.0/0 and ::/0, routes into vti0 decide, those of the configuration or BIRD's."""

    kind = "ikepy"
    device = "vti0"

    def __init__(
        self,
        options: Options,
        namespace: Namespace,
        directory: Path,
        node: str,
        local: str,
        remote: str,
        method: Authentication,
    ) -> None:
        self._identity, self._directory, self._method = _IDS[node], directory, method
        self._gateway = gateway.Gateway(namespace, directory)
        self._beside = pod.TABLES if options.pod and node == "cgw" else ""
        other = _other(node)
        ours, theirs, more = method.ours(self._identity, SECRET)
        self._connection = gateway.Connection(
            name=other,
            local_addrs=(address(local),),
            remote_addrs=(remote,),
            local_id=_IDS[node],
            remote_id=_IDS[other],
            proposals=_PQ_PROPOSALS if options.pq else _PROPOSALS,
            esp_proposals=_ESP_PROPOSALS,
            start_action="start" if node == "cgw" else "none",
            secret=SECRET,
            device=self.device,
            addresses=tuple(_vti(node, options)),
            peers=tuple(address(text) for text in _vti(other, options)),
            routes=() if options.bgp else tuple(_inner(other, options)),
            local_auth=ours,
            remote_auth=theirs,
            more=more,
            daemon=_daemon(options, directory),
        )

    def start(self) -> None:
        self._method.write(self._identity, self._directory)
        self._gateway.start(self._connection.text() + self._beside)

    @property
    def running(self) -> bool:
        return self._gateway.running

    @property
    def established(self) -> bool:
        return self._gateway.established

    def describe(self) -> str:
        return self._gateway.describe()

    def log(self) -> str:
        return self._gateway.log()

    def stop(self) -> None:
        self._gateway.stop()


class _StrongSwanEnd:
    """strongSwan with its userspace ESP.

    It sets a route into ipsec0 for each remote selector, and 0.0.0.0/0 would swallow its own ESP: so its
    selectors are the real networks, and the peer narrows to them.
    """

    kind = "strongSwan"
    device = strongswan.DEVICE

    def __init__(
        self,
        options: Options,
        namespace: Namespace,
        directory: Path,
        node: str,
        local: str,
        remote: str,
        method: Authentication,
    ) -> None:
        self._identity, self._directory, self._method = _IDS[node], directory, method
        self._namespace = namespace
        plugins = {PSK: "", PUBKEY: strongswan.PUBKEY_PLUGINS, EAP: strongswan.EAP_PLUGINS}[options.auth]
        self._swan = strongswan.StrongSwan(namespace, directory, plugins=plugins)
        self._initiates = node == "cgw"
        other = _other(node)
        self._vti = list(zip(_vti(node, options), _vti(other, options), strict=True))
        ours, theirs, more = method.theirs(self._identity, SECRET)
        self._connection = strongswan.Connection(
            name=other,
            local_addrs=address(local),
            remote_addrs=remote,
            local_id=_IDS[node],
            remote_id=_IDS[other],
            proposals=",".join(_PROPOSALS),
            esp_proposals=",".join(_ESP_PROPOSALS),
            local_ts=",".join(_inner(node, options) + [host(text) for text in _vti(node, options)]),
            remote_ts=",".join(_inner(other, options) + [host(text) for text in _vti(other, options)]),
            secret=SECRET,
            local_auth=ours,
            remote_auth=theirs,
            secrets=more,
        )

    def start(self) -> None:
        self._method.write(self._identity, self._directory)
        self._swan.start(self._connection)
        for own, peer in self._vti:  # no duplicate detection on IPv6: nobody answers on this link yet
            nodad = " nodad" if ":" in own else ""
            self._namespace.ip(f"addr add {address(own)} peer {address(peer)} dev {self.device}{nodad}")
        if self._initiates:
            self._swan.initiate()

    @property
    def running(self) -> bool:
        return self._swan.running

    @property
    def established(self) -> bool:
        return self._swan.established

    def describe(self) -> str:
        return self._swan.swanctl("--list-sas")

    def log(self) -> str:
        return self._swan.log()

    def stop(self) -> None:
        self._swan.stop()
