"""What the server answers, a file for each subject."""

from vostrack.studio.routes import edits, exports, frames, objects, opening, tracking

__all__ = ["ROUTERS"]

ROUTERS = tuple(part.router for part in (opening, frames, edits, objects, tracking, exports))
"""All requests of the page."""
