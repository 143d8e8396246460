"""Every module of ikepy.sa that needs no IKE_SA has direct tests, in the file that mirrors it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SA = ROOT / "ikepy" / "sa"
# Values without a decision of their own; what decides about them is tested.
VALUES = {
    "auth/choice.py",
    "auth/relay.py",
    "message/protection.py",
    "state/auth_round.py",
    "state/connecting.py",
    "state/ended.py",
    "state/ike_keys.py",
    "state/init_exchange.py",
    "state/replacement.py",
    "state/set_up.py",
    "state/task.py",
    "state/wanted_child.py",
}


@cache
def imports(module: Path) -> frozenset[Path]:
    """The modules of ikepy.sa that a module imports, by itself or by another one."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ikepy.sa"):
            place = ROOT.joinpath(*node.module.split("."))
            candidates = [place.with_suffix(".py"), *(place / f"{one.name}.py" for one in node.names)]
            for each in filter(Path.is_file, candidates):
                found |= {each, *imports(each)}
    return frozenset(found)


PURE = [
    module
    for module in sorted(SA.glob("*/*.py"))
    if module.name != "__init__.py"
    and module.parent.name != "api"
    and module != SA / "state" / "ike_sa.py"
    and SA / "state" / "ike_sa.py" not in imports(module)
]


def test_there_are_pure_modules_and_others() -> None:
    assert SA / "negotiation" / "proposals.py" in PURE
    assert SA / "driver" / "dispatch.py" not in PURE
    assert len(PURE) > 30


@pytest.mark.parametrize("module", PURE, ids=lambda path: str(path.relative_to(SA)))
def test_a_pure_module_has_direct_tests(module: Path) -> None:
    name = module.relative_to(SA)
    mirror = Path(__file__).parent / name.parent / f"test_{name.name}"
    assert mirror.is_file() or str(name) in VALUES
