"""Two gateways with a NAT router between them, one of the two on its inside.

inside (192.168.0.10) -- router, masquerades as 192.0.2.101 ==== outside (192.0.2.1 or 192.0.2.2)
"""

from __future__ import annotations

from collections.abc import Callable

from ikepy.lab import pair
from ikepy.lab.netns import Namespace, delete_all, veth
from tests.interop.bed import Bed

INSIDE = "192.168.0.10"
PUBLIC, MOVED = "192.0.2.101", "192.0.2.102"  # the router's address, and the one it may move to

# Ports are translated too, as a busy NAT would do it.
_MASQUERADE = """\
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        meta l4proto udp oifname "outside" masquerade to :20000-30000
    }
}
"""


class NatPair:
    """`left` is for ikepy, `right` for strongSwan; `inside` ("ikepy" or "strongSwan") is behind the NAT."""

    def __init__(self, prefix: str, inside: str) -> None:
        self.left, self.router, self.right = (
            Namespace(f"{prefix}{name}") for name in ("left", "router", "right")
        )
        self.left_host, self.right_host = self.left, self.right
        self._inside = self.left if inside == "ikepy" else self.right

    def __enter__(self) -> NatPair:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        delete_all([self.left, self.router, self.right])

    def move(self) -> None:
        """The router gets another public address, and forgets every mapping."""
        self.router.ip(f"addr del {PUBLIC}/24 dev outside", f"addr add {MOVED}/24 dev outside")

    def _build(self) -> None:
        for namespace in (self.left, self.router, self.right):
            namespace.create()
        self.router.forward()
        left_device, right_device = (
            ("inside", "outside") if self._inside is self.left else ("outside", "inside")
        )
        veth(self.left, "eth0", self.router, left_device)
        veth(self.right, "eth0", self.router, right_device)
        self.router.ip(f"addr add {PUBLIC}/24 dev outside", "addr add 192.168.0.1/24 dev inside")
        self.router.run("nft", "-f", "-", text=_MASQUERADE)
        hosts = (
            (self.left, pair.LEFT, pair.LEFT_HOST),
            (self.right, pair.RIGHT, pair.RIGHT_HOST),
        )
        for gateway, public, inner in hosts:
            if gateway is self._inside:
                gateway.ip(f"addr add {INSIDE}/24 dev eth0", "route add default via 192.168.0.1")
            else:
                gateway.ip(f"addr add {public}/24 dev eth0")
            gateway.ip(f"addr add {inner}/32 dev lo")


BehindNat = Callable[[str], tuple[Bed, NatPair]]
