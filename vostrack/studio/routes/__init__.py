"""What the server answers, a file for each subject."""

from vostrack.studio.routes import edits, exports, frames, opening, tracking

__all__ = ["ROUTERS"]

ROUTERS = (opening.router, frames.router, edits.router, tracking.router, exports.router)
"""All requests of the page."""
