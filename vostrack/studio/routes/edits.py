"""Edits: what is drawn, undo and redo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool

from vostrack.studio.routes.current import CurrentSession
from vostrack.studio.routes.label_bytes import unpack

__all__ = ["router"]

router = APIRouter()


@router.put("/api/frames/{frame}/labels")
async def draw(
    session: CurrentSession,
    frame: int,
    request: Request,
    x_mask_tag: Annotated[str, Header()],
    x_edit: Annotated[str, Header()] = "paint",
) -> dict[str, str]:
    """Take up a drawn label map."""
    video = session.project.video
    labels = unpack(await request.body(), video.width, video.height)
    return {"tag": await run_in_threadpool(session.draw, frame, labels, x_mask_tag, x_edit)}


@router.delete("/api/frames/{frame}/labels")
def erase(session: CurrentSession, frame: int) -> dict[str, bool]:
    """Drop a correction."""
    session.erase(frame)
    return {"done": True}


@router.post("/api/undo")
def undo(session: CurrentSession) -> dict[str, int | None]:
    """Take back one edit."""
    return {"frame": session.move(-1)}


@router.post("/api/redo")
def redo(session: CurrentSession) -> dict[str, int | None]:
    """Bring back one edit."""
    return {"frame": session.move(1)}
