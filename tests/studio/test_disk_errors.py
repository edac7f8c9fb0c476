"""Words for files that cannot be used."""

from __future__ import annotations

import errno
import os
import zlib
from typing import Any

import pytest

from tests.studio.small_project import draw, square
from vostrack.studio.disk_errors import disk_words, is_full


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "allow this account to write there"),
        (errno.ENAMETOOLONG, "give the video a shorter name"),
        (errno.EFBIG, "raise the limit (ulimit -f), or use a disk that takes larger files"),
        (errno.EIO, "check the disk"),
    ],
)
def test_the_remedy_fits_what_went_wrong(number: int, remedy: str) -> None:
    words = disk_words(OSError(number, os.strerror(number), "/there/a.png"))
    assert f"{os.strerror(number)} (/there/a.png); {remedy}" in words
    assert is_full(OSError(number, "")) == (number in (errno.ENOSPC, errno.EFBIG))
    assert words.count("free some space") == (number == errno.ENOSPC)


def test_a_file_that_is_gone_is_not_a_full_disk(client: Any, desk: Any) -> None:
    project = desk.session().project
    draw(project, 0, square(5))
    (project.folder / "edits" / "000000.png").unlink()
    answer = client.get("/api/frames/0/labels")
    assert answer.status_code in (400, 500)
    assert "000000.png" in answer.json()["error"]
    assert "free some space" not in answer.json()["error"]


def test_a_folder_that_was_moved_away_is_not_made_anew(client: Any, desk: Any) -> None:
    session = desk.session()
    project = session.project
    draw(project, 0, square(5))
    project.track(1, square(6), {1: 1.0})
    tag, away = project.tag(0), project.folder.with_name("away")
    packed = zlib.compress(square(9).tobytes())
    project.folder.rename(away)
    answers = [
        client.put("/api/frames/0/labels", content=packed, headers={"x-mask-tag": tag}),
        client.post("/api/objects"),
        client.post("/api/undo"),
        client.delete("/api/frames/0/labels"),
        client.post("/api/exports/masks"),
        client.get("/api/frames/0/labels"),
        client.get("/api/frames/0/mask.png"),
    ]
    for answer in answers:
        assert answer.status_code == 500  # the page keeps what was drawn, and sends it again
        assert answer.json()["error"] == (
            f"project: the folder {project.folder} was moved, renamed or deleted; put it back "
            "there, then try again"
        )
    session.track(0, "forward")
    session.job._thread.join()
    assert "was moved, renamed or deleted" in session.job.state.message
    session.close()
    assert not project.folder.exists()
    away.rename(project.folder)
    again = client.put("/api/frames/0/labels", content=packed, headers={"x-mask-tag": tag})
    assert again.status_code == 200
