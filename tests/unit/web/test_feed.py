"""What a page hears: everything at its beginning, then what is new; and all again when it was too slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

from ikepy.web.feed import PAGES, QUEUED, Event, Feed


def whole() -> Iterator[Event]:
    yield "begin", {"said": "a\nb"}


def test_begins_with_everything_and_goes_on() -> None:
    async def run() -> list[bytes]:
        feed = Feed(whole)
        events = feed.events()
        first = await anext(events)
        feed.publish("message", {"number": 1})
        feed.publish("message", {"number": 2})
        second = await anext(events)
        await events.aclose()
        return [first, second]

    first, second = asyncio.run(run())
    name, data = first.decode().rstrip("\n").split("\n")
    assert name == "event: begin"
    assert json.loads(data.removeprefix("data: ")) == {"said": "a\nb"}
    assert second.count(b"event: message") == 2


def test_a_slow_page_hears_everything_again() -> None:
    async def run() -> tuple[bytes, bytes]:
        feed = Feed(whole)
        events = feed.events()
        await anext(events)
        for number in range(QUEUED + 10):
            feed.publish("message", number)
        rest = await anext(events)
        return rest, await anext(events)

    rest, again = asyncio.run(run())
    assert rest == b":\n\n"  # what it missed is dropped
    assert b"event: begin" in again


def test_a_page_that_left_is_forgotten() -> None:
    async def run() -> tuple[bool, bool]:
        feed = Feed(whole)
        pages = [feed.events() for _ in range(PAGES)]
        for page in pages:
            await anext(page)
        full = feed.full
        await pages[0].aclose()
        return full, feed.full

    assert asyncio.run(run()) == (True, False)
