"""Opening videos: those of the chosen folders, and those that are dropped on the page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from vostrack.studio.routes.current import CurrentDesk
from vostrack.studio.uploads import UploadFile

__all__ = ["router"]

router = APIRouter()


class Wanted(BaseModel):
    """The video to open."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


class Announced(BaseModel):
    """A video that is about to be sent: its name, and the name and bytes of each file."""

    title: str
    files: Annotated[list[tuple[str, int]], Field(max_length=100_000)]


@router.get("/api/state")
def state(desk: CurrentDesk) -> dict[str, Any]:
    """Return all that a page shows, but for pictures and label maps."""
    if not desk.key:
        return {"project": ""}
    return {"project": desk.key, **desk.session().state()}


@router.get("/api/events")
async def events(desk: CurrentDesk) -> Response:
    """Tell of every change, as server-sent events."""
    headers = {"cache-control": "no-store"}
    return StreamingResponse(desk.news.listen(), media_type="text/event-stream", headers=headers)


@router.get("/api/videos")
def videos(desk: CurrentDesk) -> dict[str, list[str]]:
    """Return the chosen folders, and the videos in them."""
    return {
        "folders": [str(folder) for folder in desk.places.folders],
        "videos": [str(path) for path in desk.places.videos()],
    }


@router.post("/api/open")
def open_video(desk: CurrentDesk, wanted: Wanted) -> dict[str, str]:
    """Open a video of the chosen folders."""
    desk.open(desk.places.find(wanted.path))
    return {"project": desk.key}


@router.post("/api/uploads")
def announce(desk: CurrentDesk, announced: Announced) -> dict[str, str]:
    """Begin to receive a video."""
    files = [UploadFile(name, size) for name, size in announced.files]
    return {"upload": desk.uploads.begin(announced.title, files)}


@router.put("/api/uploads/{key}/{number}")
async def receive(desk: CurrentDesk, key: str, number: int, request: Request) -> dict[str, bool]:
    """Receive a file of a video."""
    await desk.uploads.receive(key, number, request.stream())
    return {"received": True}


@router.post("/api/uploads/{key}/open")
def finish(desk: CurrentDesk, key: str) -> dict[str, Any]:
    """Open the video that was received, and tell whether its project is new."""
    new = desk.open_upload(key)
    return {"project": desk.key, "new": new}
