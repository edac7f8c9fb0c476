"""Reading frames from one image file with several: TIFF stacks, animated WebP, PNG and AVIF."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from PIL import Image

from vostrack.tiff import full_pages
from vostrack.video.frames import NOMINAL_RATE, Frame, SeekableSource, Selection
from vostrack.video.image_file import image_errors, open_image, page_image, sixteen_bit
from vostrack.video.value_range import ValueRange

__all__ = ["StackSource", "frame_pages"]

# Files of other formats hold several pictures too, such as views of a stereo camera (MPO).
_FORMATS = ("TIFF", "WEBP", "PNG", "AVIF")


def frame_pages(path: Path) -> list[int]:
    """Return the numbers of the pages of an image file that are frames.

    Thumbnails and masks in a TIFF are not, nor is the picture of an animated PNG that only
    programs without animation show.
    """
    with open_image(path) as image:
        count = getattr(image, "n_frames", 1)
        if image.format not in _FORMATS or count == 1:
            return [0]
        if image.format == "PNG":
            return list(range(1 if getattr(image, "default_image", False) else 0, count))
        if image.format != "TIFF":
            return list(range(count))
        return list(full_pages(image)) or [0]


class StackSource(SeekableSource):
    """Frames of one image file, with the times of an animation, else at `NOMINAL_RATE`."""

    def __init__(self, path: Path, pages: list[int], selection: Selection, value_range: str):
        """Read the first frame.

        Args:
            path: the file.
            pages: from `frame_pages`.
            selection: the selected frames.
            value_range: see `ValueRange.choose`.

        Raises:
            InputError: a page cannot be read.
        """
        super().__init__(str(path), len(pages), selection)
        self._path, self._pages = path, pages
        self._values: ValueRange | None = None
        self._times = [number / NOMINAL_RATE for number in range(len(pages))]
        with open_image(path) as image:
            self._go(image, pages[0])
            raw = sixteen_bit(image, path)
            if raw is not None:
                self._values = ValueRange.choose(value_range, raw, self.name)
                self.value_range = self._values.low, self._values.high
            self.size = page_image(image, path, self._values).shape[:2]
            if image.format != "TIFF":
                self._take_times(image)

    def time(self, number: int) -> float:
        """Return the time of a frame; see ``SeekableSource.time``."""
        return self._times[number]

    @staticmethod
    def _go(image: Image.Image, page: int) -> None:
        image.seek(page)
        # The tags of a TIFF are needed as they are in the file; reading it drops the orientation.
        if image.format != "TIFF":
            image.load()

    def _take_times(self, image: Image.Image) -> None:
        """Take the times of an animation from the durations of its pictures."""
        times = [0.0]
        for page in self._pages:
            image.seek(page)
            image.load()
            times.append(times[-1] + float(image.info.get("duration", 0)) / 1000)
        if all(a < b for a, b in pairwise(times)):
            self._times = times[:-1]
            self.frame_rate = len(self._pages) / times[-1]

    def _frames(self, numbers: range) -> Iterator[Frame]:
        with open_image(self._path) as image:
            for number in numbers:
                with image_errors(self._path):
                    self._go(image, self._pages[number])
                    rgb = page_image(image, self._path, self._values)
                self._check_size(rgb.shape[0], rgb.shape[1], number)
                yield Frame(number, self.time(number), rgb)
