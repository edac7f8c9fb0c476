"""Copying the audio of a source to a new video file without re-encoding."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vostrack.errors import InputError
from vostrack.video.frames import Selection, logger
from vostrack.video.names import plain_path
from vostrack.video.video_file import VideoFileSource

__all__ = ["AudioCopy"]

# Codecs that browsers play in an mp4 file.
_CODECS = frozenset({"aac", "flac", "mp3", "mp3float", "opus"})


class AudioCopy:
    """Copies the packets of one audio stream into an mp4 file, in step with the video.

    An error ends the copy with a warning. It never affects the video.
    """

    def __init__(
        self, container: InputContainer, output: OutputContainer, origin: float, start: float
    ) -> None:
        """Add the audio stream to ``output``. Nothing may have been written there before.

        Args:
            container: the file with the audio.
            output: the new file.
            origin: time of the first video frame on the clock of ``container``, in seconds.
            start: where the copy begins, in seconds after ``origin``. This becomes time zero.
        """
        self._input: InputContainer | None = container
        self._output = output
        self._source = container.streams.audio[0]
        self._stream = output.add_stream_from_template(self._source)
        self._zero = origin + start
        self._packets = self._wanted(container)
        self._waiting: Packet[AudioStream] | None = None

    @classmethod
    def begin(cls, path: Path, output: OutputContainer, start: float) -> AudioCopy | None:
        """Prepare a copy.

        Args:
            path: the file with the audio.
            output: the new file.
            start: where the copy begins, in seconds after the first video frame.

        Returns:
            The copy. None if there is no audio, or, after a warning, if it cannot be copied.
        """
        container = None
        try:
            if not path.is_file():
                logger.warning("%s is not a file, so the video has no audio", path)
                return None
            container = av.open(plain_path(path))
            if not container.streams.audio:
                # A source without audio is not worth a warning.
                container.close()
                return None
            reason = _obstacle(container)
            if reason is None:
                origin = VideoFileSource(path, Selection()).origin
                return cls(container, output, origin, start)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = str(error)
        if container is not None:
            container.close()
        logger.warning("the audio of %s is left out: %s", path, reason)
        return None

    def _wanted(self, container: InputContainer) -> Iterator[Packet[AudioStream]]:
        """Yield the packets from the start on, with times from zero."""
        tick = self._source.time_base
        assert tick is not None
        shift = round(self._zero / tick)
        for packet in container.demux(self._source):
            if packet.pts is None or packet.dts is None or packet.pts < shift:
                continue
            packet.pts -= shift
            packet.dts -= shift
            yield packet

    def copy_until(self, seconds: float) -> None:
        """Copy the packets before this time of the new video, in seconds."""
        try:
            while self._input is not None:
                packet = self._waiting or next(self._packets, None)
                self._waiting = packet
                if packet is None or packet.pts is None or packet.time_base is None:
                    return
                if packet.pts * packet.time_base >= seconds:
                    return
                packet.stream = self._stream
                self._output.mux(packet)
                self._waiting = None
        except (av.FFmpegError, OSError, ValueError) as error:
            logger.warning("the audio ends early, at %.2f s: %s", seconds, error)
            self.close()

    def close(self) -> None:
        """Close the file with the audio."""
        if self._input is not None:
            self._input.close()
        self._input, self._waiting = None, None


def _obstacle(container: InputContainer) -> str | None:
    """Return why the first audio stream cannot be copied to mp4; None if it can."""
    stream = container.streams.audio[0]
    if stream.codec_context.name not in _CODECS:
        return f"browsers do not play {stream.codec_context.name} in an mp4 file"
    # Some streams lack information that the header needs. Try it with a separate header.
    with av.open(io.BytesIO(), "w", format="mp4") as trial:
        trial.add_stream_from_template(stream)
        try:
            trial.start_encoding()
        except (av.FFmpegError, InputError, ValueError) as error:
            return str(error)
    return None
