"""Tracking: start, pause, go on and stop, and the frames in which an object was left out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from vostrack.errors import InputError
from vostrack.studio.gaps import find_gaps
from vostrack.studio.plan import Direction
from vostrack.studio.routes.current import CurrentSession

__all__ = ["router"]

router = APIRouter(prefix="/api/track")


class Wish(BaseModel):
    """What to track."""

    frame: int
    direction: Direction


@router.post("")
def track(session: CurrentSession, wish: Wish) -> dict[str, bool]:
    """Begin to track."""
    session.project.check_frame(wish.frame)
    session.track(wish.frame, wish.direction)
    return {"started": True}


@router.get("/gaps")
def gaps(session: CurrentSession) -> list[dict[str, Any]]:
    """Return where an object was not tracked while others were, with words for each place."""
    return [{"frame": gap.first, "words": gap.words} for gap in find_gaps(session.project)]


@router.post("/{what}")
def steer(session: CurrentSession, what: str) -> dict[str, bool]:
    """Pause, go on or stop."""
    ways = {"pause": session.job.pause, "resume": session.job.resume, "stop": session.job.stop}
    if what not in ways:
        raise InputError(f"track: expected one of {', '.join(ways)}, got {what!r}")
    ways[what]()
    return {"done": True}
