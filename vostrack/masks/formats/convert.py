"""From any format to any other: reading results, and exporting them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import check_link_to_write, expand_home, real_path, through_link
from vostrack.masks.annotated_video import masks_of_video
from vostrack.masks.formats.format import Alpha
from vostrack.masks.formats.image_folder import images_in, read_stack
from vostrack.masks.formats.label_stack import LabelStack, masks_of_stack
from vostrack.masks.formats.reading import (
    is_annotation_file,
    is_annotation_folder,
    read_annotations,
)
from vostrack.masks.formats.registry import check_alpha, check_writable
from vostrack.masks.formats.replaced_files import check_replaced, check_suffix
from vostrack.masks.formats.results_folder import inputs_of, is_results_folder, read_folder
from vostrack.masks.image_opening import is_archive
from vostrack.masks.video_masks import VideoMasks
from vostrack.output_folder import make_output_folder

__all__ = ["export_results", "read_results"]


def read_results(
    path: str | os.PathLike[str], *, size: tuple[int, int] | None = None
) -> VideoMasks:
    """Read the masks of a video. Label maps are read on demand.

    Args:
        path: a folder that ``vostrack track`` wrote, or a file or folder in any format that
            ``vostrack.masks.FORMATS`` reads.
        size: H and W of the video in pixels, for files that state no size.

    Raises:
        InputError: the masks cannot be read, or have another size than that which is given. The
            message names the problem and the remedy.
    """
    source = expand_home(path)
    masks = _read(source, size)
    if size is not None and tuple(size) != tuple(masks.size):
        height, width = masks.size
        raise InputError(
            f"size: {source} states {width} x {height} pixels itself, got {size[1]} x {size[0]}; "
            "leave `size` out"
        )
    return masks


def _read(source: Path, size: tuple[int, int] | None) -> VideoMasks:
    """Read masks; ``size`` counts only where they state none."""
    if not source.exists():
        raise InputError(f"{source} does not exist; check the path")
    if source.is_dir() and is_results_folder(source):
        return read_folder(source)
    if is_annotation_file(source) or (source.is_dir() and is_annotation_folder(source)):
        found, origin = read_annotations(source, size), str(source)
        if isinstance(found, LabelStack):
            return masks_of_stack(found, origin)
        return masks_of_video(found, size, origin)
    if source.is_dir() and images_in(source):
        return masks_of_stack(read_stack(images_in(source), str(source)), str(source))
    if source.is_file() and is_archive(source):
        raise InputError(
            f"{source}: an archive, expected masks or a file of annotations; unpack it, and give "
            "the file or the folder with the masks"
        )
    raise InputError(
        f"{source} is not a folder that vostrack track wrote (with masks and run.json), "
        "and no annotations or label maps of a known format; check the path"
    )


def export_results(
    results: VideoMasks | str | os.PathLike[str],
    format: str,  # noqa: A002 - what users call it
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    alpha: Alpha = "straight",
) -> tuple[str, ...]:
    """Write the masks of a video in the format of another tool.

    Args:
        results: the masks, or the path of masks that ``read_results`` reads.
        format: name of the format; ``vostrack.masks.FORMATS`` lists them.
        output: the file or the folder to write; it appears when it is complete.
        overwrite: replace ``output``, if it looks like an earlier export. In a folder, files of the
            same names are replaced, and all others stay. Files of other kinds, and what a run
            wrote, are refused. Where ``output`` is a link, it stays, and what it leads to is
            replaced.
        alpha: what the colours of a ``prores`` export are: "straight" for the object's own,
            "premultiplied" for these times alpha.

    Returns:
        A sentence for each thing that these masks lose in the format.

    Raises:
        InputError: the masks cannot be read, the format is unknown or cannot hold them, or
            ``output`` exists, is a link to nothing, or would replace what is no export.
    """
    wanted, target = check_writable(format), Path(output)
    check_alpha(alpha, [wanted.name])
    check_link_to_write(target)
    if target.exists() and not overwrite:
        raise InputError(
            f"output: {target} exists already; `overwrite=True` replaces it, `output` names "
            "another place"
        )
    if target.exists() and target.is_dir() != (wanted.suffix == ""):
        kind = "folder" if wanted.suffix == "" else "file"
        raise InputError(
            f"output: {target} is not a {kind}, but {wanted.name} is written as a {kind}; give "
            "another `output`"
        )
    masks = results if isinstance(results, VideoMasks) else read_results(results)
    if not masks.frames:
        raise InputError("the masks contain no frame, expected at least one; check the path")
    inputs = inputs_of(masks.folder)
    _refuse_input(target, inputs)
    make_output_folder(target.parent)
    check_suffix(target, wanted.suffix)
    place = through_link(target)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=place.parent) as temporary:
        if wanted.suffix:
            # A new file has nothing to be compared with.
            file = Path(temporary) / place.name if place.exists() else place
            notes = wanted.write(masks, file, alpha)
            if file != place:
                check_replaced(target, file)
                file.replace(place)
            return (*notes, *masks.lost())
        made = Path(temporary) / "folder"
        made.mkdir()
        notes = wanted.write(masks, made, alpha)
        for path in made.rglob("*"):
            _refuse_input(target / path.relative_to(made), inputs)
            check_replaced(target / path.relative_to(made), path)
        shutil.copytree(made, target, dirs_exist_ok=True, copy_function=shutil.move)
    return (*notes, *masks.lost())


def _refuse_input(path: Path, inputs: Collection[Path]) -> None:
    """Refuse to replace the video, a frame or a mask that the results were made from."""
    place = real_path(path)
    if path.is_file() and (place in inputs or place.parent in inputs):
        raise InputError(
            f"output: {path} is what the masks were made from, and would be replaced; give another "
            "`output`"
        )
