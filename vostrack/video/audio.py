"""The sound of a source, copied beside new pictures without encoding it again."""

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
from vostrack.video.video_file import VideoFileSource

__all__ = ["AudioCopy"]

# What browsers play from an mp4 file.
_CODECS = frozenset({"aac", "flac", "mp3", "mp3float", "opus"})


class AudioCopy:
    """Copies packets of one audio stream into an mp4 file, in step with its pictures.

    Whatever goes wrong ends the copy with a warning: the pictures never suffer from the sound.
    """

    def __init__(
        self, container: InputContainer, output: OutputContainer, origin: float, start: float
    ) -> None:
        """Add the stream to ``output``, before anything is written there.

        Args:
            container: the file with the sound.
            output: where it goes.
            origin: time of the first picture on the file's clock, in seconds.
            start: seconds after it at which the copy begins; this becomes time zero.
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
        """Prepare a copy; None, after a warning, where there is nothing that can be copied."""
        container = None
        try:
            if not path.is_file():
                logger.warning("%s is no file, so the video has no sound", path)
                return None
            container = av.open(str(path))
            if not container.streams.audio:
                # A silent source is no loss to warn of.
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
        logger.warning("the sound of %s is left out: %s", path, reason)
        return None

    def _wanted(self, container: InputContainer) -> Iterator[Packet[AudioStream]]:
        """Packets from the start on, with times from zero."""
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
        """Copy what sounds before this time of the new video."""
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
            logger.warning("the sound breaks off at %.2f s: %s", seconds, error)
            self.close()

    def close(self) -> None:
        """Let go of the file with the sound."""
        if self._input is not None:
            self._input.close()
        self._input, self._waiting = None, None


def _obstacle(container: InputContainer) -> str | None:
    """Why the first audio stream cannot be copied to mp4, or None if it can."""
    stream = container.streams.audio[0]
    if stream.codec_context.name not in _CODECS:
        return f"browsers do not play {stream.codec_context.name} in an mp4 file"
    # Some streams lack what the header needs: found out on a header of its own.
    with av.open(io.BytesIO(), "w", format="mp4") as trial:
        trial.add_stream_from_template(stream)
        try:
            trial.start_encoding()
        except (av.FFmpegError, InputError, ValueError) as error:
            return str(error)
    return None
