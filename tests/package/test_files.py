from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest
from vostrack.arrays import UInt8Array
from vostrack.files import expand_home, parse_json
from vostrack.masks import atomic_path, write_label_map, write_masks_json, write_matte
from vostrack.masks.several_frames import split_frame

LABELS = np.ones((4, 4), dtype=np.uint8)


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.bin"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        temporary.write_bytes(b"new")
        assert not target.exists()
        # A reader that lists by suffix must not see it.
        assert temporary.suffix == ".tmp"
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old and long")
    with target.open("rb", buffering=0) as reader:
        first = reader.read(3)
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"new")
        assert first + reader.read() == b"old and long"
    assert target.read_bytes() == b"new"


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def _write_masks(path: Path) -> None:
    write_masks_json(path, [(0, LABELS)], (1,), (4, 4))


def _write_labels(path: Path) -> None:
    write_label_map(path, LABELS)


def _write_matte(path: Path) -> None:
    write_matte(path, LABELS.astype(bool))


@pytest.mark.parametrize("write", [_write_labels, _write_matte, _write_masks])
@pytest.mark.parametrize("fault", [OSError("disk full"), KeyboardInterrupt()], ids=["disk", "stop"])
def test_a_failing_write_leaves_the_old_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], None],
    fault: BaseException,
) -> None:
    target = tmp_path / "result"
    target.write_bytes(b"old")

    def half(_: object, path: Path, *args: object, **kwargs: object) -> None:
        path.open("wb").write(b"half")
        raise fault

    def half_text(path: Path, *args: object, **kwargs: object) -> None:
        half(None, path)

    monkeypatch.setattr(Image.Image, "save", half)
    monkeypatch.setattr(Path, "write_text", half_text)
    with pytest.raises(type(fault)):
        write(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_frames_that_fail_midway_leave_the_old_json(tmp_path: Path) -> None:
    target = tmp_path / "masks.json"
    target.write_text("old")

    def frames() -> Iterator[tuple[int, UInt8Array]]:
        yield 0, LABELS
        raise OSError("decoder died")

    with pytest.raises(OSError, match="decoder died"):
        write_masks_json(target, frames(), (1,), (4, 4))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_home_folders_and_names_that_only_look_like_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home("~/a") == tmp_path / "a"
    assert expand_home("~nobody-here/a") == Path("~nobody-here/a")
    request = ClipRequest(video="~/a", first_mask=("~/m", "7=~/n"), output="~/out")  # type: ignore[arg-type]  # as a user may write it
    assert request.output == tmp_path / "out"
    assert [split_frame(mask) for mask in request.first_mask] == [
        (None, str(tmp_path / "m")),
        (7, str(tmp_path / "n")),
    ]


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", b"\xff"])
def test_json_that_is_none(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_a_folder_that_vanishes_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, is_dir = tmp_path / "out", Path.is_dir
    folder.mkdir()

    def renamed(self: Path, **options: bool) -> bool:
        """Another process renames the folder before it is looked at."""
        if self == folder and folder.exists():
            folder.rename(tmp_path / "moved")
        return is_dir(self, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", renamed)
        with atomic_path(folder / "a.txt") as temporary:
            temporary.write_text("a")
    assert (folder / "a.txt").read_text() == "a"
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError), atomic_path(tmp_path / "file" / "a.txt"):
        pass
