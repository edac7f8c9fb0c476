"""Label maps in folders and zip files: what is left out, what is background, what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import AnyArray
from vostrack.datasets import VideoSequence
from vostrack.datasets.label_maps import LabelMapZip, open_label_maps
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map

LABELS = np.array([[0, 1, 7], [255, 7, 0]], np.uint8)


def png(values: AnyArray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def packed(path: Path, **members: bytes) -> Path:
    """Write a zip file with these members in a folder ``deep``."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"deep/{name}.png", data)
    return path


def video(folder: Path, name: str, labels: AnyArray = LABELS) -> VideoSequence:
    Image.new("RGB", labels.shape[::-1]).save(folder / f"{name}.jpg")
    write_label_map(folder / f"{name}.png", labels)
    frames, masks = (folder / f"{name}.jpg",), (folder / f"{name}.png",)
    return VideoSequence(name, frames, masks, (), "ids", "DAVIS 2017 train 480p")


def test_excluded_videos_are_left_out(tmp_path: Path) -> None:
    videos = [video(tmp_path, name) for name in ("bear", "boat", "2007_bird")]
    (source,) = open_label_maps([], exclude=["bear", "2007_*"], videos=videos)
    assert len(source) == 1
    assert source[0].tolist() == [[0, 1, 1], [255, 1, 0]]
    # One pattern may mean masks, and another a video.
    masks = packed(tmp_path / "masks.zip", a=png(LABELS), b=png(LABELS))
    sources = open_label_maps([masks], exclude=["a", "boat"], videos=videos)
    assert [len(source) for source in sources] == [1, 2]
    with pytest.raises(InputError, match="--exclude: baer leaves out none of the masks and videos"):
        open_label_maps([masks], exclude=["a", "baer"], videos=videos)
    for paths, exclude, name in (([masks], ["a", "baer"], "b"), ([], ["bear", "baer"], "boat")):
        with pytest.raises(InputError, match=f"without suffix, such as {name}$"):
            open_label_maps(paths, exclude=exclude, videos=videos)
    with pytest.raises(InputError, match="--exclude: it leaves out all 3 videos"):
        open_label_maps([masks], exclude=["b*", "2007_*"], videos=videos)


def test_background_ids_count_in_folders_and_zip_files(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    packed(tmp_path / "masks.zip", a=png(LABELS))
    (tmp_path / "masks" / "a.png").write_bytes(png(LABELS))
    for source in open_label_maps([tmp_path / "masks", tmp_path / "masks.zip"], background=[7]):
        assert source[0].tolist() == [[0, 1, 0], [255, 0, 0]]
    for number in (-1, 0, 255, 300):
        for name in ("masks", "masks.zip"):
            with pytest.raises(
                InputError,
                match=rf"^background_ids: expected .* in 1..254, got {number};",
            ):
                open_label_maps([tmp_path / name], background=[7, number])
    for name in ("masks", "masks.zip"):
        with pytest.raises(InputError, match=rf"background_ids: the masks of .*{name} show no cla"):
            open_label_maps([tmp_path / name], background=[1, 7])
    write_label_map(tmp_path / "masks" / "a.png", np.where(LABELS == 255, 255, 0))
    with pytest.raises(InputError, match="hold no value but 0 and 255"):
        open_label_maps([tmp_path / "masks"], background=[1, 7])


def test_hidden_files_of_macos_are_no_masks(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    packed(tmp_path / "masks.zip", **{"._a": b"resource fork", "a": png(LABELS)})
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        archive.extractall(tmp_path / "masks")
    sources = open_label_maps([tmp_path / "masks", tmp_path / "masks.zip"])
    assert [len(source) for source in sources] == [1, 1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(np.full((4, 4), 300, np.uint16)), "expected ids in 0..255, got 300"),
        (png(np.zeros((4, 4, 3), np.uint8)), "expected a palette or gray PNG .* mode RGB"),
        (
            png(LABELS)[:40],
            "cannot be read as a label map .*; expected a complete palette or gray PNG$",
        ),
        (b"text", r"cannot be read as a label map \(it is no image\)"),
    ],
    ids=["16 bits", "colours", "cut off", "text"],
)
def test_what_is_no_label_map_is_named_with_its_zip_file(
    tmp_path: Path, data: bytes, said: str
) -> None:
    path = packed(tmp_path / "masks.zip", a=data)
    with pytest.raises(InputError, match=rf"^masks: deep/a.png in {path}: {said}"):
        LabelMapZip(path)[0]


def test_a_damaged_member_is_named_with_its_zip_file(tmp_path: Path) -> None:
    path = packed(tmp_path / "masks.zip", a=png(LABELS))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"IDAT", b"JDAT", 1))
    with pytest.raises(InputError, match=rf"deep/a.png in {path}: cannot be unpacked .*CRC"):
        LabelMapZip(path)[0]


def test_what_is_neither_folder_nor_zip_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^masks: there is no nowhere; expected a folder of PNG"):
        open_label_maps([Path("nowhere")])
    (tmp_path / "masks.zip").write_bytes(b"text")
    with pytest.raises(InputError, match=r"cannot be read as a zip file .*; expected a folder of"):
        open_label_maps([tmp_path / "masks.zip"])


def test_masks_without_an_object_are_refused(tmp_path: Path) -> None:
    zeros = packed(tmp_path / "zeros.zip", a=png(np.zeros((4, 4), np.uint8)))
    with pytest.raises(InputError, match=f"no object in any mask of {zeros}"):
        open_label_maps([zeros])
    with pytest.raises(InputError, match=r"0 and 255, which is void, .* `year=2016`"):
        open_label_maps([], videos=[video(tmp_path, "a", np.full((4, 4), 255, np.uint8))])
