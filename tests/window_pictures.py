"""The pictures in docs/window.md: `python -m tests.window_pictures [DIRECTORY]`, as root."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from ikepy.lab.state import Options
from tests.netns.window import Page, page

DOCS = Path(__file__).resolve().parents[1] / "docs"


def draw(shown: Page, directory: Path) -> None:
    """All of them."""

    def keep(name: str) -> None:
        time.sleep(0.5)  # for what moves
        shown.driver.save_screenshot(str(directory / f"window-{name}.png"))

    shown.one(".rung .title", "IKE_AUTH response 1")
    shown.click("#ping")
    time.sleep(3)
    shown.click("[data-action=drop]")
    shown.click("[data-action=rekey_child]")
    shown.one(".outcomes", "cgw has rekeyed")
    shown.click(".rung .title", "IKE_AUTH request 1")
    shown.click(".field-name", "Traffic Selector - Initiator")
    keep("ladder")
    shown.click("#tab-keys")
    shown.one(".step h3", "SKEYSEED")
    keep("keys")
    shown.click("#ping")
    shown.click("#tab-way")
    shown.click("#follow")
    shown.one(".hop", "pod1 has its answer")
    shown.click(".hop b", "cgw eth0")
    shown.click("#way .pill", "ESP packet")
    keep("way")
    shown.click("#tab-simulation")
    shown.click("#simulation .primary")
    shown.one(".told", "all laws hold")
    shown.script("document.querySelectorAll('.steps li')[14].click()")
    keep("simulation")


if __name__ == "__main__":
    options = Options(nat=True, keylog=True, web=True)
    with tempfile.TemporaryDirectory() as work, page(Path(work), options) as opened:
        draw(opened, Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
