"""What requests work on: the desk, and the session of the project that the page shows."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from vostrack.studio.desk import Desk
from vostrack.studio.session import StudioSession

__all__ = ["CurrentDesk", "CurrentSession"]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _session(request: Request, project: str = "") -> StudioSession:
    """Refuse requests of a page that still shows another project."""
    return _desk(request).session(project)


CurrentDesk = Annotated[Desk, Depends(_desk)]
CurrentSession = Annotated[StudioSession, Depends(_session)]
