"""Opening videos by path, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.studio.conftest import asking, write_frames
from tests.studio.small_project import FRAMES, square

pytest.importorskip("fastapi", reason="needs vostrack[studio]")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.testclient import TestClient

from vostrack.errors import InputError
from vostrack.studio.desk import Desk
from vostrack.studio.places import Places
from vostrack.studio.serve import Opening
from vostrack.studio.session import Parts, StudioSession


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def test_the_list_names_the_videos_of_the_chosen_folders(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    found = client.get("/api/videos").json()
    assert found["folders"] == [str(tmp_path)]
    assert found["videos"] == [str(tmp_path / "clip"), str(tmp_path / "film.mp4")]


def test_a_video_opens_by_path_and_its_project_lies_beside_it(
    client: TestClient, desk: Desk, tmp_path: Path
) -> None:
    before = desk.key
    write_frames(tmp_path / "other", 3)
    answer = client.post("/api/open", json={"path": "other"}).json()
    assert answer["project"] == desk.key != before
    assert client.get("/api/state").json()["video"]["count"] == 3
    assert desk.session().project.folder == tmp_path / "other.vostrack"
    client.post("/api/open", json={"path": str(tmp_path / "clip")})
    assert client.get("/api/state").json()["video"]["count"] == FRAMES


def test_a_page_that_shows_another_project_changes_nothing(
    client: TestClient, desk: Desk, tmp_path: Path
) -> None:
    old = desk.key
    write_frames(tmp_path / "other")
    client.post("/api/open", json={"path": "other"})
    for method, path in [("POST", "/api/undo"), ("DELETE", "/api/frames/0/labels")]:
        answer = client.request(method, path, params={"project": old})
        assert "another video was opened" in error(answer, 409)
    assert client.post("/api/undo", params={"project": desk.key}).status_code == 200
    desk.close()
    desk.key = ""
    assert "no video is open" in error(client.post("/api/undo", params={"project": old}), 409)


def test_a_project_has_the_same_key_whenever_it_is_open(
    client: TestClient, desk: Desk, tmp_path: Path, parts: Parts
) -> None:
    first = desk.key
    desk.open(write_frames(tmp_path / "other"))
    other = desk.key
    desk.open(tmp_path / "clip", tmp_path / "project")
    assert desk.key == first != other
    desk.close()
    again = Desk(lambda project, news: StudioSession(project, parts, news), Places([tmp_path]))
    again.open(tmp_path / "other")
    assert again.key == other
    again.close()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside", "~root/.bashrc", "link", "clip/../../outside", "\0"]
)
def test_paths_outside_the_chosen_folders_are_refused(
    client: TestClient, tmp_path: Path, path: str
) -> None:
    outside = tmp_path.parent / "outside"
    if not outside.exists():
        write_frames(outside, 2)
    (tmp_path / "link").symlink_to(outside)
    assert "is not in a folder that was chosen" in error(
        client.post("/api/open", json={"path": path})
    )
    shutil.rmtree(outside)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing.mp4", None, "there is no missing.mp4"),
        ("notes.txt", b"text", "is not a video file"),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "is a text or a list of files"),
        ("list.ts", b"#EXTM3U\n/etc/passwd\n", "is a text or a list of files"),
        (
            "list.mkv",
            b'<?xml version="1.0"?>\n<!-- \xe9 --><MPD profiles="urn:mpeg:dash:profile"',
            "list of",
        ),
        ("stream.mov", b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "list of"),
        ("broken.mp4", b"\0" * 999, "broken.mp4"),
        ("empty", None, "is a folder without images"),
    ],
)
def test_what_is_no_video_is_refused_and_the_open_one_stays(
    client: TestClient, desk: Desk, tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    before = desk.key
    if data is not None:
        (tmp_path / name).write_bytes(data)
    (tmp_path / "empty").mkdir()
    assert message in error(client.post("/api/open", json={"path": name}))
    assert desk.key == before


def test_a_video_whose_project_folder_cannot_be_named_after_it_is_refused(
    client: TestClient, tmp_path: Path
) -> None:
    write_frames(tmp_path / ("a" * 250), 2)
    said = error(client.post("/api/open", json={"path": "a" * 250}))
    assert "is too long for a project folder that is named after it; rename the video" in said


def test_a_video_with_the_signs_of_a_pattern_in_its_name_keeps_its_project(
    client: TestClient, desk: Desk, tmp_path: Path, video: Path
) -> None:
    odd = tmp_path / "ho[l]i*day 1?"
    shutil.copytree(video, odd)
    assert client.post("/api/open", json={"path": odd.name}).status_code == 200
    assert desk.session().project.folder == tmp_path / f"{odd.name}.vostrack"
    assert "there is no" in error(client.post("/api/open", json={"path": "a" * 4096}))


def test_a_project_that_is_open_elsewhere_is_refused(desk: Desk, tmp_path: Path) -> None:
    from vostrack.output_folder import exclusive_folder

    write_frames(tmp_path / "other", 2)
    with (
        exclusive_folder(tmp_path / "other.vostrack"),
        pytest.raises(InputError, match="is open in another vostrack studio"),
    ):
        desk.open(tmp_path / "other")


def test_a_folder_that_cannot_be_made_is_not_open_elsewhere(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(tmp_path / "other", 2)
    (tmp_path / "other.vostrack").touch()
    with pytest.raises(InputError, match=r"^project: .*other\.vostrack is not a folder.*`project`"):
        desk.open(tmp_path / "other")

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", read_only)
        with pytest.raises(InputError, match=r"^project: .*/new cannot be made \(Permission d"):
            desk.open(tmp_path / "other", tmp_path / "new")
    with monkeypatch.context() as patch:
        patch.setattr("filelock.FileLock.acquire", read_only)
        with pytest.raises(InputError, match=r"^project: .*cannot be written to \(Permission deni"):
            desk.open(tmp_path / "other", tmp_path / "new")


def test_without_a_video_the_page_can_open_one(desk: Desk, client: TestClient) -> None:
    desk.close()
    empty = Desk(desk._make, desk.places)
    with asking(empty) as other:
        assert other.get("/api/state").json() == {"project": ""}
        assert "none is open" in error(other.get("/api/frames/0/labels"))
        assert other.post("/api/open", json={"path": "clip"}).status_code == 200
        assert other.get("/api/state").json()["video"]["count"] == FRAMES
    empty.close()


def test_the_chosen_folders_are_those_of_the_video_unless_others_are_named(
    tmp_path: Path, video: Path
) -> None:
    assert Opening(str(video)).places().folders == (tmp_path,)
    assert Opening(str(video / "*.png")).places().folders == (tmp_path,)
    assert Opening(None).places().folders == (Path.cwd(),)
    assert Opening(str(video), folders=(video,)).places().folders == (video,)
    with pytest.raises(InputError, match="folders: expected existing folders, got"):
        Opening(folders=(tmp_path / "none",)).places()


def test_suggestions_and_layers(client: TestClient, desk: Desk) -> None:
    import zlib

    found = client.post("/api/frames/2/suggestions")
    assert found.headers["x-suggestions"] == "[1, 2]"
    assert zlib.decompress(found.content) == (square(5) + square(30, number=2)).tobytes()
    project = desk.session().project
    project.draw(0, square(10), "empty", "paint")
    scores = zlib.decompress(client.get("/api/frames/0/layers/scores").content)
    assert scores == (255 * (square(10) > 0)).astype("uint8").tobytes()
    soft = client.get("/api/frames/0/layers/matte")
    assert soft.headers["x-mask-tag"] == project.labels(0)[1]
    assert len(set(zlib.decompress(soft.content))) > 1
    project.track(1, square(11), {1: 1.0}, square(11, number=200))
    assert max(zlib.decompress(client.get("/api/frames/1/layers/scores").content)) == 200
    assert client.get("/api/frames/0/layers/other").status_code == 422
