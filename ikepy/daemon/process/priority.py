"""A worker's place in the scheduler: under load before ordinary processes, as the kernel's packet path is.

The kernel runs its network stack in softirqs, before any process. A worker that takes turns with whoever
sends and receives through it lets packets wait in front of it for as long as the others' turns last.
"""

from __future__ import annotations

import os

ORDINARY = 0


def set_priority(pid: int, priority: int) -> str | None:
    """Let a process run before all ordinary ones (SCHED_RR, sched(7)), `priority` 1 to 99, or as one of them,
    ORDINARY. Why that can't be, if it can't.

    What the process starts itself is ordinary. The kernel keeps a twentieth of each CPU for the others
    (sched_rt_runtime_us); a worker leaves it to them itself, in small pieces
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
