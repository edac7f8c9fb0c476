"""Starting the server: where it listens, and who is told its address."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from vostrack.errors import InputError
from vostrack.files import expand_home, real_path
from vostrack.studio.desk import Desk
from vostrack.studio.places import Places
from vostrack.studio.project import Project
from vostrack.studio.session import Parts, StudioSession
from vostrack.studio.uploads import LARGEST_UPLOAD
from vostrack.video.names import is_pattern

__all__ = ["LOOPBACK", "Opening", "check_host", "check_port", "serve", "serve_desk"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this computer reaches."""

_LAST_PORT = 65535


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


def check_port(port: int) -> None:
    """Refuse what is no port.

    Raises:
        InputError: it is out of the range of ports.
    """
    if not 0 <= port <= _LAST_PORT:
        raise InputError(f"port: expected 0 (a free one) to {_LAST_PORT}, got {port}")


@dataclass(frozen=True)
class Opening:
    """What may be opened in the page, and what is open from the start.

    Attributes:
        video: video file, folder of images, or pattern; None for none.
        project: folder of its project; None for one beside the video.
        folders: whose videos may be opened; none for that of the video, or the current one.
        largest_upload: bytes that a video may have that is dropped on the page.
    """

    video: str | None = None
    project: Path | None = None
    folders: tuple[Path, ...] = ()
    largest_upload: int = LARGEST_UPLOAD

    def places(self) -> Places:
        """Return the folders that are meant."""
        if self.folders:
            return Places(self.folders)
        if self.video is None:
            return Places([Path()])
        path = expand_home(self.video)
        pattern = is_pattern(self.video) and not path.exists()
        return Places([path.parent.parent if pattern else real_path(path).parent])


def serve(
    opening: Opening,
    *,
    preset: str = "balanced",
    device: str = "auto",
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    browser: bool = True,
    tell: Callable[[str], None] = print,
    spell: Callable[[str], str] = str,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        opening: what is open, and what may be opened.
        preset: of the tracker.
        device: of the networks.
        host: where to listen.
        port: where to listen; 0 for a free one.
        allow_remote: allow a host that other computers reach.
        browser: open the page in the browser.
        tell: is told the address.
        spell: turns the names of parameters in refusals into what whoever started it writes.

    Raises:
        InputError: the video, the project, the preset, the device, the host or the port cannot be
            used, or the extra is missing.
    """
    check_host(host, allow_remote=allow_remote)
    check_port(port)
    _check_extra()
    from vostrack.build import build_tracker
    from vostrack.compute.precision import resolve_device
    from vostrack.interactive import ClickSegmenter
    from vostrack.presets import resolve_preset
    from vostrack.proposers.first_mask import propose_first_mask

    resolve_preset(preset)
    resolve_device(device)
    parts = Parts(
        lambda: build_tracker(preset, device=device),
        lambda: ClickSegmenter(device),
        lambda frames: propose_first_mask(frames, device=device),
    )
    desk = Desk(
        lambda project, news: StudioSession(project, parts, news),
        opening.places(),
        opening.largest_upload,
        spell,
    )

    def told(address: str) -> None:
        where = _where(desk.session().project) if opening.video else ""
        tell(f"{where}Open {address}\nStop with Ctrl-C.")
        if browser:
            webbrowser.open(address)

    try:
        if opening.video is not None:
            desk.open(opening.video, opening.project)
        serve_desk(desk, host, port, told)
    finally:
        desk.close()


def _where(project: Project) -> str:
    before = project.renamed_from
    renamed = f", made when the video was named {before}" if before else ""
    return f"Project: {project.folder}{renamed}\n"


def _check_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"studio: {error.name} is not installed; run pip install 'vostrack[studio]'"
        ) from None


def serve_desk(desk: Desk, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        desk: what requests work on.
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
        names = _names(host)
        hosts = frozenset(map(_address(bound), names))
        token = secrets.token_urlsafe(24)
        config = uvicorn.Config(
            create_app(desk, token, hosts),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        listening.listen()
        tell(f"http://{_address(bound)(names[0])}/?token={token}")
        server = uvicorn.Server(config)
        stop = server.handle_exit

        def stop_after_the_news(sig: int, frame: FrameType | None) -> None:
            desk.news.end()
            stop(sig, frame)

        server.handle_exit = stop_after_the_news  # type: ignore[method-assign]
        server.run(sockets=[listening])


def _address(port: int) -> Callable[[str], str]:
    return lambda name: f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _names(host: str) -> tuple[str, ...]:
    """Return the names by which the server can be asked, that to be told first."""
    if host in LOOPBACK:
        return host, *(name for name in LOOPBACK if name != host)
    if host not in ("0.0.0.0", "::"):
        return host, *LOOPBACK
    own = socket.gethostname()
    found = {own: None, socket.getfqdn(): None}
    with suppress(OSError):
        found |= dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(own, None))
    return *found, *LOOPBACK


def _listen(host: str, port: int) -> socket.socket:
    check_port(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InputError(f"port: cannot listen on {host}:{port} ({error}); give another") from None
    return listening
