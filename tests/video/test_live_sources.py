"""Streams over a real socket on this machine; cameras by a stand-in for OpenCV's capture."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import open_source
from vostrack.video.frames import Selection
from vostrack.video.live import StreamSource


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    servers = []

    def start(body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/stream"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("reader", ["auto", "opencv"])
def test_stream(
    reader: Any,
    tmp_path: Path,
    make_clip: Callable[..., Path],
    read_number: Callable[..., int],
    serve: Callable[[bytes], str],
) -> None:
    body = make_clip(tmp_path / "clip.ts", 30, options={"g": "10"}).read_bytes()
    address = serve(body)
    with open_source(address, reader=reader, start=3, end=20, stride=2) as source:
        assert source.live
        assert source.length is None
        assert source.indices is None
        assert source.size == (64, 112)
        assert source.frame_rate == pytest.approx(25)
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(3, 20, 2))
        assert [read_number(frame.image) for frame in frames] == list(range(3, 20, 2))
        if reader == "auto":
            assert [f.time for f in frames] == pytest.approx([n / 25 for n in range(3, 20, 2)])
        with pytest.raises(InputError, match="already read"):
            list(source)
        with pytest.raises(InputError, match="only once"):
            source.read(0, 1)


def test_stream_without_video(serve: Callable[[bytes], str]) -> None:
    with pytest.raises(InputError, match="cannot be opened within"):
        open_source(serve(b"no video at all " * 50))


def test_nobody_answers() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}/x"
        with pytest.raises(InputError, match=r"cannot be opened within 10 s .*check the address"):
            open_source(address)


def test_stalled_stream_is_given_up_in_time() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        began = time.monotonic()
        with pytest.raises(InputError, match=r"within 0\.5 s"):
            StreamSource(f"http://127.0.0.1:{server.getsockname()[1]}/x", Selection(), timeout=0.5)
        assert time.monotonic() - began < 5


def test_stream_that_breaks_off(
    tmp_path: Path, make_clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    body = make_clip(tmp_path / "clip.ts", 60, options={"g": "10"}).read_bytes()
    done = threading.Event()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {2 * len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                done.wait(10)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        with StreamSource(address, Selection(), timeout=0.5) as source:
            frames = list(source)
        done.set()
        thread.join()
    assert len(frames) > 40
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert source.truncated
    assert "was interrupted" in caplog.text


def test_rtsp_goes_over_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def opened(name: str, **options: Any) -> None:
        seen.update(options, name=name)
        raise OSError("not today")

    monkeypatch.setattr("av.open", opened)
    with pytest.raises(InputError, match="not today"):
        open_source("rtsp://camera/1")
    assert seen["options"]["rtsp_transport"] == "tcp"
    assert seen["timeout"] == (10, 10)
    assert "fflags" not in seen["options"]


class _Camera:
    """Stands in for cv2.VideoCapture: five frames, blue 200."""

    opened: Any = None
    released = 0

    def __init__(self, device: Any, *_: Any) -> None:
        type(self).opened = device
        self._left = 5 if device != 9 else 0

    def grab(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def retrieve(self) -> tuple[bool, UInt8Array]:
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 0] = 200
        return True, image

    def read(self) -> tuple[bool, UInt8Array | None]:
        return self.retrieve() if self.grab() else (False, None)

    def get(self, _: int) -> float:
        return 30.0

    def release(self) -> None:
        type(self).released += 1


@pytest.mark.parametrize("device", [2, "2"])
def test_camera(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _Camera)
    _Camera.released = 0
    with open_source(device) as source:
        assert _Camera.opened == 2
        assert source.live
        assert source.size == (6, 8)
        assert source.frame_rate == 30
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(5))
        assert frames[0].image[0, 0].tolist() == [0, 0, 200]
        times = [frame.time for frame in frames]
        assert times[0] == 0
        assert times == sorted(times)
        with pytest.raises(InputError, match="only once"):
            source.read(0, 1)
    assert _Camera.released == 1


def test_camera_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _Camera)
    with pytest.raises(InputError, match="camera 9 cannot be opened"):
        open_source(9)
    with pytest.raises(InputError, match="0 or more"):
        open_source(-1)
    readers: list[Any] = ["pyav", "decord"]
    for reader in readers:
        with pytest.raises(InputError, match="does not read cameras"):
            open_source(0, reader=reader)
    with pytest.raises(InputError, match="decord reads video files"):
        open_source("rtsp://x/1", reader="decord")
