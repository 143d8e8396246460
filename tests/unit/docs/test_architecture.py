"""docs/architecture.md: the rooms of the machine and the phases of an IKE_SA, as the code has them."""

from __future__ import annotations

from ikepy.sa.state.exchange_plan import ExchangePlan
from ikepy.sa.state.phase import PERMITTED, Phase
from tests.unit.docs.pages import DOCS, ROOT, quoted, tables
from tests.unit.test_imports import DAEMON_ROOMS, SA_ROOMS

PAGE = DOCS / "architecture.md"


def test_rooms_in_their_order() -> None:
    first = [quoted(row[0])[0] for row in tables(PAGE)["Layers"]]
    assert tuple(cell for cell in first if "." not in cell and cell not in ("esp", "tun")) == SA_ROOMS


def test_rooms_of_the_daemon() -> None:
    rooms = [quoted(row[0])[0] for row in tables(PAGE)["Rooms of the daemon"]]
    packages = {path.parent.name for path in (ROOT / "ikepy/daemon").glob("*/__init__.py")}
    assert rooms == [room for room in DAEMON_ROOMS if room in packages]


def test_rooms_of_the_data_plane() -> None:
    rooms = [quoted(row[0])[0] for row in tables(PAGE)["Rooms of the data plane"]]
    assert set(rooms) == {path.parent.name for path in (ROOT / "esp").glob("*/__init__.py")}


def test_phases_and_what_the_peer_may_request() -> None:
    rows = tables(PAGE)["An IKE message"]
    assert [quoted(row[0])[0] for row in rows] == [phase.value for phase in Phase]
    for phase, row in zip(Phase, rows, strict=True):
        planned = frozenset({ExchangePlan().permitted})
        permitted = {exchange.name for exchange in PERMITTED.get(phase, planned)}
        assert set(row[2].split(", ")) == (permitted or {"nothing"}), phase
