"""Splits the daemon: control becomes an unprivileged user, the privileged process keeps the rights."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from ikepy.config import files
from ikepy.config.files_read import FilesRead
from ikepy.config.model import Daemon as Settings
from ikepy.daemon.interfaces import Launcher, NetworkConfig, SocketOpener, Tun
from ikepy.daemon.privileged.client import Privileged
from ikepy.daemon.privileged.files import to_name
from ikepy.daemon.privileged.requests import Begin
from ikepy.daemon.privileged.separated import (
    SeparatedDevices,
    SeparatedFiles,
    SeparatedLauncher,
    SeparatedNetwork,
    SeparatedSockets,
)
from ikepy.daemon.probe.echo_socket import OpenEchoSocket
from ikepy.daemon.process.account import Account, closed_to, closed_to_root
from ikepy.daemon.process.capabilities import Capability, keep_memory_private, keep_only
from ikepy.daemon.router.icmp_socket import OpenSocket
from tun import rtnetlink


@dataclass(frozen=True, slots=True)
class Rights:
    """All that needs rights of the kernel: this process's own, or the privileged one's."""

    create_tun: Callable[[str], Tun]
    network: NetworkConfig
    sockets: SocketOpener
    launcher: Launcher
    open_icmp_socket: OpenSocket
    open_echo_socket: OpenEchoSocket


def separate(
    privileged: Privileged,
    settings: Settings,
    workers: int,
    user: Account,
    account: Account | None,
    control_sockets: Collection[tuple[Path, int]],
    read: FilesRead,
) -> Rights:
    """Give this process's rights up for good, and return those of the privileged one. Raises OSError.

    `user`: whom control becomes; `account`: whom workers become; `control_sockets`: with their inodes,
    which control can't remove any more; `read`: the configuration's file first, and what it names.
    Whatever only root can open is open before.
    """
    patterns = tuple(map(os.path.abspath, read.patterns))  # as later requests have them
    begin = Begin(
        ports=(settings.port, settings.port_nat_t),
        workers=workers,
        priority=settings.worker_priority,
        account=None if account is None else (account.uid, account.gid),
        sockets=tuple((str(path.absolute()), inode) for path, inode in control_sockets),
        files=tuple(to_name([str(path.absolute()) for path in read.files], patterns)),
        patterns=patterns,
        keep_reading=closed_to_root() is not None,
        tag=rtnetlink.tag_of_helper(),
    )
    privileged.begin(begin)
    kept = (Capability.DAC_READ_SEARCH,) if closed_to(user) is not None else ()
    user.become(kept)
    keep_only(kept)
    keep_memory_private()  # a change of user takes it back (PR_SET_DUMPABLE, prctl(2))
    files.open_by(SeparatedFiles(privileged))
    sockets = SeparatedSockets(privileged)
    return Rights(
        SeparatedDevices(privileged).create,
        SeparatedNetwork(privileged),
        sockets,
        SeparatedLauncher(privileged),
        sockets.open_icmp_socket,
        sockets.open_echo_socket,
    )
