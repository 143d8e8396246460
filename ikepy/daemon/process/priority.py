"""A worker's scheduling policy: under load it runs before ordinary processes (SCHED_RR, sched(7)).

The kernel runs its own packet path in softirqs, before any process. An ordinary worker would share the CPU
with the programs that send and receive through it, and packets would wait for it while those run.
"""

from __future__ import annotations

import os

ORDINARY = 0


def set_priority(pid: int, priority: int) -> str | None:
    """Give a process SCHED_RR with `priority` 1 to 99, or SCHED_OTHER with ORDINARY. Returns why it can't be
    done, None if it was.

    What the process starts itself is ordinary. The kernel keeps a twentieth of each CPU for ordinary
    processes (sched_rt_runtime_us); a worker leaves them that share itself, in small pieces
    (`esp.net.interrupt_moderation.CpuYield`).
    """
    policy = os.SCHED_RR if priority else os.SCHED_OTHER
    try:
        os.sched_setscheduler(pid, policy | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except ProcessLookupError:
        return None  # it has ended, which is told elsewhere
    except PermissionError:
        return "that needs CAP_SYS_NICE"
    except OSError as error:
        return error.strerror or str(error)
    return None
