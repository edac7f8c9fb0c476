"""Changing the list of objects from two pages at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.studio.small_project import BLUE, RED

pytest.importorskip("fastapi", reason="needs vostrack[studio]")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.testclient import TestClient

from vostrack.masks import davis_palette
from vostrack.studio.app import create_app
from vostrack.studio.desk import Desk
from vostrack.studio.journal import StudioObject

HOST = "127.0.0.1:8000"


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    app: Any = create_app(desk, "token", frozenset({HOST}))
    headers = {"x-vostrack-token": "token"}
    with TestClient(app, base_url=f"http://{HOST}", headers=headers) as made:
        yield made


def objects(desk: Desk) -> list[StudioObject]:
    return list(desk.session().project.objects)


def test_new_objects_have_the_colours_that_masks_and_overlays_give_their_ids(
    client: TestClient,
) -> None:
    made = {
        one["id"]: one["colour"] for one in (client.post("/api/objects").json() for _ in "x" * 30)
    }
    assert len(set(made.values())) == 30
    assert made == {k: f"#{davis_palette()[k].tobytes().hex()}" for k in made}


def test_a_change_leaves_what_it_does_not_name(client: TestClient, desk: Desk) -> None:
    changes: list[dict[str, Any]] = [{"colour": "#00ff00"}, {"last": 4}, {"name": "Car"}]
    for change in changes:
        sent = {**change, "what": "change"}
        assert client.patch("/api/objects/1", json=sent).status_code == 200
    assert objects(desk) == [StudioObject(1, "Car", "#00ff00", 4), BLUE]
    client.patch("/api/objects/1", json={"last": None, "what": "go on with Car"})
    assert objects(desk)[0].last is None
    assert client.get("/api/state").json()["undo"] == "go on with Car"


def test_two_pages_that_add_an_object_make_two(client: TestClient, desk: Desk) -> None:
    added = [client.post("/api/objects").json() for _ in range(2)]
    assert [(one["id"], one["name"]) for one in added] == [(3, "Object 3"), (4, "Object 4")]
    assert added[0]["colour"] != added[1]["colour"]
    assert [one.id for one in objects(desk)] == [1, 2, 3, 4]


def test_a_deleted_object_leaves_the_others_and_its_id_is_not_used_again(
    client: TestClient, desk: Desk
) -> None:
    client.post("/api/objects")
    assert client.delete("/api/objects/3").status_code == 200
    assert objects(desk) == [RED, BLUE]
    for answer in [
        client.delete("/api/objects/3"),
        client.patch("/api/objects/3", json={"name": "x", "what": "rename x"}),
    ]:
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("object: 3 was deleted, perhaps in another tab")
    assert client.post("/api/objects").json()["id"] == 4
    assert client.patch("/api/objects/1", json={"colour": "red", "what": "x"}).status_code == 400
    assert objects(desk)[0] == RED
