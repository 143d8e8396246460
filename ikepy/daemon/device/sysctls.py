"""The kernel's settings that a gateway needs (sysctl(8), ip-sysctl): what they are, what they should be.

Only what networks behind this host need: forwarding, and reverse path filtering where several tunnels may
carry one flow. `disable_policy` is not among them: the packets of a TUN device meet no XFRM policy of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from esp.packet.selectors import Selector
from ikepy.config.model import Child, Config
from ikepy.daemon import log

ROOT = Path("/proc/sys")
SUBJECT = "kernel"
STRICT, LOOSE = 1, 2  # values of rp_filter
FORWARDING = {4: ("net", "ipv4", "ip_forward"), 6: ("net", "ipv6", "conf", "all", "forwarding")}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that is not as it should be. `consequence`: what does not work because of it."""

    key: tuple[str, ...]  # "net", "ipv4", "ip_forward"
    value: int
    consequence: str
    first: bool = False  # it is only to be set before the next one

    @property
    def name(self) -> str:
        """As sysctl(8) has it; with slashes if a device's name has a dot."""
        return ("/" if any("." in part for part in self.key) else ".").join(self.key)

    @property
    def command(self) -> str:
        return f"sysctl -w {self.name}={self.value}"


def look(config: Config, root: Path = ROOT) -> None:
    """Set what should be otherwise, if that is asked for, and warn of the rest. It takes root's rights."""
    if config.daemon.sysctls == "check":
        for text in words(lacking(config, root)):
            log.warning(SUBJECT, text, "device")
    elif config.daemon.sysctls == "set":
        for one, error in put(list(lacking(config, root)), root):
            if error is None:
                log.info(SUBJECT, f"{one.name} is {one.value} from now on", "device")
            else:
                text = f"{one.consequence}, and it can't be set ({error.strerror}): {one.command}"
                log.warning(SUBJECT, text, "device")


def words(settings: Iterable[Setting]) -> Iterator[str]:
    """A line for each consequence, with the command; what has to be set before has none of its own."""
    before: list[Setting] = []
    for one in settings:
        before.append(one)
        if one.first:
            continue
        yield f"{one.consequence}: sysctl -w {' '.join(f'{each.name}={each.value}' for each in before)}"
        before.clear()


def lacking(config: Config, root: Path = ROOT) -> Iterator[Setting]:
    """What should be set otherwise, in the order in which it is to be set; nothing of what can't be read."""
    children = [child for one in config.connections.values() for child in one.children.values()]
    if any(_forwards(child, 4) for child in children) and _read(root, *FORWARDING[4]) == 0:
        text = "IPv4 is not forwarded: what networks behind this host send into the tunnels is dropped"
        yield Setting(FORWARDING[4], 1, text)
    if any(_forwards(child, 6) for child in children) and _read(root, *FORWARDING[6]) == 0:
        yield from _accepting(root)
        text = "IPv6 is not forwarded: what networks behind this host send into the tunnels is dropped"
        yield Setting(FORWARDING[6], 1, text)
    if len(config.connections) > 1:
        every, new = (_read(root, "net", "ipv4", "conf", one, "rp_filter") for one in ("all", "default"))
        if max(every or 0, new or 0) == STRICT:
            text = "packets that come back through another tunnel than they would leave by are dropped"
            yield Setting(("net", "ipv4", "conf", "default", "rp_filter"), LOOSE, text)


def put(settings: Iterable[Setting], root: Path = ROOT) -> Iterator[tuple[Setting, OSError | None]]:
    """Set them, in their order, and say what came of each. What is set stays so after the daemon's end."""
    for setting in settings:
        try:
            root.joinpath(*setting.key).write_text(f"{setting.value}\n", encoding="ascii")
        except OSError as error:
            yield setting, error
        else:
            yield setting, None


def _accepting(root: Path) -> Iterator[Setting]:
    """A host that forwards heeds router advertisements only where accept_ra is 2."""
    devices = root.joinpath("net", "ipv6", "conf")
    names = sorted(path.name for path in devices.iterdir()) if devices.is_dir() else []
    for name in names:
        key = ("net", "ipv6", "conf", name, "accept_ra")
        if name not in ("all", "default", "lo") and _read(root, *key) == 1:
            text = f"with forwarding, {name} would lose what router advertisements gave it"
            yield Setting(key, 2, text, first=True)


def _forwards(child: Child, version: int) -> bool:
    """Whether networks behind this host, not the host alone, are to reach the other side."""
    own = [one for one in child.local_ts if isinstance(one, Selector) and one.version == version]
    peers = [one for one in child.remote_ts if isinstance(one, Selector) and one.version == version]
    return bool(peers) and any(one.first != one.last for one in own)


def _read(root: Path, *key: str) -> int | None:
    try:
        return int(root.joinpath(*key).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
