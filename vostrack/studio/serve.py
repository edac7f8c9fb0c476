"""Starting the server: where it listens, and who is told its address."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import exclusive_folder
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project
from vostrack.studio.session import StudioSession

__all__ = ["LOOPBACK", "check_host", "default_folder", "serve", "serve_session"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this computer reaches."""


def check_host(host: str, *, allow_remote: bool) -> None:
    """Refuse to listen for other computers unless that was asked for.

    Raises:
        InputError: the host is not this computer's own.
    """
    if host not in LOOPBACK and not allow_remote:
        raise InputError(
            f"host: {host} can be reached from other computers, and the connection is not "
            "encrypted; use 127.0.0.1, or `allow_remote=True` in a network that you trust"
        )


def default_folder(video: str) -> Path:
    """Return the folder of a video's project: beside it, named after it."""
    path = Path(video).expanduser().resolve()
    return path.with_name(f"{path.stem}.vostrack")


def serve(
    video: str,
    folder: Path | None = None,
    *,
    preset: str = "balanced",
    device: str = "auto",
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    browser: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the page of a video until Ctrl-C.

    Args:
        video: video file, folder of images, or pattern.
        folder: of the project; by default beside the video.
        preset: of the tracker.
        device: of the networks.
        host: where to listen.
        port: where to listen; 0 for a free one.
        allow_remote: allow a host that other computers reach.
        browser: open the page in the browser.
        tell: is told the address.

    Raises:
        InputError: the video, the project or the host cannot be used, or the extra is missing.
    """
    check_host(host, allow_remote=allow_remote)
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"studio: {error.name} is not installed; run pip install 'vostrack[studio]'"
        ) from None
    from vostrack.build import build_tracker
    from vostrack.interactive import ClickSegmenter
    from vostrack.presets import effective_preset

    effective_preset(preset, "auto")
    facts = video_facts(video)
    folder = folder or default_folder(video)
    with exclusive_folder(folder):
        session = StudioSession(
            Project(folder, facts),
            lambda: build_tracker(preset, device=device),
            lambda: ClickSegmenter(device),
        )

        def told(address: str) -> None:
            tell(f"Project: {folder}\nOpen {address}\nStop with Ctrl-C.")
            if browser:
                webbrowser.open(address)

        serve_session(session, host, port, told)


def serve_session(
    session: StudioSession, host: str, port: int, tell: Callable[[str], None]
) -> None:
    """Serve the page of a session until Ctrl-C.

    Args:
        session: what requests work on.
        host: where to listen.
        port: where to listen; 0 for a free one.
        tell: is told the address, token included.

    Raises:
        InputError: the address is in use, or not this computer's.
    """
    import uvicorn

    from vostrack.studio.app import create_app

    with _listen(host, port) as listening:
        bound = listening.getsockname()[1]
        names = LOOPBACK if host in LOOPBACK else (*LOOPBACK, host)
        hosts = frozenset(f"[{n}]:{bound}" if ":" in n else f"{n}:{bound}" for n in names)
        token = secrets.token_urlsafe(24)
        shown = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            create_app(session, token, hosts),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        listening.listen()
        tell(f"http://{shown}:{bound}/?token={token}")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            session.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InputError(f"port: cannot listen on {host}:{port} ({error}); give another") from None
    return listening
