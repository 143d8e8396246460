"""Two hosts, two gateways and a cable between these: the smallest bed for a tunnel.

left_host -- left ==== right -- right_host
"""

from __future__ import annotations

from ikepy.lab.netns import LabError, Namespace, delete_all, veth

LEFT, RIGHT = "192.0.2.1", "192.0.2.2"
LEFT6, RIGHT6 = "2001:db8::1", "2001:db8::2"
LEFT_NET, RIGHT_NET = "10.1.0.0/24", "10.2.0.0/24"
LEFT_NET6, RIGHT_NET6 = "fd00:1::/64", "fd00:2::/64"
LEFT_HOST, RIGHT_HOST = "10.1.0.10", "10.2.0.10"
LEFT_HOST6, RIGHT_HOST6 = "fd00:1::10", "fd00:2::10"


class Pair:
    """The four namespaces `prefix`...; a context manager. The gateways route, nothing encrypts yet."""

    def __init__(self, prefix: str) -> None:
        self.left_host = Namespace(f"{prefix}left-host")
        self.left = Namespace(f"{prefix}left")
        self.right = Namespace(f"{prefix}right")
        self.right_host = Namespace(f"{prefix}right-host")

    @property
    def namespaces(self) -> list[Namespace]:
        """All four."""
        return [self.left_host, self.left, self.right, self.right_host]

    def __enter__(self) -> Pair:
        """LabError, and nothing is touched, where one of these namespaces is there already."""
        if there := [namespace.name for namespace in self.namespaces if namespace.exists]:
            raise LabError(f"{', '.join(there)}: another run's namespaces; end it, or `ip netns del` them")
        try:
            self._build()
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    def delete(self) -> None:
        """End what runs in them, and remove them."""
        delete_all(self.namespaces)

    def _build(self) -> None:
        for namespace in self.namespaces:
            namespace.create()
        veth(self.left_host, "eth0", self.left, "lan")
        veth(self.left, "eth0", self.right, "eth0")
        veth(self.right, "lan", self.right_host, "eth0")
        for side, gateway, host in (("1", self.left, self.left_host), ("2", self.right, self.right_host)):
            gateway.forward()
            gateway.ip(
                f"addr add 192.0.2.{side}/24 dev eth0",
                f"addr add 2001:db8::{side}/64 dev eth0 nodad",
                f"addr add 10.{side}.0.1/24 dev lan",
                f"addr add fd00:{side}::1/64 dev lan nodad",
            )
            host.ip(
                f"addr add 10.{side}.0.10/24 dev eth0",
                f"addr add fd00:{side}::10/64 dev eth0 nodad",
                f"route add default via 10.{side}.0.1",
                f"route add ::/0 via fd00:{side}::1",
            )
