"""Reading frames from image files: a folder, a pattern, or a list of paths."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from vostrack.errors import InputError
from vostrack.file_order import in_natural_order
from vostrack.files import check_link, expand_home, real_path
from vostrack.video.frame_names import FrameNames
from vostrack.video.frames import (
    Frame,
    SeekableSource,
    Selection,
    logger,
)
from vostrack.video.image_file import displayed_size, open_image, read_image, sixteen_bit
from vostrack.video.image_stack import StackSource, frame_pages
from vostrack.video.joined_pictures import check_one_picture
from vostrack.video.names import IMAGE_SUFFIXES
from vostrack.video.value_range import ValueRange

__all__ = [
    "ImageSource",
    "existing_folder",
    "images_in_folder",
    "images_matching",
    "open_images",
    "read_image",
]


def _is_image(path: Path) -> bool:
    if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
        return False
    check_link(path)
    # What is neither a file nor a folder is refused when it is opened.
    return not path.is_dir()


def _sorted_images(paths: Iterable[Path], exclude: Collection[Path]) -> list[Path]:
    left_out = {real_path(path) for path in exclude}
    images = (path for path in paths if _is_image(path) and real_path(path) not in left_out)
    return in_natural_order(images)


def images_in_folder(folder: Path, exclude: Collection[Path] = ()) -> list[Path]:
    """Return the images of a folder in natural order, without hidden files.

    Args:
        folder: the folder; its subfolders do not count.
        exclude: images that are left out.

    Raises:
        InputError: the folder contains no image, or a link to an image that is missing.
    """
    images = _sorted_images(folder.iterdir(), exclude)
    if not images:
        raise InputError(
            f"{folder} contains no image; expected files such as 00000.jpg ({_suffixes()}) "
            "directly in the folder; check the path"
        )
    return images


def images_matching(pattern: str, exclude: Collection[Path] = ()) -> list[Path]:
    """Return the images that match a glob pattern, in natural order; ``**`` spans folders.

    The leading folders of the pattern that exist are taken by their names, whatever characters
    these contain. Where nothing matches, brackets stand for themselves.

    Args:
        pattern: the pattern.
        exclude: images that are left out.

    Raises:
        InputError: no image matches, or one is a link to an image that is missing.
    """
    base, rest = existing_folder(expand_home(pattern))
    images = _sorted_images(_matching(base, rest, pattern), exclude)
    if not images and "[" in rest:
        images = _sorted_images(_matching(base, rest.replace("[", "[[]"), pattern), exclude)
    if not images:
        raise InputError(
            f"no image matches {pattern!r}; expected files such as frames/*.png ({_suffixes()}), "
            "check the folder and keep the pattern in quotes (* ? and [ ] are wildcards)"
        )
    return images


def _matching(base: Path, rest: str, pattern: str) -> list[Path]:
    try:
        return list(base.glob(rest))
    except ValueError as error:
        raise InputError(
            f"{pattern!r} is not a valid file pattern ({error}); use one such as 'frames/*.png'"
        ) from None


def existing_folder(pattern: Path) -> tuple[Path, str]:
    """Split a pattern into the longest leading folder that exists and the rest."""
    base = Path(pattern.anchor)
    parts = pattern.relative_to(base).parts
    kept = 0
    while kept < len(parts) - 1 and (base / parts[kept]).is_dir():
        base /= parts[kept]
        kept += 1
    return base, str(Path(*parts[kept:]))


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))


def open_images(
    paths: Sequence[Path], name: str, selection: Selection, value_range: str = "auto"
) -> SeekableSource:
    """Open image files: one file with several frames, or several files.

    Raises:
        InputError: ``paths`` is empty, or the first image cannot be read, or its file holds others
            behind it.
    """
    if not paths:
        raise InputError("images: expected at least one path, got an empty list")
    pages = frame_pages(paths[0])
    check_one_picture(paths[0])
    if len(pages) > 1 and len(paths) == 1:
        return StackSource(paths[0], pages, selection, value_range)
    if len(pages) > 1:
        logger.warning(
            "%s holds %d frames, of which only the first is used; give the file itself as the "
            "video to track all of them",
            paths[0],
            len(pages),
        )
    return ImageSource(paths, name, selection, value_range)


class ImageSource(SeekableSource):
    """Frames of a list of image files, in that order, at `NOMINAL_RATE`."""

    def __init__(
        self, paths: Sequence[Path], name: str, selection: Selection, value_range: str = "auto"
    ) -> None:
        """Read the first image for its size.

        Args:
            paths: the image files.
            name: name of the source in messages.
            selection: the selected frames.
            value_range: see `ValueRange.choose`.

        Raises:
            InputError: the first image cannot be read.
        """
        super().__init__(name, len(paths), selection)
        self._paths = list(paths)
        self.names = FrameNames.of_files(self._paths)
        self._values: ValueRange | None = None
        with open_image(self._paths[0]) as first:
            raw = sixteen_bit(first, self._paths[0])
        if raw is not None:
            self._values = ValueRange.choose(value_range, raw, name)
            self.value_range = self._values.low, self._values.high
        self.size = read_image(self._paths[0], self._values).shape[:2]
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse images of another size before hours are spent on those in front of them."""
        for number in self.indices:
            # A damaged image is reported when it is reached.
            with contextlib.suppress(InputError):
                size = displayed_size(self._paths[number])
                if size != self.size:
                    break
        else:
            return
        raise self._other_size(number, size)

    def _other_size(self, number: int, size: tuple[int, ...]) -> InputError:
        # The file name is more helpful than the frame number alone.
        return InputError(
            f"{self._paths[number]} (frame {self.names.key(number)}) is {size[1]} x {size[0]} "
            f"pixels, the first image is {self.size[1]} x {self.size[0]}; all frames must have the "
            "same size; resize it or remove it"
        )

    def _frames(self, numbers: range) -> Iterator[Frame]:
        for number in numbers:
            path = self._paths[number]
            image = read_image(path, self._values)
            if image.shape[:2] != self.size:
                raise self._other_size(number, image.shape)
            yield Frame(number, self.time(number), image)
