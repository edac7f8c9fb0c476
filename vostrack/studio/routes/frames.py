"""Frames: their pictures, label maps and mattes, and answers to clicks."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from pydantic import Base64Bytes, BaseModel, Field

from vostrack.interactive import Click
from vostrack.masks import write_label_map
from vostrack.studio.routes.current import CurrentSession
from vostrack.studio.routes.label_bytes import pack, unpack

__all__ = ["router"]

router = APIRouter(prefix="/api/frames/{frame}")

_MOST_CLICKS = 200
_BYTES = "application/octet-stream"


# Wide enough for every frame, and safe to calculate with; the frame's own size is checked later.
Pixel = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class ClickEntry(BaseModel):
    """A click, in pixels of the frame."""

    x: Pixel
    y: Pixel
    inside: bool


class Question(BaseModel):
    """Clicks and a box, and the mask that they change: one byte per pixel, in a zlib stream."""

    clicks: Annotated[list[ClickEntry], Field(max_length=_MOST_CLICKS)]
    box: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    start: Base64Bytes | None = None


@router.get("/picture.jpg")
def picture(session: CurrentSession, frame: int) -> Response:
    """Return the frame as JPEG."""
    session.project.check_frame(frame)
    keep = {"cache-control": "private, max-age=3600"}
    return Response(session.frames.picture(frame), media_type="image/jpeg", headers=keep)


@router.get("/labels")
def labels(session: CurrentSession, frame: int) -> Response:
    """Return the label map."""
    found, tag = session.project.labels(frame)
    headers = {"x-mask-tag": tag, "cache-control": "no-store"}
    return Response(pack(found), media_type=_BYTES, headers=headers)


@router.get("/layers/{kind}")
def layer(session: CurrentSession, frame: int, kind: Literal["matte", "scores"]) -> Response:
    """Return the soft matte of all objects, or the tracker's scores: 255 is certain."""
    values, tag = session.layer(frame, kind)
    headers = {"x-mask-tag": tag, "cache-control": "no-store"}
    return Response(pack(values), media_type=_BYTES, headers=headers)


@router.get("/mask.png")
def mask(session: CurrentSession, frame: int) -> Response:
    """Return the label map as a palette PNG, like any other first mask."""
    found, _ = session.project.labels(frame)
    path = session.project.folder / "exports" / f"mask_{frame:05d}.png"
    write_label_map(path, found)
    name = f"mask_{session.frames.source.names.name(frame)}.png"
    return FileResponse(path, media_type="image/png", filename=name)


@router.post("/prepare")
def prepare(session: CurrentSession, frame: int) -> dict[str, bool]:
    """Prepare the frame for clicks."""
    session.prepare(frame)
    return {"ready": True}


@router.post("/clicks")
def clicks(session: CurrentSession, frame: int, question: Question) -> Response:
    """Return the mask of what was clicked on."""
    given = [Click(one.x, one.y, one.inside) for one in question.clicks]
    start = None
    if question.start is not None:
        video = session.project.video
        start = unpack(question.start, video.width, video.height) > 0
    found = session.click(frame, given, question.box, start)
    return Response(pack(found.astype(np.uint8)), media_type=_BYTES)


@router.post("/suggestions")
def suggestions(session: CurrentSession, frame: int) -> Response:
    """Return the objects that a person would probably outline, best first, as a label map."""
    found = session.suggest(frame)
    headers = {"x-suggestions": json.dumps(list(found.ids))}
    return Response(pack(found.labels), media_type=_BYTES, headers=headers)
