"""`ikepy probe HOST`: options, forms of output, status."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ikepy.cli import main
from ikepy.wire.payloads import VendorIdPayload
from tests.unit.probe.discovery.responder import Responder, listening
from tests.unit.probe.discovery.test_discover import MODERN, OLD

SCRIPT = b"<script>alert('1')</script>"


@contextmanager
def served(responder: Responder) -> Iterator[tuple[str, ...]]:
    """Options that lead to the responder, which runs in a thread."""
    loop, started, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with listening(responder) as found:
            ports.extend(found)
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield ("--port", str(ports[0]), "--nat-port", str(ports[1]), "--rate", "100", "--timeout", "0.1")
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probe", *arguments])


class _Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Path]]:
    """One run, as JSON and as a page."""
    html = tmp_path_factory.mktemp("probe") / "report.html"
    with served(Responder([MODERN, OLD], extra=(VendorIdPayload(SCRIPT),))) as options:
        yield run(*options, "--json", "--html", str(html), "--fail-below", "C", "127.0.0.1"), html


def test_json(found: tuple[Result, Path]) -> None:
    result, _ = found
    assert result.exit_code == 0  # 3DES and MODP_1024: C
    told = json.loads(result.stdout)
    names = {one["name"] for one in told["transforms"]["encryption"]["accepted"]}
    assert names == {"AES_GCM_16_256", "AES_GCM_16_128", "3DES_CBC"}
    assert [one["state"] for one in told["ports"]] == ["answers", "answers"]
    assert {one["profile"]: one["letter"] for one in told["grades"]}["rfc8247"] == "C"
    assert "whose owner has agreed" in result.stderr


def test_page(found: tuple[Result, Path]) -> None:
    """What the host sent is text, and nothing is loaded or run."""
    page = _Page(found[1].read_text())
    assert "AES_GCM_16_256" in page.text
    assert SCRIPT.decode() in page.text
    assert not {"script", "img", "link", "iframe", "a"} & set(page.tags)


def test_text_and_a_grade_that_is_too_low() -> None:
    with served(Responder([MODERN, OLD], extra=(VendorIdPayload(b"\x1b[2Jtext"),))) as options:
        result = run(*options, "-q", "--profile", "bsi", "--fail-below", "B", "127.0.0.1")
    assert result.exit_code == 1
    assert "3DES_CBC" in result.stdout
    assert "\x1b" not in result.stdout
    assert not result.stderr


def test_a_grade_of_which_almost_nothing_was_asked() -> None:
    with served(Responder([MODERN])) as options:
        result = run(*options, "-q", "--max-requests", "6", "--fail-below", "C", "127.0.0.1")
    assert result.exit_code == 1
    assert "not known: whether it accepts" in result.stdout


def test_no_answer() -> None:
    with served(Responder([MODERN], most=0)) as options:
        result = run(*options, "127.0.0.1", "--max-requests", "2")
    assert result.exit_code == 1
    assert "not all was asked" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("224.0.0.1",), "no single host"),
        (("255.255.255.255",), "no single host"),
        (("no-such-host.invalid",), "name a host or an address"),
        (("--psk-file", "/nowhere/psk", "127.0.0.1"), "/nowhere/psk"),
        (("--rate", "0", "127.0.0.1"), "--rate"),
        ((), "Usage"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert words in result.output


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "host" in result.stdout
