"""The program of a worker process: it carries ESP between its sockets and its TUN devices, and knows no IKE.

Control starts it as `python -P -m ikepy.daemon.workers.worker_main FD [UID GID]`. FD is the worker's end of a
SOCK_SEQPACKET pair (unix(7)). The first datagram there is HELLO with the counters' memfd, all others are
`esp.ipc.messages`. With UID and GID it changes to that user, after it has loaded its modules: the user may
not be permitted to read them.
"""

from __future__ import annotations

import array
import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable

from esp.datapath.worker import Worker
from esp.ipc.counters import CounterBlock
from esp.sa.outbound import OutboundSa
from ikepy.daemon.process.account import Account
from ikepy.daemon.process.capabilities import die_with_parent, keep_memory_private, keep_only
from ikepy.daemon.process.launcher import IMPAIRMENTS
from tun.closing import close_later
from tun.frames import packet_io

# An impaired daemon's; loaded before the change of user
_outbound_sa: Callable[..., OutboundSa] = OutboundSa
if IMPAIRMENTS in os.environ:
    from ikepy.impair.packets import outbound_sa

    _outbound_sa = outbound_sa(os.environ[IMPAIRMENTS].split())

HELLO = struct.Struct("!HH")  # slot, workers
_GC_THRESHOLDS = (100_000, 50, 50)  # packets make no reference cycles: collections can be rare and small


def greet(control: socket.socket, slot: int, workers: int, counters: CounterBlock) -> None:
    """Control's side: the first datagram to a new worker. Raises OSError."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [counters.fd]))
    control.sendmsg([HELLO.pack(slot, workers)], [rights])


def receive_greeting(control: socket.socket) -> tuple[int, int, CounterBlock] | None:
    """The worker's side: slot, workers and counters; None if control is gone already.

    Raises OSError and ValueError for anything else, which only a fault of ours can bring.
    """
    data, fds, _, _ = socket.recv_fds(control, HELLO.size, 1)
    if not data:
        return None
    (fd,) = fds
    os.set_inheritable(fd, False)
    slot, workers = HELLO.unpack(data)
    return slot, workers, CounterBlock.attach(fd)


def main(arguments: list[str]) -> int:
    """Run until control closes the pair. Signals are ignored: control alone decides when a worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = os.getppid()
    if len(arguments) > 1:
        Account(*map(int, arguments[1:])).become()
    keep_only(())
    keep_memory_private()
    die_with_parent()  # last: a change of user takes it back (PR_SET_PDEATHSIG, prctl(2))
    if os.getppid() != parent:
        return 0
    with socket.socket(fileno=int(arguments[0])) as control:
        control.set_inheritable(False)
        greeting = receive_greeting(control)
        if greeting is None:
            return 0
        slot, workers, counters = greeting
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        with counters:
            Worker(control, counters, slot, workers, packet_io, close_later, _outbound_sa).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
