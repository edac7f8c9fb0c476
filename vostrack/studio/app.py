"""The application: the files of the page, the requests that it makes, and words for refusals."""

from __future__ import annotations

import logging
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response

from vostrack.errors import InputError
from vostrack.studio.access import Guard, TooLargeError
from vostrack.studio.desk import Desk, OtherVideoError
from vostrack.studio.disk_errors import disk_words, is_full
from vostrack.studio.project import ConflictError
from vostrack.studio.routes import ROUTERS

__all__ = ["PAGE", "create_app"]

PAGE = Path(__file__).parent / "page"
"""The files of the page."""

_log = logging.getLogger("vostrack.studio")
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_STATUSES: dict[type[Exception], int] = {
    InputError: 400,
    OtherVideoError: 409,  # can be asked again when that video is open
    ConflictError: 412,  # the label map is no longer the one with the tag that was sent
    TooLargeError: 413,
}


def create_app(desk: Desk, token: str, hosts: frozenset[str]) -> Guard:
    """Build the application.

    Args:
        desk: what requests work on.
        token: the secret of the address.
        hosts: the values of the header ``Host`` that are answered.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.desk = desk
    for kind in _STATUSES:
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(OSError, _not_written)
    app.add_exception_handler(RequestValidationError, _not_understood)
    _add_page(app)
    for router in ROUTERS:
        app.include_router(router)
    return Guard(app, token, hosts, desk.largest_request)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    desk: Desk = request.app.state.desk
    return JSONResponse({"error": desk.spell(str(error))}, _status(error))


def _status(error: Exception) -> int:
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


async def _not_understood(request: Request, error: Exception) -> JSONResponse:
    """Answer a request of the wrong form, without giving back what may not even be text."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3]]
    words = "; ".join(wrong).encode("ascii", "replace").decode()
    return JSONResponse({"error": f"request: {words}"}, 422)


async def _not_written(request: Request, error: Exception) -> JSONResponse:
    """Answer when the disk is full, or a file cannot be used for another reason."""
    assert isinstance(error, OSError)
    _log.error("%s %s: %s", request.method, request.url.path, error)
    words = f"{disk_words(error)}, then try again"
    return JSONResponse({"error": words}, 507 if is_full(error) else 500)


def _add_page(app: FastAPI) -> None:
    # The files of the page are listed once: a request can name one of them, and nothing else.
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in _KINDS}
    # A page that the browser remembers would bring neither the cookie nor what is new in it.
    ask_again = {"cache-control": "no-cache"}

    @app.get("/")
    def index() -> Response:
        return FileResponse(files["index.html"], media_type="text/html", headers=ask_again)

    @app.get("/page/{name}")
    def page_file(name: str) -> Response:
        if name not in files:
            return JSONResponse({"error": "no such file"}, 404)
        kind = _KINDS[files[name].suffix]
        return FileResponse(files[name], media_type=kind, headers=ask_again)
