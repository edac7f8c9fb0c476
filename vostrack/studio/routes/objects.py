"""The list of objects. A request says what it changes, so that two pages can change it at once."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from vostrack.errors import InputError
from vostrack.masks.palette import davis_palette
from vostrack.studio.journal import StudioObject
from vostrack.studio.routes.current import CurrentSession
from vostrack.studio.session import StudioSession

__all__ = ["router"]

router = APIRouter(prefix="/api/objects")


class ObjectChange(BaseModel, extra="forbid"):
    """What changes of an object: what is left out stays. ``what`` says it in words, for undo."""

    what: str
    name: str = ""
    colour: str = ""
    last: int | None = None


@router.post("")
def add(session: CurrentSession) -> dict[str, Any]:
    """Add an object, and return it."""
    project = session.project
    with project.lock:
        number = project.next_id
        # The colour that the id has in masks and overlays everywhere else. The list refuses ids for
        # which there is none.
        colour = davis_palette()[number % 256].tobytes().hex()
        made = StudioObject(number, f"Object {number}", f"#{colour}")
        session.set_objects([*project.objects, made], f"add {made.name}")
    return asdict(made)


@router.patch("/{number}")
def change(session: CurrentSession, number: int, given: ObjectChange) -> dict[str, bool]:
    """Change an object."""
    values = given.model_dump(exclude_unset=True)
    what = values.pop("what")
    with session.project.lock:
        found = _found(session, number)
        changed = replace(found, **values)
        others = [changed if one is found else one for one in session.project.objects]
        session.set_objects(others, what)
    return {"done": True}


@router.delete("/{number}")
def delete(session: CurrentSession, number: int) -> dict[str, bool]:
    """Delete an object, in every frame."""
    with session.project.lock:
        found = _found(session, number)
        others = [one for one in session.project.objects if one is not found]
        session.set_objects(others, f"delete {found.name}")
    return {"done": True}


def _found(session: StudioSession, number: int) -> StudioObject:
    for one in session.project.objects:
        if one.id == number:
            return one
    raise InputError(f"object: {number} was deleted, perhaps in another tab; undo that first")
