"""Where the server listens."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vostrack.errors import InputError
from vostrack.studio.events import News
from vostrack.studio.places import default_folder
from vostrack.studio.serve import LOOPBACK, _names, check_host


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_computer_is_allowed(host: str) -> None:
    check_host(host, allow_remote=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.com"])
def test_other_computers_only_on_request(host: str) -> None:
    with pytest.raises(InputError, match=r"can be reached from other computers.*allow_remote"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)


def test_a_server_for_other_computers_knows_the_names_of_this_one() -> None:
    assert _names("127.0.0.1")[0] == "127.0.0.1"
    assert set(_names("127.0.0.1")) == set(LOOPBACK)
    found = _names("0.0.0.0")
    assert found[0] == socket.gethostname()
    assert "0.0.0.0" not in found
    assert set(LOOPBACK) < set(found)


def test_the_news_end_with_the_server() -> None:
    async def heard() -> list[str]:
        news = News()
        stream = news.listen()
        first = await anext(stream)
        news.tell("job", {})
        news.end()
        return [first, *[text async for text in stream]]

    # The thread of browser tests has a running loop already.
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(asyncio.run, heard()).result()
    assert found == ["event: hello\ndata: {}\n\n", "event: job\ndata: {}\n\n"]


def test_the_project_lies_beside_the_video(tmp_path: Path) -> None:
    assert default_folder(str(tmp_path / "clip.mp4")) == tmp_path / "clip.vostrack"
    assert default_folder(str(tmp_path / "frames")) == tmp_path / "frames.vostrack"
    assert default_folder(str(tmp_path / "frames" / "*.png")) == tmp_path / "frames.vostrack"
    dropped = tmp_path / "a.vostrack" / "video"
    assert default_folder(dropped) == default_folder(dropped / "a.mp4") == tmp_path / "a.vostrack"
