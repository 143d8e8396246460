"""Finds the largest packet that comes back through a tunnel, by halving (as RFC 8899 5.3.2 has it).

A path that loses large packets in silence is the commonest fault of tunnels: small pings work, transfers
hang. First some packets of the device's MTU are tried; if none comes back, the search begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_TRIES = 3  # packets of the full size, before the search begins
TRIES = 2  # packets of each other size
STEP = 4  # octets: how exact the answer is; ESP pads to a multiple of it
SMALL = 84  # octets of an ordinary request: as ping's over IPv4
BASE = {4: 576, 6: 1280}  # octets: what every path is to take (RFC 1122 3.3.3, RFC 8200 5)


@dataclass(slots=True)
class MtuSearch:
    """One search. `full`: the device's MTU in octets, `version`: of IP.

    `size` is what is to be sent next, None at the end. Then `takes` is the largest that came back, 0 if not
    even a SMALL one did.
    """

    full: int
    version: int
    takes: int = 0
    size: int | None = field(init=False)
    _too_large: int = field(init=False)
    _lost: int = 0

    def __post_init__(self) -> None:
        self.size = self.full
        self._too_large = self.full + 1

    def came_back(self, size: int) -> None:
        """A packet of `size` octets, as it was sent, has come back."""
        if self.size is not None and self.takes < size < self._too_large:
            self.takes = size
            self._go_on()

    def lost(self) -> None:
        """The packet of `size` octets did not come back in time."""
        if self.size is None:
            return
        self._lost += 1
        if self._lost >= (FIRST_TRIES if self.size == self.full else TRIES):
            self._too_large = self.size
            self._go_on()

    def _go_on(self) -> None:
        self._lost = 0
        floors = [size for size in (BASE[self.version], SMALL) if size < self._too_large]
        if self.takes == self.full or (not self.takes and not floors):
            self.size = None
        elif not self.takes:
            self.size = floors[0]
        elif self._too_large - self.takes <= STEP:
            self.size = None
        else:
            self.size = self.takes + (self._too_large - self.takes) // 2


def remedy(takes: int, device: str) -> str:
    """What to do about a path that takes so many octets. `device`: the key path of its section."""
    set_it = f"{device}.mtu = {takes}, also at the peer, and {device}.mss_clamp = true"
    if takes >= BASE[6]:
        return set_it
    return (
        f"{set_it}, if the device carries IPv4 alone; IPv6 takes {BASE[6]:,} octets of every path "
        "(RFC 8200 5): for it the path has to be mended"
    )
