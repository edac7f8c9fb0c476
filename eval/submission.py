"""DAVIS submissions: the zip that the evaluation server takes, written and checked.

The server unpacks a zip whose root holds one folder for each listed sequence, and in it one 8-bit
indexed PNG for every frame, the first included, as large as the frame; the pixel value is the
object's id (DAVIS 2017 challenge, Pont-Tuset et al. 2017).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.eval.label_png import LabelPng, encode_label_png, inspect_label_png
from vostrack.eval.submission_layout import Trouble, member_name, read_layout
from vostrack.files import atomic_path
from vostrack.masks.palette import VOID, read_label_map

__all__ = [
    "Submission",
    "Trouble",
    "check_submission",
    "describe_troubles",
    "write_submission",
]

_Key = TypeVar("_Key")

_UNSUPERVISED_OBJECTS = 20
"""Proposals per sequence in the unsupervised task (Caelles et al. 2019)."""


@dataclass(frozen=True)
class Submission:
    """What was written.

    Attributes:
        path: the zip file.
        sequences: number of sequence folders.
        frames: number of masks.
        rewritten: how many of them were given the indexed form or the palette they lacked.
    """

    path: Path
    sequences: int
    frames: int
    rewritten: int


def write_submission(
    results_dir: str | Path, sequences: Sequence[VideoSequence], zip_path: str | Path
) -> Submission:
    """Pack the results of a test subset for the server.

    Masks ``<results_dir>/<sequence>/<frame>.png`` that are right go in byte for byte; gray 8-bit
    masks of ids and indexed ones with other colours are rewritten with the PASCAL palette. Other
    files of the folders are left out. The zip appears only when it is whole, and the same results
    make the same bytes.

    Args:
        results_dir: one folder for each sequence.
        sequences: the subset, as ``open_davis`` returns it.
        zip_path: the file to write.

    Raises:
        InputError: the server would refuse the zip; the message lists all the troubles.
    """
    root = Path(results_dir)
    if not root.is_dir():
        raise InputError(f"results {root}: no such folder; expected one folder for each sequence")
    if not sequences:
        raise InputError("submission: expected at least one sequence, got none")
    present = {
        member_name(seq.name, frame): path
        for seq in sequences
        for frame in seq.frame_names
        if (path := root / seq.name / f"{frame}.png").is_file()
    }
    troubles: list[Trouble] = []
    frames = rewritten = 0
    with atomic_path(zip_path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for found in _examine(sequences, present, Path.read_bytes):
            labels = None if found.png is None else found.png.labels
            troubles += [
                trouble
                for trouble in found.troubles
                if trouble.fatal and not (trouble.kind == "format" and labels is not None)
            ]
            if troubles or found.png is None or labels is None:
                continue
            data = found.data if found.png.canonical else encode_label_png(labels)
            archive.writestr(_stored(found.member), data)
            frames += 1
            rewritten += not found.png.canonical
        if troubles:
            raise InputError(
                f"results {root}: the server would refuse this submission.\n"
                + describe_troubles(troubles)
            )
    return Submission(Path(zip_path), len(sequences), frames, rewritten)


def check_submission(zip_path: str | Path, sequences: Sequence[VideoSequence]) -> list[Trouble]:
    """Check a zip that anyone wrote.

    Args:
        zip_path: the file.
        sequences: the subset it should hold, as ``open_davis`` returns it.

    Returns:
        All the troubles, in the order of the zip's layout and then of the sequences; the server
        accepts the zip when none of them is fatal.

    Raises:
        InputError: there is no such file.
    """
    path = Path(zip_path)
    if not path.is_file():
        raise InputError(f"submission {path}: no such file")
    expected = {seq.name: seq.frame_names for seq in sequences}
    try:
        with zipfile.ZipFile(path) as archive:
            present, troubles = read_layout(archive.infolist(), expected)
            for found in _examine(sequences, present, archive.read):
                troubles += found.troubles
    except zipfile.BadZipFile as error:
        return [Trouble("zip", path.name, f"expected a zip file: {error}")]
    return troubles


def describe_troubles(troubles: Iterable[Trouble], per_kind: int = 5) -> str:
    """Render troubles for people, a line each, at most ``per_kind`` lines for each kind."""
    by_kind: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        by_kind.setdefault(trouble.kind, []).append(trouble)
    lines: list[str] = []
    for kind, found in by_kind.items():
        for trouble in found[:per_kind]:
            grade = kind if trouble.fatal else f"{kind}, accepted by the server"
            lines.append(f"  {trouble.where}: {trouble.message} [{grade}]")
        if len(found) > per_kind:
            lines.append(f"  and {len(found) - per_kind} more [{kind}]")
    return "\n".join(lines)


def _stored(member: str) -> zipfile.ZipInfo:
    """An entry without the time of writing; PNG is compressed already."""
    info = zipfile.ZipInfo(member, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    return info


@dataclass(frozen=True)
class _Examined:
    """An expected member: its bytes and what they decode to, as far as it is there."""

    member: str
    troubles: list[Trouble]
    data: bytes = b""
    png: LabelPng | None = None


def _examine(
    sequences: Sequence[VideoSequence], present: Mapping[str, _Key], read: Callable[[_Key], bytes]
) -> Iterator[_Examined]:
    """Yield every expected member; a sequence of which nothing is there, only once."""
    for seq in sequences:
        members = [member_name(seq.name, frame) for frame in seq.frame_names]
        if not any(member in present for member in members):
            message = f"expected {len(members)} masks, found none"
            yield _Examined(seq.name, [Trouble("missing", seq.name, message)])
            continue
        limit = _object_limit(seq)
        for member, frame in zip(members, seq.frames, strict=True):
            if member not in present:
                yield _Examined(member, [Trouble("missing", member, "no mask for this frame")])
                continue
            try:
                data = read(present[member])
            except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                message = f"cannot be read: {error}"
                yield _Examined(member, [Trouble("corrupt", member, message)])
                continue
            yield _examine_png(member, data, _frame_size(frame), limit)


def _examine_png(member: str, data: bytes, size: tuple[int, int], limit: int) -> _Examined:
    png = inspect_label_png(data)
    if isinstance(png, str):
        return _Examined(member, [Trouble("corrupt", member, png)])
    troubles: list[Trouble] = []
    if png.form != "8-bit indexed":
        troubles.append(Trouble("format", member, f"expected 8-bit indexed PNG, got {png.form}"))
    elif not png.davis_colours:
        message = "the palette is not PASCAL's; ids count, but viewers show other colours"
        troubles.append(Trouble("palette", member, message, fatal=False))
    if png.size != size:
        message = "expected {}x{} as the frame, got {}x{}".format(*size[::-1], *png.size[::-1])
        troubles.append(Trouble("size", member, message))
    highest = 0 if png.labels is None else int(png.labels.max(initial=0))
    if highest > limit:
        hint = " (void, or a black and white mask)" if highest == VOID else ""
        message = f"expected ids up to {limit}, the first frame's objects, got {highest}{hint}"
        troubles.append(Trouble("ids", member, message))
    return _Examined(member, troubles, data, png)


def _object_limit(seq: VideoSequence) -> int:
    if seq.first_mask is None:
        return _UNSUPERVISED_OBJECTS
    if seq.semantics == "binary":
        return 1
    labels = read_label_map(seq.first_mask)
    return int(labels[labels != VOID].max(initial=0))


def _frame_size(frame: Path) -> tuple[int, int]:
    """(H, W) from the header alone."""
    try:
        with Image.open(frame) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"frame {frame}: cannot be read ({error}); restore the dataset") from error
