"""The pages of the window: static files, JSON and server-sent events behind a token in the path.

Everything is served by us, and nothing but that is loaded (Content-Security-Policy). What peers send reaches
the page as JSON alone, and the page shows it as text.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

from ikepy.daemon.http.answers import Answer, Headers, Stream
from ikepy.web.feed import Feed

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
JSON = "application/json"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Headers = (
    (b"Content-Security-Policy", POLICY.encode()),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),  # the token is in the path
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
)
TOKEN = 24  # octets


@dataclass(frozen=True, slots=True)
class Download:
    """A file for the user to keep."""

    name: str
    kind: str
    octets: bytes


Get = Callable[
    [str], Awaitable[object]
]  # what follows the name in the path -> a value for JSON, or a Download
Post = Callable[[dict[str, object]], Awaitable[object]]


class NotThereError(LookupError):
    """A page asks for what is not there (any more). The text is for the user."""


class RefusedError(ValueError):
    """A page asks for what can't be done. The text is for the user."""


class Window:
    """Answers the requests of pages. `gets`, `posts`: functions by the first name of the path."""

    def __init__(
        self, feed: Feed, gets: dict[str, Get], posts: dict[str, Post] | None = None, token: str | None = None
    ) -> None:
        self._feed = feed
        self._gets = gets
        self._posts = posts or {}
        self.token = secrets.token_urlsafe(TOKEN) if token is None else token
        self._static = static_files()

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/{self.token}/"

    async def get(self, path: str) -> Answer | Stream:
        """The answer to GET."""
        inside = self._inside(path)
        if inside is None:
            return _text(404, "the address of this page ends in its token: copy all of it\n")
        if inside == "events":
            if self._feed.full:
                return _text(503, "too many pages listen\n")
            return Stream("text/event-stream", self._feed.events(), HEADERS)
        static = self._static.get(inside or "index.html")
        if static is not None:
            return static
        name, _, rest = inside.partition("/")
        get = self._gets.get(name)
        if get is None:
            return _text(404, "there is no such page\n")
        return await _answered(get(rest))

    async def post(self, path: str, body: bytes) -> Answer:
        """The answer to POST: a JSON object is posted."""
        inside = self._inside(path)
        post = None if inside is None else self._posts.get(inside)
        if post is None:
            return _text(404, "there is nothing to do here\n")
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return _text(400, "a JSON object is expected\n")
        return await _answered(post(value))

    def _inside(self, path: str) -> str | None:
        """What follows the token; None without it."""
        token, slash, inside = path[1:].partition("/")
        right = hmac.compare_digest(token.encode(), self.token.encode())
        return inside if right and slash else None


def static_files() -> dict[str, Answer]:
    """The page's own files, by name."""
    return {
        one.name: Answer(200, kind, one.read_bytes(), HEADERS)
        for one in files("ikepy.web").joinpath("static").iterdir()
        if (kind := KINDS.get(one.name.rpartition(".")[2])) is not None
    }


async def _answered(value: Awaitable[object]) -> Answer:
    try:
        found = await value
    except NotThereError as error:
        return _text(404, f"{error}\n")
    except RefusedError as error:
        return _text(409, f"{error}\n")
    if isinstance(found, Download):
        name = (b"Content-Disposition", f'attachment; filename="{found.name}"'.encode())
        return Answer(200, found.kind, found.octets, (*HEADERS, name))
    return Answer(200, JSON, json.dumps(found).encode(), HEADERS)


def _text(status: int, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", text.encode(), HEADERS)
