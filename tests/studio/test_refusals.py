"""Refusals are in the words of the page, and of whoever started the server."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.studio.conftest import asking


def error(answer: Any) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"])


def test_refusals_name_what_whoever_started_it_writes(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vostrack.cli.studio import StudioCommand
    from vostrack.studio import serve

    given: dict[str, Any] = {}
    monkeypatch.setattr(serve, "serve", lambda _, **options: given.update(options))
    StudioCommand().run()
    named = ("/api/open", {"path": "/etc/passwd"}), ("/api/uploads", {"title": "a", "files": []})
    large = ("/api/uploads", {"title": "a.mp4", "files": [["a.mp4", 300_000]]})
    with asking(desk) as client:
        assert "its folder in `folders`" in error(client.post(named[0][0], json=named[0][1]))
        desk.spell = given["spell"]
        found = [error(client.post(path, json=body)) for path, body in (*named, large)]
    assert found[0].startswith("video: /etc/passwd")
    assert "its folder in --folders," in found[0]
    assert "expected 1..100000 files" in found[1]
    assert "with a larger --largest-upload," in found[2]


def test_where_nothing_stands_out_the_frame_is_named(
    client: Any, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vostrack.proposers.first_mask import NothingFoundError

    def nothing(frames: object) -> None:
        raise NothingFoundError("first mask auto: no object stands out; use `start`")

    parts = dataclasses.replace(desk.session()._parts, propose=nothing)
    monkeypatch.setattr(desk.session(), "_parts", parts)
    assert error(client.post("/api/frames/2/suggestions")) == (
        "suggestions: no object stands out in frame 2 and the second after it; outline the object, "
        "or go to another frame"
    )
