"""Dropping videos on the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.studio.small_project import FRAMES

pytest.importorskip("fastapi", reason="needs vostrack[studio]")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.testclient import TestClient

from vostrack.studio.desk import Desk


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def send(client: TestClient, title: str, files: dict[str, bytes]) -> Any:
    """Drop files on the page; return the last answer."""
    listed = [[name, len(data)] for name, data in files.items()]
    answer = client.post("/api/uploads", json={"title": title, "files": listed})
    if answer.status_code != 200:
        return answer
    key = answer.json()["upload"]
    for number, data in enumerate(files.values()):
        answer = client.put(f"/api/uploads/{key}/{number}", content=data)
        if answer.status_code != 200:
            return answer
    return client.post(f"/api/uploads/{key}/open")


def frames_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def left_over(folder: Path) -> list[Path]:
    return list(folder.glob(".vostrack-upload-*"))


def test_a_long_name_that_fits_can_be_dropped(client: TestClient, desk: Desk, video: Path) -> None:
    title = "映" * 70
    assert send(client, title, frames_of(video)).status_code == 200
    assert desk.session().project.folder.name == f"{title}.vostrack"


def test_a_dropped_folder_of_frames_opens_in_a_project_of_its_own(
    client: TestClient, desk: Desk, tmp_path: Path, video: Path
) -> None:
    assert send(client, "holiday", frames_of(video)).status_code == 200
    project = desk.session().project
    assert project.folder == tmp_path / "holiday.vostrack"
    assert project.video.count == FRAMES
    assert frames_of(project.folder / "video") == frames_of(video)
    assert left_over(tmp_path) == []


def test_the_same_video_dropped_again_goes_on_and_another_gets_its_own(
    client: TestClient, desk: Desk, video: Path, tmp_path: Path
) -> None:
    files = frames_of(video)
    send(client, "holiday", files)
    desk.session().set_objects([], "nothing")
    client.post("/api/open", json={"path": "clip"})
    send(client, "holiday", files)
    assert desk.session().project.steps()[0] == "nothing"
    files.pop("00000.png")
    send(client, "holiday", files)
    assert desk.session().project.folder == tmp_path / "holiday-2.vostrack"
    listed = client.get("/api/videos").json()["videos"]
    assert str(tmp_path / "holiday.vostrack" / "video") in listed


def test_a_video_dropped_under_another_name_goes_on(
    client: TestClient, desk: Desk, video: Path, tmp_path: Path
) -> None:
    files = frames_of(video)
    assert send(client, "holiday", files).json()["new"]
    desk.session().set_objects([], "nothing")
    client.post("/api/open", json={"path": "clip"})
    assert not send(client, "film", files).json()["new"]
    assert desk.session().project.folder == tmp_path / "holiday.vostrack"
    shutil.rmtree(tmp_path / "holiday.vostrack")
    client.post("/api/open", json={"path": "clip"})  # its project is beside it
    desk.session().set_objects([], "nothing")
    assert not send(client, "film", files).json()["new"]
    assert desk.session().project.folder == tmp_path / "clip.vostrack"
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("title", "files", "message"),
    [
        ("clip.mp4", {}, "expected 1..100000 files"),
        ("../clip.mp4", {"clip.mp4": b""}, "is not a plain file name"),
        ("clip.mp4", {"../clip.mp4": b""}, "is not a plain file name"),
        ("clip.mp4", {"a\\b.mp4": b""}, "is not a plain file name"),
        ("clip.mp4", {".mp4": b""}, "is not a plain file name"),
        ("x", {"a" * 227 + ".png": b""}, "the name aaaaaaaaaaaaaaaaaaaa... is too long: expected"),
        (
            "映" * 90 + ".mp4",
            {"a.mp4": b""},
            "is too long: expected at most 230 bytes in UTF-8, got 274",
        ),
        ("run.sh", {"run.sh": b""}, "expected one video, or images of one kind, got '.sh'"),
        ("x", {"a.png": b"", "b.sh": b""}, "got '.sh'"),
        ("x", {"a.mp4": b"", "b.mp4": b""}, "got '.mp4'"),
        ("clip.mp4", {"clip.mp4": b"0" * 200_001}, "expected at most 195.3 KB"),
        ("clip.mp4", {"clip.mp4": b"\0" * 999}, "clip.mp4"),
        ("clip.mp4", {"clip.mp4": b"#EXTM3U\n"}, "is a text or a list of files"),
        ("frames", {"a.png": b"no picture"}, "a.png"),
    ],
)
def test_wrong_uploads_are_refused_and_leave_nothing(
    client: TestClient,
    desk: Desk,
    tmp_path: Path,
    title: str,
    files: dict[str, bytes],
    message: str,
) -> None:
    before, paths = desk.key, {path.name for path in tmp_path.iterdir()}
    assert message in error(send(client, title, files))
    assert desk.key == before
    assert {path.name for path in tmp_path.iterdir()} == paths


def test_more_bytes_than_were_announced_are_cut_off(client: TestClient, tmp_path: Path) -> None:
    announced = {"title": "clip.mp4", "files": [["clip.mp4", 10]]}
    key = client.post("/api/uploads", json=announced).json()["upload"]
    path = f"/api/uploads/{key}/0"
    assert "larger than it was announced" in error(client.put(path, content=b"0" * 11), 413)
    assert client.put(path, content=b"0" * 200_001).status_code == 413
    assert "10 bytes, 9 came" in error(client.put(path, content=b"0" * 9))
    assert "clip.mp4 has not come" in error(client.post(f"/api/uploads/{key}/open"))
    assert "expected file 0..0" in error(client.put(f"/api/uploads/{key}/1", content=b""))


def test_an_upload_takes_the_place_of_one_that_was_not_finished(
    client: TestClient, desk: Desk, tmp_path: Path
) -> None:
    announced = {"title": "clip.mp4", "files": [["clip.mp4", 10]]}
    old = client.post("/api/uploads", json=announced).json()["upload"]
    client.post("/api/uploads", json=announced)
    answer = client.put(f"/api/uploads/{old}/0", content=b"0" * 10)
    assert "another upload has taken its place" in error(answer)
    assert len(left_over(tmp_path)) == 1
    desk.close()
    assert left_over(tmp_path) == []


def test_too_little_room_is_said_before_anything_is_sent(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr("vostrack.studio.uploads.shutil.disk_usage", lambda path: usage)
    announced = {"title": "clip.mp4", "files": [["clip.mp4", 10]]}
    assert "free some space" in error(client.post("/api/uploads", json=announced))
