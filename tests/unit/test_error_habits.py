"""Errors are declared: broad handlers stand at named edges, and no `assert` meets bytes of the network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for part in ("ikepy", "esp", "tun") for path in (ROOT / part).rglob("*.py"))
BROAD = {"Exception", "BaseException"}
# Each edge with what an exception costs there, and how many handlers a file may have. All other broad
# handlers clean up and raise the exception again.
EDGES = {
    "ikepy/daemon/bus/event_bus.py": 1,  # what one listener does about one event
    "ikepy/daemon/supervision.py": 1,  # one round of a long-lived task, which begins again after a pause
    "ikepy/daemon/effects/runner.py": 1,  # one IKE_SA, which is torn down
    "ikepy/daemon/effects/computing.py": 1,  # one job: the exception is its result, and raised by the machine
    "ikepy/daemon/effects/waiting_jobs.py": 1,  # alike
    "ikepy/daemon/signer/keys.py": 1,  # one request: whoever asked is refused, and the process goes on
    "ikepy/daemon/http/answers.py": 1,  # one page: who asks for it is told that there is none now
    "ikepy/daemon/privileged/main.py": 1,  # one request, which is answered with an error
    "esp/datapath/worker.py": 3,  # one message of control, one batch of packets, or one deferred call
    "ikepy/daemon/http/ladder.py": 1,  # one message, which the page of messages lacks
    "ikepy/probe/runner.py": 1,  # one case, which is then inconclusive
    "ikepy/probe/conformance/command.py": 1,  # a file of somebody's own cases, which is refused
    "ikepy/lab/netns.py": 1,  # none: the thread that waits for the job raises the exception
}


def broad_handlers(source: str) -> Iterator[int]:
    """The lines of all handlers and `suppress` calls that take any exception and don't raise it again."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ExceptHandler(type=caught, body=[*_, last]):
                cleans_up = isinstance(last, ast.Raise) and last.exc is None
                if (caught is None or _is_broad(caught)) and not cleans_up:
                    yield node.lineno
            case ast.Call(func=ast.Attribute(attr="suppress") | ast.Name(id="suppress"), args=args):
                if any(map(_is_broad, args)):
                    yield node.lineno


def _is_broad(caught: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id in BROAD for node in ast.walk(caught))


@pytest.mark.parametrize(
    ("handler", "broad"),
    [
        ("except: pass", True),
        ("except Exception: pass", True),
        ("except (OSError, Exception) as error: print(error)", True),
        ("except BaseException: raise ValueError from None", True),
        ("except BaseException:\n    close()\n    raise", False),
        ("except OSError: pass", False),
    ],
)
def test_broad_handlers_are_found(handler: str, broad: bool) -> None:
    assert bool(list(broad_handlers(f"try:\n    call()\n{handler}"))) == broad


@pytest.mark.parametrize("name", ["suppress", "contextlib.suppress"])
def test_suppress_is_a_handler(name: str) -> None:
    assert list(broad_handlers(f"with {name}(Exception): call()")) == [1]
    assert list(broad_handlers(f"with {name}(OSError): call()")) == []


# Modules that handle bytes of the network: there a declared error or a type says what can't be.
NETWORK = [path for path in FILES if path.relative_to(ROOT).parts[:2] in (("ikepy", "wire"), ("ikepy", "sa"))]
NETWORK += [path for path in FILES if path.relative_to(ROOT).parts[0] == "esp"]


@pytest.mark.parametrize("path", NETWORK, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_assertion_meets_bytes_of_the_network(path: Path) -> None:
    found = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_broad_handlers_stand_at_edges(path: Path) -> None:
    found = list(broad_handlers(path.read_text()))
    assert len(found) <= EDGES.get(str(path.relative_to(ROOT)), 0), f"lines {found}"
