"""The picture in plain characters."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.lab.bed import Lab
from ikepy.lab.picture import draw
from ikepy.lab.state import Options

VARIANTS = [
    Options(peer=peer, nat=nat, ipv6=ipv6)
    for peer in ("ikepy", "strongswan")
    for nat in (False, True)
    for ipv6 in (False, True)
]
UPRIGHTS = (26, 61)
JOINTS = "│┬┴┐└┘┼"


@pytest.mark.parametrize("options", VARIANTS)
def test_it_fits_a_terminal_and_its_lines_meet(options: Options, tmp_path: Path) -> None:
    lines = draw(Lab(options, "none-", tmp_path)).splitlines()
    assert max(map(len, lines)) <= 80
    top = next(n for n, line in enumerate(lines) if "vxeth0" in line)
    bottom = next(n for n, line in enumerate(lines) if "internet" in line)
    boxes = [
        n
        for n, line in enumerate(lines)
        if "C4" in line or "╞" in line or "169.254" in line or "nat " in line
    ]
    for number in range(top, bottom + 1):
        if number not in boxes:
            assert all(lines[number][column] in JOINTS for column in UPRIGHTS), lines[number]


@pytest.mark.parametrize("options", VARIANTS)
def test_it_names_what_is_there(options: Options, tmp_path: Path) -> None:
    text = draw(Lab(options, "none-", tmp_path))
    for word in ("pod1", "pod2", "VXLAN 100", "C3", "C4", "L3", "L4", "internet", "site", "169.254.10.2"):
        assert word in text
    assert ("strongSwan" in text) is (options.peer == "strongswan")
    assert ("nat" in text.split()) is options.nat
    assert ("fd00:2::10" in text) is options.ipv6
