"""Captures on the lab's links: counts the protocol stacks that packet sockets see on each device."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ikepy.lab.dissect import NEIGHBOURHOOD, Frame, dissect
from ikepy.lab.netns import Namespace

_ETH_P_ALL = 0x0003
_SNAP = 256  # bytes of each frame: more than the deepest stack's headers


@dataclass(slots=True)
class Seen:
    """What was captured on one device. `stacks`: frames per stack; `ends`: the outermost IP addresses."""

    stacks: Counter[tuple[str, ...]] = field(default_factory=Counter)
    ends: set[frozenset[str]] = field(default_factory=set)
    fragments: int = 0

    def add(self, frame: Frame) -> None:
        """Count a frame. Neighbour discovery (ARP, ND) is left out."""
        if frame.layers[-1] in ("ARP", NEIGHBOURHOOD):
            return
        self.stacks[frame.layers] += 1
        self.fragments += frame.fragment
        if frame.source is not None and frame.destination is not None:
            self.ends.add(frozenset((str(frame.source), str(frame.destination))))


class Capture:
    """Counts from `start` to `stop`, in a thread of its own. Devices may come and go meanwhile."""

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self._namespaces = list(namespaces)
        self._sockets: dict[str, socket.socket] = {}
        self._seen: dict[tuple[str, str], Seen] = defaultdict(Seen)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Capture:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Capture:
        """Open a packet socket in every namespace and begin; OSError without CAP_NET_RAW."""
        for namespace in self._namespaces:
            self._sockets[namespace.name] = namespace.inside(_open)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Count the frames still queued in the sockets, then close them. May be called twice."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        for opened in self._sockets.values():
            opened.close()
        self._sockets.clear()

    def seen(self, namespace: Namespace, device: str) -> Seen:
        """A copy of the counts of this device so far."""
        with self._lock:
            seen = self._seen[namespace.name, device]
            return Seen(Counter(seen.stacks), set(seen.ends), seen.fragments)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for name, opened in self._sockets.items():
                selector.register(opened, selectors.EVENT_READ, name)
            while True:
                last = self._done.is_set()
                ready = selector.select(0.0 if last else 0.1)
                for key, _ in ready:
                    self._take(self._sockets[key.data], key.data)
                if last and not ready:
                    return

    def _take(self, opened: socket.socket, name: str) -> None:
        try:
            data, (device, _, _, link, _) = opened.recvfrom(_SNAP)
        except OSError:  # the device went down (ENETDOWN) or was removed
            return
        frame = dissect(data, link)
        with self._lock:
            self._seen[name, device].add(frame)


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return opened
