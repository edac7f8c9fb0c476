"""Writing and checking submissions, the zip files for the evaluation servers.

There is one folder per listed sequence. It contains one 8-bit indexed PNG for every frame from the
first annotated one on, of the size of the frame. The pixel values are object ids (DAVIS 2017
challenge, Pont-Tuset et al. 2017). The folders are at the root of the zip for DAVIS and MOSE, and
in a folder ``Annotations`` for YouTube-VOS and LVOS.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from vostrack.datasets.placed_objects import earlier_frames, place_objects
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.eval.label_png import LabelPng, encode_label_png, inspect_label_png
from vostrack.eval.submission_file import ZIP_COMMENT
from vostrack.eval.submission_layout import Problem, member_name, read_layout
from vostrack.files import atomic_path, check_link, leads_nowhere, through_link
from vostrack.masks.palette import VOID, read_label_map
from vostrack.video.image_file import displayed_size

__all__ = [
    "Problem",
    "Submission",
    "SubmissionForm",
    "check_results_folder",
    "check_submission",
    "describe_problems",
    "write_submission",
]

_Key = TypeVar("_Key")

_BINARY_HINT = (
    "; the first mask holds 0 and 255 only, as the masks of DAVIS 2016 do: use `year=2016`"
)

_UNSUPERVISED_OBJECTS = 20
"""Maximum number of proposals per sequence in the unsupervised task (Caelles et al. 2019)."""


@dataclass(frozen=True)
class SubmissionForm:
    """How the zip of a benchmark is arranged.

    Attributes:
        top: folder around the sequences; "" if they are at the root.
    """

    top: str = ""

    @staticmethod
    def of(layout: str) -> SubmissionForm:
        """Return the form that the server of a layout takes."""
        return SubmissionForm("Annotations" if layout in ("youtube-vos", "lvos") else "")


@dataclass(frozen=True)
class Submission:
    """A written submission.

    Attributes:
        path: the zip file.
        sequences: number of sequence folders.
        frames: number of masks.
        rewritten: number of masks that were converted to indexed PNG with the DAVIS palette.
        notes: one line for each sequence of which only later frames are in the file.
    """

    path: Path
    sequences: int
    frames: int
    rewritten: int
    notes: tuple[str, ...] = ()


def check_results_folder(folder: str | Path) -> None:
    """Refuse a folder of results that does not exist.

    Raises:
        InputError: says what was expected.
    """
    if not Path(folder).is_dir():
        what = "a file" if Path(folder).exists() else "no such folder"
        raise InputError(f"results {folder}: {what}; expected a folder with a folder per sequence")


def write_submission(
    results_dir: str | Path,
    sequences: Sequence[VideoSequence],
    zip_path: str | Path,
    *,
    form: SubmissionForm | None = None,
) -> Submission:
    """Pack the results of a test subset for the server.

    Correct masks ``<results_dir>/<sequence>/<frame>.png`` are copied unchanged. Gray 8-bit masks of
    ids and indexed ones with another palette are rewritten with the PASCAL palette. Other files in
    the folders are left out. The zip is written atomically, and the same results yield the same
    bytes.

    Args:
        results_dir: folder with one folder per sequence.
        sequences: the subset, as ``open_dataset`` returns it.
        zip_path: the file to write.
        form: how the zip is arranged; as for DAVIS by default.

    Raises:
        InputError: the server would reject the zip. The message lists all problems.
    """
    root = Path(results_dir)
    check_results_folder(root)
    if not sequences:
        raise InputError("submission: expected at least one sequence, got none")
    top = (form or SubmissionForm()).top
    present = {
        member_name(seq.name, frame): path
        for seq in sequences
        for frame in _expected(seq)
        if (path := root / seq.name / f"{frame}.png").is_file() or leads_nowhere(path)
    }
    problems: list[Problem] = []
    frames = rewritten = 0
    with (
        atomic_path(through_link(zip_path)) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        archive.comment = ZIP_COMMENT
        for found in _examine(sequences, present, _read_bytes):
            labels = None if found.png is None else found.png.labels
            problems += [
                problem
                for problem in found.problems
                if problem.fatal and not (problem.kind == "format" and labels is not None)
            ]
            if problems or found.png is None or labels is None:
                continue
            data = found.data if found.png.canonical else encode_label_png(labels)
            archive.writestr(_stored(f"{top}/{found.member}" if top else found.member), data)
            frames += 1
            rewritten += not found.png.canonical
        if problems:
            raise InputError(
                f"results {root}: the server would reject this submission.\n"
                + describe_problems(problems)
            )
    notes = [(seq.name, earlier_frames(place_objects(seq)[0])) for seq in sequences]
    said = tuple(f"{name}: {note}" for name, note in notes if note)
    return Submission(Path(zip_path), len(sequences), frames, rewritten, said)


def check_submission(
    zip_path: str | Path,
    sequences: Sequence[VideoSequence],
    *,
    form: SubmissionForm | None = None,
) -> list[Problem]:
    """Check any submission zip.

    Args:
        zip_path: the file.
        sequences: the expected subset, as ``open_dataset`` returns it.
        form: how the zip must be arranged; as for DAVIS by default.

    Returns:
        All problems, first of the layout, then of the sequences. The server accepts the zip if none
        of them is fatal.

    Raises:
        InputError: the file does not exist.
    """
    path = Path(zip_path)
    if not path.is_file():
        raise InputError(f"submission {path}: no such file; check the path")
    expected = {seq.name: _expected(seq) for seq in sequences}
    top = (form or SubmissionForm()).top
    try:
        with zipfile.ZipFile(path) as archive:
            present, problems = read_layout(archive.infolist(), expected, top=top)
            for found in _examine(sequences, present, archive.read):
                problems += found.problems
    except zipfile.BadZipFile as error:
        return [Problem("zip", path.name, f"expected a zip file: {error}")]
    return problems


def describe_problems(problems: Iterable[Problem], per_kind: int = 5) -> str:
    """Format problems as text, with one line each and at most ``per_kind`` lines per kind."""
    by_kind: dict[str, list[Problem]] = {}
    for problem in problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    lines: list[str] = []
    for kind, found in by_kind.items():
        for problem in found[:per_kind]:
            grade = kind if problem.fatal else f"{kind}, accepted by the server"
            lines.append(f"  {problem.where}: {problem.message} [{grade}]")
        if len(found) > per_kind:
            lines.append(f"  and {len(found) - per_kind} more [{kind}]")
    return "\n".join(lines)


def _read_bytes(path: Path) -> bytes:
    check_link(path)
    return path.read_bytes()


def _stored(member: str) -> zipfile.ZipInfo:
    """Return a zip entry with a fixed time and without compression, since PNG is compressed."""
    info = zipfile.ZipInfo(member, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    return info


@dataclass(frozen=True)
class _Examined:
    """An expected member with its bytes and the decoded PNG, if present."""

    member: str
    problems: list[Problem]
    data: bytes = b""
    png: LabelPng | None = None


def _examine(
    sequences: Sequence[VideoSequence], present: Mapping[str, _Key], read: Callable[[_Key], bytes]
) -> Iterator[_Examined]:
    """Yield every expected member. A sequence without any members is yielded only once."""
    for seq in sequences:
        names = _expected(seq)
        members = [member_name(seq.name, frame) for frame in names]
        if not any(member in present for member in members):
            message = f"expected {len(members)} masks, found none"
            yield _Examined(seq.name, [Problem("missing", seq.name, message)])
            continue
        limit = _object_limit(seq)
        hint = _BINARY_HINT if limit == 0 and _is_black_and_white(seq) else ""
        for member, frame in zip(members, seq.frames[-len(names) :], strict=True):
            if member not in present:
                yield _Examined(member, [Problem("missing", member, "no mask for this frame")])
                continue
            try:
                data = read(present[member])
            except (InputError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                message = f"cannot be read: {error}"
                yield _Examined(member, [Problem("corrupt", member, message)])
                continue
            yield _examine_png(member, data, displayed_size(frame), (limit, hint))


def _examine_png(
    member: str, data: bytes, size: tuple[int, int], objects: tuple[int, str]
) -> _Examined:
    """Examine a mask; ``objects`` is the highest id, and what to say of a higher one."""
    png = inspect_label_png(data)
    if isinstance(png, str):
        return _Examined(member, [Problem("corrupt", member, png)])
    problems: list[Problem] = []
    if png.form != "8-bit indexed":
        problems.append(Problem("format", member, f"expected 8-bit indexed PNG, got {png.form}"))
    elif not png.davis_colours:
        message = (
            "the palette differs from PASCAL's; only ids count, but viewers show other colours"
        )
        problems.append(Problem("palette", member, message, fatal=False))
    if png.size != size:
        message = "expected {}x{} like the frame, got {}x{}".format(*size[::-1], *png.size[::-1])
        problems.append(Problem("size", member, message))
    (limit, said), highest = objects, 0 if png.labels is None else int(png.labels.max(initial=0))
    if highest > limit:
        hint = " (void, or a black and white mask)" if highest == VOID else ""
        hint = said or hint
        message = f"expected ids up to {limit}, the first frame's objects, got {highest}{hint}"
        problems.append(Problem("ids", member, message))
    return _Examined(member, problems, data, png)


def _is_black_and_white(seq: VideoSequence) -> bool:
    """Tell whether masks that should hold ids hold 0 and 255 only."""
    return bool(seq.prompts) and all(
        set(np.unique(read_label_map(path)).tolist()) <= {0, VOID}
        and bool(read_label_map(path).any())
        for _, path in seq.prompts
    )


def _object_limit(seq: VideoSequence) -> int:
    if seq.first_mask is None:
        return _UNSUPERVISED_OBJECTS
    if seq.semantics == "binary":
        return 1
    highest = max((obj.id for obj in seq.objects), default=0)
    for _, path in seq.prompts:
        labels = read_label_map(path)
        highest = max(highest, int(labels[labels != VOID].max(initial=0)))
    return highest


def _expected(seq: VideoSequence) -> tuple[str, ...]:
    """Return the frames from the first one on in which an object is given."""
    seq, _ = place_objects(seq)
    return seq.frame_names[seq.prompts[0][0] if seq.prompts else 0 :]
