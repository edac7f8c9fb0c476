"""Who gets nothing: wrong token, foreign pages and hosts, paths, and large uploads."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.studio.small_project import HEIGHT, WIDTH, square, wait_until

pytest.importorskip("fastapi", reason="needs vostrack[studio]")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from vostrack.studio.app import create_app
from vostrack.studio.desk import Desk
from vostrack.studio.session import StudioSession

NOISE = np.random.default_rng(0).bytes(WIDTH * HEIGHT)
TOKEN = "secret-of-this-test"
HOST = "127.0.0.1:8000"
ADDRESS = f"http://{HOST}"
JSON = {"content-type": "application/json"}


@pytest.fixture
def app(desk: Desk) -> Any:
    return create_app(desk, TOKEN, frozenset({HOST, "localhost:8000"}))


@pytest.fixture
def session(desk: Desk) -> StudioSession:
    return desk.session()


@pytest.fixture
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url=ADDRESS, headers={"x-vostrack-token": TOKEN}) as made:
        yield made


@pytest.fixture
def stranger(app: Any) -> TestClient:
    return TestClient(app, base_url=ADDRESS)


def put(client: TestClient, labels: Any, tag: str = "empty", **headers: str) -> Any:
    body = labels if isinstance(labels, bytes) else zlib.compress(labels.tobytes())
    return client.put("/api/frames/0/labels", content=body, headers={"x-mask-tag": tag, **headers})


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/state", "/api/frames/0/picture.jpg"])
def test_without_the_token_there_is_nothing(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, params={"token": "guess"}).status_code == 401
    assert stranger.get(path, headers={"x-vostrack-token": TOKEN[:-1]}).status_code == 401
    assert "vostrack studio printed" in stranger.get(path).text


def test_the_token_of_the_address_becomes_a_cookie(stranger: TestClient) -> None:
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 200
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-cache"  # or it would not come a second time
    assert stranger.get("/api/state").status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://example.com", "null", "http://127.0.0.1:8001", f"http://evil.example, {ADDRESS}"],
)
def test_pages_of_other_origins_are_refused(client: TestClient, origin: str) -> None:
    assert client.get("/api/state", headers={"origin": origin}).status_code == 403
    assert put(client, square(5), origin=origin).status_code == 403
    assert client.get("/api/state", headers={"origin": ADDRESS}).status_code == 200


def test_links_from_other_sites_are_refused(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert client.get("/api/frames/0/picture.jpg", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["evil.example:8000", "127.0.0.1:9", "127.0.0.1"])
def test_other_names_of_this_computer_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/state", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "path",
    [
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page/../../pyproject.toml",
        "/api/exports/..%2fproject.json",
        "/api/exports/%2fetc%2fpasswd",
        "/api/exports/project.json",
        "/api/frames/..%2f..%2fproject.json",
        "/api/frames/0%2f..%2fproject/labels",
    ],
)
def test_no_path_leads_to_another_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert b"import" not in answer.content
    assert b"edits" not in answer.content


def test_an_upload_larger_than_a_mask_is_refused_before_it_is_read(
    client: TestClient, session: StudioSession
) -> None:
    answer = put(client, b"x" * (WIDTH * HEIGHT + 65537))
    assert answer.status_code == 413
    assert "larger than any mask" in answer.text
    assert session.project.corrected == []


def test_an_upload_without_a_length_is_cut_off(client: TestClient, session: StudioSession) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65536

    answer = client.put("/api/frames/0/labels", content=pieces(), headers={"x-mask-tag": "empty"})
    assert answer.status_code == 413
    assert session.project.corrected == []


def test_a_small_upload_that_unpacks_to_much_is_refused(client: TestClient) -> None:
    answer = put(client, zlib.compress(bytes(50_000_000)))
    assert answer.status_code == 400
    assert "larger than any mask" in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"no zlib", zlib.compress(bytes(9)), zlib.compress(NOISE)[:-900]]
)
def test_a_damaged_upload_is_refused(client: TestClient, body: bytes) -> None:
    answer = put(client, body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("mask: ")


def test_answers_carry_the_headers_that_keep_other_pages_out(client: TestClient) -> None:
    headers = client.get("/").headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_place_of_the_video_is_not_told(client: TestClient, video: Path) -> None:
    assert str(video) not in client.get("/api/state").text


def test_a_full_disk_is_said_and_changes_nothing(
    client: TestClient, session: StudioSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vostrack.studio.project.write_label_map", full)
        answer = put(client, square(5))
    assert answer.status_code == 507
    assert "No space left on device; free some space" in answer.json()["error"]
    assert session.project.corrected == []
    assert put(client, square(5)).status_code == 200


def test_nothing_is_written_outside_the_project(client: TestClient, tmp_path: Path) -> None:
    before = {p for p in tmp_path.rglob("*") if "project" not in p.parts}
    for number, name in [(1, "../../../out"), (2, "/out")]:
        change = {"name": name, "what": "rename"}
        assert client.patch(f"/api/objects/{number}", json=change).status_code == 200
    put(client, square(5))
    client.get("/api/frames/0/mask.png")
    for entry in client.get("/api/exports").json():
        client.post(f"/api/exports/{entry['name']}")
    client.post("/api/exports/..%2f..%2fout")
    after = {p for p in tmp_path.rglob("*") if "project" not in p.parts}
    assert {p for p in after if "project" not in p.relative_to(tmp_path).parts} == {
        p for p in before if "project" not in p.relative_to(tmp_path).parts
    }


def test_a_whole_visit(client: TestClient, session: StudioSession) -> None:
    state = client.get("/api/state").json()
    assert state["video"] == {
        "name": "clip",
        "width": WIDTH,
        "height": HEIGHT,
        "count": 8,
        "rate": 25.0,
        "renamed_from": "",
        "pixel_aspect": 1.0,
        "trouble": [],
    }
    assert client.get("/api/frames/3/picture.jpg").content[:2] == b"\xff\xd8"
    tag = put(client, square(5)).json()["tag"]
    assert put(client, square(9)).status_code == 412
    assert put(client, square(9), tag).status_code == 200
    found = client.get("/api/frames/0/labels")
    assert zlib.decompress(found.content) == square(9).tobytes()
    assert client.post("/api/undo").json() == {"frame": 0}
    question: dict[str, Any] = {"clicks": [{"x": 5, "y": 5, "inside": True}], "box": None}
    clicked = client.post("/api/frames/0/clicks", json=question)
    assert zlib.decompress(clicked.content) == square(5).tobytes()
    question["start"] = base64.b64encode(zlib.compress(square(20).tobytes())).decode()
    clicked = client.post("/api/frames/0/clicks", json=question)
    assert zlib.decompress(clicked.content) == (square(5) | square(20)).tobytes()
    assert client.post("/api/track", json={"frame": 0, "direction": "forward"}).status_code == 200
    wait_until(lambda: session.job.state.state == "idle")
    assert [frame for frame, _ in client.get("/api/state").json()["tracked"]] == list(range(1, 8))
    assert client.post("/api/track/sideways").status_code == 400
    assert client.get("/api/frames/8/picture.jpg").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/api/objects/1", {"name": "x"}),
        ("PATCH", "/api/objects/1", {"name": None, "what": "x"}),
        ("PATCH", "/api/objects/1", {"id": 2, "what": "x"}),
        ("POST", "/api/frames/0/clicks", {"clicks": [{"x": 1, "y": 1, "inside": True}] * 201}),
        ("POST", "/api/frames/0/clicks", {"clicks": [{"x": 10**30, "y": 1, "inside": True}]}),
        ("POST", "/api/frames/0/clicks", {"clicks": [], "start": "A"}),
        ("POST", "/api/track", {"frame": 0, "direction": "up"}),
        ("POST", "/api/open", b"\xff\xfe"),
    ],
)
def test_requests_of_the_wrong_form_are_refused(
    client: TestClient, method: str, path: str, body: Any
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = client.request(method, path, **sent)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("request: body")


def test_two_origins_are_refused(client: TestClient) -> None:
    headers = [("x-vostrack-token", TOKEN), ("origin", "http://evil.example"), ("origin", ADDRESS)]
    assert client.get("/api/state", headers=headers).status_code == 403


def test_a_websocket_is_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/api/events", headers={"x-vostrack-token": TOKEN}),
    ):
        pass


@pytest.mark.parametrize("name", ["a\nb", "a\0", "\ud800"])
def test_names_that_cannot_be_sent_back_are_refused(client: TestClient, name: str) -> None:
    body = json.dumps({"name": name, "what": name}).encode()
    assert client.patch("/api/objects/1", content=body, headers=JSON).status_code == 400
    upload = json.dumps({"title": f"{name}.mp4", "files": [[f"{name}.mp4", 1]]}).encode()
    assert client.post("/api/uploads", content=upload, headers=JSON).status_code == 400
    assert client.get("/api/state").status_code == 200
