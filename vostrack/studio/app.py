"""What the server answers: the page, and the requests that it makes."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.interactive import Click
from vostrack.masks import write_label_map
from vostrack.studio.access import TOO_LARGE, Guard, TooLargeError
from vostrack.studio.exports import export_choices, export_project
from vostrack.studio.journal import StudioObject
from vostrack.studio.plan import Direction
from vostrack.studio.project import ConflictError
from vostrack.studio.session import StudioSession

__all__ = ["create_app", "largest_upload"]

PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_MOST_CLICKS = 200


class ObjectEntry(BaseModel):
    """An object, as the page sends it."""

    id: int
    name: str
    colour: str
    last: int | None = None


class ObjectList(BaseModel):
    """The objects after a change."""

    objects: Annotated[list[ObjectEntry], Field(max_length=254)]
    what: str


class ClickEntry(BaseModel):
    """A click, in pixels of the frame."""

    x: int
    y: int
    inside: bool


class Question(BaseModel):
    """Clicks and a box."""

    clicks: Annotated[list[ClickEntry], Field(max_length=_MOST_CLICKS)]
    box: tuple[int, int, int, int] | None = None


class Wish(BaseModel):
    """What to track."""

    frame: int
    direction: Direction


def largest_upload(width: int, height: int) -> int:
    """Return the bytes that a request may carry: a label map that does not compress at all."""
    return width * height + 65536


def create_app(session: StudioSession, token: str, hosts: frozenset[str]) -> Guard:
    """Build the application.

    Args:
        session: what requests work on.
        token: the secret of the address.
        hosts: the values of the header ``Host`` that are answered.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.session = session

    async def unusable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, statuses[type(error)])

    statuses: dict[type[Exception], int] = {InputError: 400, ConflictError: 409, TooLargeError: 413}
    for kind in statuses:
        app.add_exception_handler(kind, unusable)
    _add_page(app)
    _add_frames(app, session)
    _add_edits(app, session)
    _add_tracking(app, session)
    _add_exports(app, session)
    video = session.project.video
    return Guard(app, token, hosts, largest_upload(video.width, video.height))


def _add_page(app: FastAPI) -> None:
    # The files of the page are listed once: a request can name one of them, and nothing else.
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in _KINDS}

    @app.get("/")
    def index() -> Response:
        return FileResponse(files["index.html"], media_type="text/html")

    @app.get("/page/{name}")
    def page_file(name: str) -> Response:
        if name not in files:
            return JSONResponse({"error": "no such file"}, 404)
        kind = _KINDS[files[name].suffix]
        return FileResponse(files[name], media_type=kind, headers={"cache-control": "no-cache"})


def _add_frames(app: FastAPI, session: StudioSession) -> None:
    @app.get("/api/frames/{frame}.jpg")
    def picture(frame: int) -> Response:
        session.project.check_frame(frame)
        keep = {"cache-control": "private, max-age=3600"}
        return Response(session.frames.picture(frame), media_type="image/jpeg", headers=keep)

    @app.get("/api/frames/{frame}/labels")
    def labels(frame: int) -> Response:
        found, tag = session.project.labels(frame)
        headers = {"x-mask-tag": tag, "cache-control": "no-store"}
        return Response(_packed(found), media_type="application/octet-stream", headers=headers)

    @app.get("/api/frames/{frame}/mask.png")
    def mask(frame: int) -> Response:
        found, _ = session.project.labels(frame)
        path = session.project.folder / "exports" / f"mask_{frame:05d}.png"
        write_label_map(path, found)
        return FileResponse(path, media_type="image/png", filename=path.name)

    @app.post("/api/frames/{frame}/prepare")
    def prepare(frame: int) -> dict[str, bool]:
        session.prepare(frame)
        return {"ready": True}

    @app.post("/api/frames/{frame}/clicks")
    def clicks(frame: int, question: Question) -> Response:
        given = [Click(one.x, one.y, one.inside) for one in question.clicks]
        found = session.click(frame, given, question.box)
        return Response(_packed(found.astype(np.uint8)), media_type="application/octet-stream")


def _add_edits(app: FastAPI, session: StudioSession) -> None:
    @app.get("/api/state")
    def state() -> dict[str, Any]:
        return session.state()

    @app.get("/api/events")
    async def events() -> Response:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(
            session.news.listen(), media_type="text/event-stream", headers=headers
        )

    @app.put("/api/frames/{frame}/labels")
    async def draw(
        frame: int,
        request: Request,
        x_mask_tag: Annotated[str, Header()],
        x_edit: Annotated[str, Header()] = "paint",
    ) -> dict[str, str]:
        video = session.project.video
        labels = _unpacked(await request.body(), video.width, video.height)
        return {"tag": await run_in_threadpool(session.draw, frame, labels, x_mask_tag, x_edit)}

    @app.delete("/api/frames/{frame}/labels")
    def erase(frame: int) -> dict[str, bool]:
        session.erase(frame)
        return {"done": True}

    @app.put("/api/objects")
    def objects(given: ObjectList) -> dict[str, bool]:
        session.set_objects(
            [StudioObject(one.id, one.name, one.colour, one.last) for one in given.objects],
            given.what,
        )
        return {"done": True}

    @app.post("/api/undo")
    def undo() -> dict[str, int | None]:
        return {"frame": session.move(-1)}

    @app.post("/api/redo")
    def redo() -> dict[str, int | None]:
        return {"frame": session.move(1)}


def _add_tracking(app: FastAPI, session: StudioSession) -> None:
    @app.post("/api/track")
    def track(wish: Wish) -> dict[str, bool]:
        session.project.check_frame(wish.frame)
        session.track(wish.frame, wish.direction)
        return {"started": True}

    @app.post("/api/track/{what}")
    def steer(what: str) -> dict[str, bool]:
        ways = {"pause": session.job.pause, "resume": session.job.resume, "stop": session.job.stop}
        if what not in ways:
            raise InputError(f"track: expected one of {', '.join(ways)}, got {what!r}")
        ways[what]()
        return {"done": True}


def _add_exports(app: FastAPI, session: StudioSession) -> None:
    @app.get("/api/exports")
    def choices() -> list[dict[str, str]]:
        return [{"name": one.name, "title": one.title} for one in export_choices()]

    @app.post("/api/exports/{name}")
    def make(name: str) -> dict[str, str]:
        return {"file": export_project(session.project, name).name}

    @app.get("/api/exports/{name}")
    def fetch(name: str) -> Response:
        made = {f"{one.name}{one.suffix}" for one in export_choices()}
        path = session.project.folder / "exports" / name
        if name not in made or not path.is_file():
            return JSONResponse({"error": "no such export"}, 404)
        return FileResponse(path, filename=name)


def _packed(labels: UInt8Array) -> bytes:
    return zlib.compress(np.ascontiguousarray(labels).tobytes(), 1)


def _unpacked(data: bytes, width: int, height: int) -> UInt8Array:
    """Return the label map (H, W) of a request; it is never unpacked beyond its size.

    Raises:
        InputError: it is damaged, or holds more or less than one label map.
    """
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, width * height + 1)
    except zlib.error:
        raise InputError("mask: the upload is damaged; send it again") from None
    if len(plain) > width * height:
        raise InputError(f"mask: {TOO_LARGE}")
    if len(plain) != width * height:
        raise InputError(
            f"mask: expected {width * height} values for {width} x {height} pixels, got "
            f"{len(plain)}"
        )
    return np.frombuffer(plain, np.uint8).reshape(height, width)
