"""A submission replaces an earlier one, and nothing else."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from vostrack.errors import InputError
from vostrack.eval.submission_file import WRITER, ZIP_COMMENT, check_submission_file


def _packed(path: Path, comment: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "mine")
        archive.comment = comment
    return path


def test_an_earlier_submission(tmp_path: Path) -> None:
    path = _packed(tmp_path / "s.zip", ZIP_COMMENT)
    check_submission_file(path, "davis", overwrite=True)
    with pytest.raises(InputError, match="exists; `overwrite=True` replaces it"):
        check_submission_file(path, "davis")
    result = tmp_path / "s.json"
    result.write_text(json.dumps({"sequences": [], "written_by": WRITER}))
    check_submission_file(result, "burst", overwrite=True)
    with pytest.raises(InputError, match="is read, not written"):
        check_submission_file(result, "burst", inputs=[result], overwrite=True)


def test_an_empty_file_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    path.touch()
    check_submission_file(path, "davis", overwrite=True)


def test_files_of_others_stay(tmp_path: Path) -> None:
    archive, text = _packed(tmp_path / "foreign.zip"), tmp_path / "photo.zip"
    text.write_bytes(b"no zip file at all")
    for path in (archive, text):
        with pytest.raises(InputError, match="was not written by vostrack dataset submit; move"):
            check_submission_file(path, "davis", overwrite=True)
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"sequences": []}')
    with pytest.raises(InputError, match="was not written by"):
        check_submission_file(foreign, "burst", overwrite=True)


@pytest.mark.parametrize("name", ["00000.png", "a.json", "a", "a.tar"])
def test_another_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a \.zip file, got .*; give .*\.zip$"):
        check_submission_file(tmp_path / name, "davis", overwrite=True)
