"""The sets of cases: each is a package whose modules register their cases when they are loaded."""

from __future__ import annotations

from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules

SETS = ("ikepy.probe.sgw.responder", "ikepy.probe.sgw.initiator", "ikepy.probe.extensions")


def load() -> None:
    """Load every module of every set. May be called again."""
    for name in SETS:
        package = import_module(name)
        for found in iter_modules(package.__path__):
            import_module(f"{name}.{found.name}")


def load_file(file: Path) -> None:
    """Load a file of cases. ImportError if it is none; what its own lines raise comes as it is."""
    spec = spec_from_file_location(f"ikepy_probe_cases_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError("is no Python file")
    spec.loader.exec_module(module_from_spec(spec))
