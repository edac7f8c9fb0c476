"""News for all open pages, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["News"]

# A page that is this far behind is told to load everything again.
_BACKLOG = 2000
_PULSE_SECONDS = 15.0
_END = ""


class News:
    """Hands messages from any thread to every page that listens."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[str]] = set()

    def tell(self, kind: str, message: dict[str, Any]) -> None:
        """Announce something; from any thread.

        Args:
            kind: name of the event.
            message: its data.
        """
        if self._loop is not None and not self._loop.is_closed():
            text = f"event: {kind}\ndata: {json.dumps(message)}\n\n"
            self._loop.call_soon_threadsafe(self._put, text)

    def _put(self, text: str) -> None:
        for queue in self._queues:
            if queue.qsize() >= _BACKLOG:
                while not queue.empty():
                    queue.get_nowait()
                text = "event: reload\ndata: {}\n\n"
            queue.put_nowait(text)

    def end(self) -> None:
        """End the events of every page, so that the server can stop; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, _END)

    async def listen(self) -> AsyncIterator[str]:
        """Give the events of one page as they come, and a pulse while there are none."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield "event: hello\ndata: {}\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), _PULSE_SECONDS)
                except asyncio.TimeoutError:
                    text = ": still here\n\n"
                if text == _END:
                    return
                yield text
        finally:
            self._queues.discard(queue)
