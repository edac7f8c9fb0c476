"""One annotated video of a data set: where its frames and masks lie, and what the masks mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vostrack.errors import InputError
from vostrack.file_order import natural_order
from vostrack.files import check_link

__all__ = [
    "Semantics",
    "SequenceObject",
    "VideoSequence",
    "chosen_names",
    "scan_folder",
    "subfolders",
]

Semantics = Literal["binary", "ids"]

FRAME_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
MASK_SUFFIXES = frozenset({".png"})


@dataclass(frozen=True)
class SequenceObject:
    """What a data set's metadata say about one object.

    Attributes:
        id: its pixel value in the annotations, at least 1.
        category: its class name, empty where the dataset names none.
        frames: names of the frames in which it is annotated or to be scored, in order; the first
            is where its mask is given.
    """

    id: int
    category: str
    frames: tuple[str, ...]


@dataclass(frozen=True)
class VideoSequence:
    """One video of a dataset, as paths; nothing is decoded.

    Attributes:
        name: the sequence's folder name.
        frames: T image files, in natural order of their names.
        annotations: T mask files, None where a frame is not annotated.
        prompts: (index into ``frames``, mask file) of every mask that a semi-supervised tracker
            may read: the first frame's for DAVIS, one for each frame in which objects first appear
            for YouTube-VOS (of which only the ids not seen before count), none for unsupervised
            tasks.
        semantics: "binary" where every non-zero pixel is the one object (DAVIS 2016), "ids" where
            the pixel value is the object's id and 255 is void.
        source: dataset, subset and resolution, for people.
        objects: what the metadata say about the objects; empty for DAVIS.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path | None, ...]
    prompts: tuple[tuple[int, Path], ...]
    semantics: Semantics
    source: str
    objects: tuple[SequenceObject, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            InputError: there is no frame, or not one annotation entry for each frame.
        """
        if not self.frames:
            raise InputError(f"sequence {self.name}: expected at least one frame, got none")
        if len(self.annotations) != len(self.frames):
            raise InputError(
                f"sequence {self.name}: expected one annotation entry (or None) for each of the "
                f"{len(self.frames)} frames, got {len(self.annotations)}"
            )

    @property
    def frame_names(self) -> tuple[str, ...]:
        """The T frame names without their suffix, such as ``00000``."""
        return tuple(path.stem for path in self.frames)

    @property
    def first_mask(self) -> Path | None:
        """The mask file of the first annotated frame, None for an unsupervised sequence."""
        return self.prompts[0][1] if self.prompts else None


def chosen_names(
    names: Sequence[str], wanted: Iterable[str] | None, dataset: str
) -> tuple[str, ...]:
    """Return the wanted names in their order without repetition; all of them by default.

    Args:
        names: those of the data set.
        wanted: a choice; None for all.
        dataset: name of the data set in messages.

    Raises:
        InputError: a wanted name is not in the data set.
    """
    if wanted is None:
        return tuple(names)
    chosen = tuple(dict.fromkeys(wanted))
    unknown = [name for name in chosen if name not in set(names)]
    if unknown:
        raise InputError(
            f"sequences: {dataset} has no {', '.join(unknown[:5])} ({len(unknown)} unknown); it "
            f"has {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        )
    return chosen


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder that may be of videos, in natural order of their names.

    Hidden ones are left out, such as ``.ipynb_checkpoints``, and so is ``__MACOSX``, which macOS
    packs into zip files.

    Args:
        folder: where to look; a folder that does not exist holds nothing.

    Raises:
        InputError: one is a link to nothing.
    """
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name != "__MACOSX"
    ]
    for path in found:
        check_link(path)
    return sorted(filter(Path.is_dir, found), key=lambda path: natural_order(path.name))


def scan_folder(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """List the images of a folder by name without suffix, in natural order.

    Args:
        folder: where to look; a folder that does not exist holds nothing.
        suffixes: lower-case suffixes that count, such as ``.jpg``. Hidden files never count
            (macOS leaves ``._00000.jpg`` beside every frame on foreign disks).

    Raises:
        InputError: two files share a name and differ in the suffix only, or one is a link to
            nothing.
    """
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: natural_order(p.name)):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        check_link(path)
        if path.stem in found:
            raise InputError(
                f"{folder}: {found[path.stem].name} and {path.name} have the same frame name; "
                "keep one of them"
            )
        found[path.stem] = path
    return found
