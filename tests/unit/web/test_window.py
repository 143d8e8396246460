"""The window's requests: nothing without its token, nothing but JSON and its own files, no scripts of
others."""

from __future__ import annotations

import asyncio
import json
import re
from importlib.resources import files

import pytest

from ikepy.daemon.http.answers import Answer, Stream
from ikepy.web.feed import Feed
from ikepy.web.window import Download, NotThereError, RefusedError, Window, static_files

TOKEN = "token"


async def _echo(rest: str) -> object:
    if rest == "gone":
        raise NotThereError("it is gone")
    return {"rest": rest, "text": "<script>"}


async def _file(_: str) -> object:
    return Download("a.pcapng", "application/octet-stream", b"\x0a\x0d")


async def _do(form: dict[str, object]) -> object:
    if form.get("refuse"):
        raise RefusedError("not now")
    return form


def window(token: str | None = TOKEN) -> Window:
    return Window(Feed(list), {"echo": _echo, "file": _file}, {"do": _do}, token)


def get(path: str) -> Answer:
    answer = asyncio.run(window().get(path))
    assert isinstance(answer, Answer)
    return answer


def post(path: str, body: bytes) -> Answer:
    return asyncio.run(window().post(path, body))


def header(answer: Answer | Stream, name: bytes) -> bytes:
    return dict(answer.headers).get(name, b"")


@pytest.mark.parametrize(
    "path", ["/", "/token", "/wrong/", "/wrong/echo", "//", "/wrong/main.js", "/tokens/"]
)
def test_without_the_token_there_is_nothing(path: str) -> None:
    answer = get(path)
    assert answer.status == 404
    assert b"<" not in answer.body


def test_a_token_of_its_own_each_time() -> None:
    one, other = window(None), window(None)
    assert one.token != other.token
    assert len(one.token) >= 32
    assert one.path == f"/{one.token}/"


def test_the_page_and_its_files() -> None:
    assert get("/token/").kind.startswith("text/html")
    assert get("/token/main.js").kind.startswith("text/javascript")
    assert get("/token/../window.py").status == 404
    assert get("/token/nothing").status == 404


@pytest.mark.parametrize("path", ["/token/", "/token/main.js", "/token/echo/1", "/token/file", "/nothing"])
def test_every_answer_forbids_scripts_of_others(path: str) -> None:
    policy = header(get(path), b"Content-Security-Policy").decode()
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert header(get(path), b"Referrer-Policy") == b"no-referrer"
    assert header(get(path), b"X-Content-Type-Options") == b"nosniff"


def test_what_comes_from_the_wire_is_json() -> None:
    answer = get("/token/echo/1/2")
    assert answer.kind == "application/json"
    assert json.loads(answer.body) == {"rest": "1/2", "text": "<script>"}
    assert get("/token/echo/gone").status == 404


def test_a_file_is_for_keeping() -> None:
    answer = get("/token/file")
    assert answer.body == b"\x0a\x0d"
    assert header(answer, b"Content-Disposition") == b'attachment; filename="a.pcapng"'


def test_events_are_a_stream() -> None:
    answer = asyncio.run(window().get("/token/events"))
    assert isinstance(answer, Stream)
    assert header(answer, b"Content-Security-Policy")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/token/do", b'{"a": 1}', 200),
        ("/token/do", b'{"refuse": true}', 409),
        ("/token/do", b"[]", 400),
        ("/token/do", b"\xff", 400),
        ("/token/do", b"[" * 8000, 400),
        ("/token/echo", b"{}", 404),
        ("/wrong/do", b"{}", 404),
    ],
)
def test_posted(path: str, body: bytes, status: int) -> None:
    assert post(path, body).status == status


def test_read_only_without_posts() -> None:
    window = Window(Feed(list), {}, None, TOKEN)
    assert asyncio.run(window.post("/token/do", b"{}")).status == 404


SOURCES = {
    one.name: one.read_text()
    for one in files("ikepy.web").joinpath("static").iterdir()
    if one.name.endswith((".js", ".html", ".css"))
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_files_load_nothing_from_elsewhere_and_make_no_html(name: str) -> None:
    text = SOURCES[name]
    assert name in static_files()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
    ):
        assert forbidden not in text
    for address in re.findall(r"https?://[^\s\"'`$]+", text):  # links to follow, and a namespace
        assert address.startswith(("https://www.rfc-editor.org/", "http://www.w3.org/2000/svg"))
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\bon[a-z]+=\"|style=\"", text)
    assert "@import" not in text
