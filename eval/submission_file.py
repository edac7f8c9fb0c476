"""The file of a submission: where it may be written, and which earlier file it may replace."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import check_output_file

__all__ = ["WRITER", "ZIP_COMMENT", "check_submission_file", "submission_suffix"]

WRITER = "vostrack dataset submit"
"""What a written file says of its origin: by this, it may be replaced later."""

ZIP_COMMENT = WRITER.encode("ascii")


def submission_suffix(layout: str) -> str:
    """Return what the name of a layout's submission ends with."""
    return ".json" if layout == "burst" else ".zip"


def check_submission_file(
    path: Path, layout: str, *, inputs: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Refuse a place where a submission cannot be written, or would replace anything else.

    Args:
        path: the file to write.
        layout: of the data set; the submission is a ``.json`` file for burst, else a ``.zip`` file.
        inputs: files that are read.
        overwrite: an earlier submission may be replaced.

    Raises:
        InputError: it has another suffix, cannot be written, is one of the inputs, exists without
            ``overwrite``, or was not written as a submission.
    """
    suffix = submission_suffix(layout)
    if path.suffix.lower() != suffix:
        right = path.with_suffix(suffix) if path.suffix else path.with_name(path.name + suffix)
        raise InputError(
            f"zip: the submission of {layout} is a {suffix} file, got {path}; give {right}"
        )
    check_output_file(path, "zip", inputs)
    if not path.exists():
        return
    # An empty file, as mktemp makes it, holds nothing to lose.
    written = not path.stat().st_size or _is_submission(path, suffix)
    if not written:
        raise InputError(
            f"zip: {path} exists and was not written by {WRITER}; move it away, or give another "
            "place"
        )
    if not overwrite:
        raise InputError(f"zip: {path} exists; `overwrite=True` replaces it")


def _is_submission(path: Path, suffix: str) -> bool:
    """Tell whether a file says that it was written as a submission."""
    try:
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return archive.comment == ZIP_COMMENT
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile):
        return False
    return isinstance(content, dict) and content.get("written_by") == WRITER
