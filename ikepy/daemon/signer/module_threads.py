"""Threads for what PKCS#11 modules have to do: a few for each, so that one that hangs holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 4  # requests at once of a module, which may have several tokens
MOST_OF_MODULE = 64  # requests that were taken and are not done; further ones are not taken
MOST_MODULES = 16  # that have threads; further ones take the place of one that has nothing to do


class _Module:
    """The threads of one module; `begun`: requests that are not done."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, "token")
        self.begun = 0


class ModuleThreads:
    """The threads of all modules. One thread calls it."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        self._lock = threading.Lock()  # of all `begun`

    def submit(self, module: str, job: Callable[[], object]) -> bool:
        """Have a module's thread do a job. False if the module has too many already, or too many modules
        have some."""
        found = self._modules.get(module) or self._add(module)
        if found is None or found.begun >= MOST_OF_MODULE:
            return False
        with self._lock:
            found.begun += 1
        found.threads.submit(job).add_done_callback(lambda _: self._done(found))
        return True

    def _add(self, module: str) -> _Module | None:
        if len(self._modules) >= MOST_MODULES:
            idle = next((path for path, one in self._modules.items() if not one.begun), None)
            if idle is None:
                return None
            self._modules.pop(idle).threads.shutdown(wait=False)
        self._modules[module] = _Module()
        return self._modules[module]

    def _done(self, module: _Module) -> None:
        with self._lock:
            module.begun -= 1

    def shutdown(self) -> None:
        """Begin no further job, and wait for none."""
        for one in self._modules.values():
            one.threads.shutdown(wait=False, cancel_futures=True)
