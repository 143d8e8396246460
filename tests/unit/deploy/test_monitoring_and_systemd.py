"""deploy/: a dashboard of metrics that there are, and a unit that systemd takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from itertools import chain
from pathlib import Path
from typing import Any

from ikepy.config.model import Daemon
from ikepy.daemon.process.capabilities import KEPT
from ikepy.daemon.service import FAREWELL
from tests.unit.daemon.http.everything import labels_by_metric
from tests.unit.docs.pages import DOCS, README, ROOT, tables

DASHBOARD = ROOT / "deploy/grafana/ikepy.json"
ALERTS = ROOT / "deploy/kubernetes/monitoring/prometheusrule.yaml"
UNIT = ROOT / "deploy/systemd/ikepy.service"
USERS = ROOT / "deploy/systemd/ikepy.conf"
BY_PROMETHEUS = {"instance", "job"}
SELECTOR = re.compile(r"\b((?:ikepy|strongswan)_\w+)(?:\{([^}]*)\})?")


def expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", ()))
        yield from expressions(panel.get("panels", []))


def test_the_dashboard_names_what_exists() -> None:
    dashboard, known = json.loads(DASHBOARD.read_text()), labels_by_metric()
    queries = [one["definition"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    found = [hit for text in (*expressions(dashboard["panels"]), *queries) for hit in SELECTOR.findall(text)]
    assert len(found) > 30
    for name, selectors in found:
        assert name in known, name
        used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selectors))
        assert used <= known[name] | BY_PROMETHEUS, name


def test_the_dashboard_groups_and_names_by_labels_that_exist() -> None:
    known = labels_by_metric()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            labels = set(chain.from_iterable(known[name] for name, _ in SELECTOR.findall(target["expr"])))
            by = chain.from_iterable(
                one.split(", ") for one in re.findall(r"(?:by|on) \(([^)]*)\)", target["expr"])
            )
            shown = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            assert {*by, *shown} <= labels | BY_PROMETHEUS, target


def test_no_alert_of_drops_that_ask_for_nothing() -> None:
    """Of packets under an SA, the reasons at which the documentation has nothing to do."""
    (expression,) = re.findall(r"expr: (rate\(ikepy_child_drops_total.*)", ALERTS.read_text())
    (left_out,) = re.findall(r'reason!~"([^"]+)"', expression)
    harmless = {
        row[0].strip("`")
        for row in tables(DOCS / "troubleshooting.md")["Drop reasons"]
        if re.match(r"nothing(:|$)", row[3])
    }
    assert set(left_out.split("|")) == harmless - {"keepalive"}  # which has no SA


def test_every_metric_of_ours_that_is_no_detail_is_on_the_dashboard() -> None:
    text = DASHBOARD.read_text()
    absent = {name for name in labels_by_metric() if name.startswith("ikepy") and name not in text}
    assert absent == {"ikepy_device_mtu_bytes"}


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, panel["title"]
                taken.add((x, y))


def service() -> dict[str, str]:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_the_unit_starts_what_readme_has_installed(tmp_path: Path) -> None:
    """systemd, where there is one, finds nothing wrong."""
    program, *words = service()["ExecStart"].split()
    assert words == ["run"]
    assert f"{program.removesuffix('/ikepy')}/pip install" in README.read_text()
    assert f"cp {UNIT.relative_to(ROOT)}" in README.read_text()
    if shutil.which("systemd-analyze") is not None:
        path = tmp_path / "ikepy.service"
        path.write_text(UNIT.read_text().replace(program, "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert path.name not in done.stderr, done.stderr


def test_the_unit_leaves_what_the_daemon_keeps() -> None:
    unit = service()
    assert set(unit["CapabilityBoundingSet"].split()) == {f"CAP_{one.name}" for one in KEPT}
    assert Daemon().socket.parent == Path("/run") / unit["RuntimeDirectory"]
    assert unit["Type"] == "notify"
    assert unit["KillMode"] == "mixed"  # the workers are not to be told to end before the farewell
    assert int(unit["TimeoutStopSec"]) > 2 * FAREWELL


def test_the_user_is_made(tmp_path: Path) -> None:
    kind, name, number, description = (
        line.split(maxsplit=3) for line in USERS.read_text().splitlines() if not line.startswith("#")
    ).__next__()
    assert (kind, name, number) == ("u", "ikepy", "-")
    assert description
    if shutil.which("systemd-sysusers") is None:
        return
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", str(USERS)], check=True, capture_output=True)
    assert (tmp_path / "etc/passwd").read_text().startswith("ikepy:")
