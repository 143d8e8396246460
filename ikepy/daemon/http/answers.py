"""An answer to a request, and how answers are shared so that many requests cost little.

Making an answer looks at the whole daemon. However many ask, that is done once, and again only when TIMES as
long has passed as it took: no page takes more than a twentieth of a CPU from IKE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from ikepy.daemon import log

LEAST = 0.2  # seconds that an answer is good for
TIMES = 20
AFTER_FAULT = 10.0  # seconds until it is tried again


Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type and content of a response, and headers beside those that each one has."""

    status: int
    kind: str
    body: bytes
    headers: Headers = ()

    @classmethod
    def text(cls, status: int, text: str) -> Answer:
        return cls(status, "text/plain; charset=utf-8", text.encode())


@dataclass(frozen=True, slots=True)
class Stream:
    """A response of status 200 whose content comes bit by bit, until `parts` ends or the client goes."""

    kind: str
    parts: AsyncGenerator[bytes, None]
    headers: Headers = ()


class Shared:
    """One page's answer, made by `make`."""

    def __init__(self, make: Callable[[], Awaitable[Answer]]) -> None:
        self._make = make
        self._making: asyncio.Task[Answer] | None = None
        self._answer: Answer | None = None
        self._good_until = 0.0
        self.cost = 0.0  # seconds that the last one took

    async def get(self) -> Answer:
        """The answer, perhaps one that was made a moment ago, or the one that is being made."""
        if self._answer is not None and asyncio.get_running_loop().time() < self._good_until:
            return self._answer
        if self._making is None:
            self._making = asyncio.create_task(self._make_one())
        return await asyncio.shield(self._making)

    async def _make_one(self) -> Answer:
        clock = asyncio.get_running_loop().time
        begin, least = clock(), LEAST
        try:
            self._answer = await self._make()
        except Exception as error:  # a fault of ours: told once in a while, whoever asks how often
            log.log(logging.ERROR, "http", f"an answer can't be made: {error}", "http", traceback=error)
            self._answer, least = Answer.text(500, "internal fault; the log has more\n"), AFTER_FAULT
        finally:
            self._making = None
        self.cost = clock() - begin
        self._good_until = clock() + max(least, TIMES * self.cost)
        return self._answer

    async def close(self) -> None:
        """End what is under way."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
