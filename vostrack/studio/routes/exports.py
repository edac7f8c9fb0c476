"""Exports: what there is, making one, and fetching it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response

from vostrack.studio.exports import export_choices
from vostrack.studio.routes.current import CurrentSession

__all__ = ["router"]

router = APIRouter(prefix="/api/exports")


@router.get("")
def choices() -> list[dict[str, str]]:
    """Return every format."""
    return [{"name": one.name, "title": one.title, "group": one.group} for one in export_choices()]


@router.post("/{name}")
def make(session: CurrentSession, name: str) -> dict[str, Any]:
    """Write an export, and say what it does not hold, and whether the masks changed meanwhile."""
    made = session.export(name)
    version = session.project.version
    return {
        "file": made.path.name,
        "notes": made.notes,
        "older": made.version != version,
        "version": version,
    }


@router.get("/{name}")
def fetch(session: CurrentSession, name: str) -> Response:
    """Return an export that was written."""
    made = {f"{one.name}{one.suffix}" for one in export_choices()}
    path = session.project.folder / "exports" / name
    if name not in made or not path.is_file():
        return JSONResponse({"error": "no such export"}, 404)
    return FileResponse(path, filename=name)
