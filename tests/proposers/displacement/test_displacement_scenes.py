from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.datasets.label_maps import (
    DrawnMaps,
    LabelMapFolder,
    LabelMapZip,
    open_label_maps,
)
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.proposers.displacement.scenes import SceneConfig, draw_scene

PLAIN = SceneConfig(
    side=64, longest=(64, 64), objects=False, pieces=0, merge=0, permute=False, flip=0
)


class Fixed(Sequence[UInt8Array]):
    """One label map, again and again."""

    def __init__(self, labels: UInt8Array) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> UInt8Array:  # type: ignore[override]  # no slices
        return self.labels


def two_squares() -> UInt8Array:
    labels = np.zeros((64, 64), np.uint8)
    labels[8:32, 8:32] = 3
    labels[40:60, 36:60] = 5
    labels[0:4, 40:50] = 255
    return labels


def test_a_plain_scene_is_the_label_map_itself() -> None:
    scene = draw_scene([Fixed(two_squares())], PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(scene.labels, two_squares())
    assert scene.regions.shape == (16, 16)
    expected = two_squares()[2::4, 2::4].astype(int)
    np.testing.assert_array_equal(scene.regions, np.where(expected == 255, -1, expected))


def test_a_small_map_is_surrounded_by_void() -> None:
    small = replace(PLAIN, longest=(32, 32))
    scene = draw_scene([Fixed(np.ones((64, 64), np.uint8))], small, np.random.default_rng(3))
    assert int((scene.labels == 1).sum()) == 32 * 32
    assert int((scene.labels == 255).sum()) == 64 * 64 - 32 * 32


def test_pieces_of_one_class_are_regions_of_their_own() -> None:
    config = replace(PLAIN, pieces=3, same_class=1, flip=0.5)
    chance = np.random.default_rng(0)
    several = 0
    for _ in range(20):
        scene = draw_scene([Fixed(two_squares())], config, chance)
        seen = scene.labels[2::4, 2::4]
        known = scene.regions >= 0
        np.testing.assert_array_equal(scene.regions[known] % 256, seen[known])
        np.testing.assert_array_equal(scene.regions[seen == 0], 0)
        np.testing.assert_array_equal(scene.regions[seen == 255], -1)
        ids = np.unique(scene.regions[scene.regions > 0])
        several += len(set(ids.tolist())) > len(set((ids % 256).tolist()))
    assert several >= 10


def test_merged_scenes_show_one_class_and_keep_the_regions_apart() -> None:
    config = replace(PLAIN, merge=1)
    scene = draw_scene([Fixed(two_squares())], config, np.random.default_rng(0))
    assert set(np.unique(scene.labels)) <= {0, 1, 255}
    assert len(np.unique(scene.regions[scene.regions > 0])) == 2


def test_permuted_ids_are_distinct_and_do_not_reach_the_losses() -> None:
    config = replace(PLAIN, permute=True)
    scene = draw_scene([Fixed(two_squares())], config, np.random.default_rng(1))
    assert set(np.unique(scene.regions)) == {-1, 0, 3, 5}
    for class_id in (3, 5):
        ids = np.unique(scene.labels[two_squares() == class_id])
        assert len(ids) == 1
        assert ids[0] not in (0, 255, class_id)


def test_the_same_chance_gives_the_same_scene() -> None:
    first, second = (
        draw_scene([DrawnMaps(20, 96)], SceneConfig(side=64), np.random.default_rng(7))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.regions, second.regions)


def test_maps_come_from_zip_and_folder(tmp_path: Path) -> None:
    write_label_map(tmp_path / "masks" / "a.png", two_squares())
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        archive.write(tmp_path / "masks" / "a.png", "deep/a.png")
        archive.writestr("note.txt", "no mask")
    packed = LabelMapZip(tmp_path / "masks.zip")
    assert len(packed) == 1
    np.testing.assert_array_equal(packed[0], two_squares())
    folder = LabelMapFolder(tmp_path / "masks", background=[5])
    assert len(folder) == 1
    np.testing.assert_array_equal(folder[0], np.where(two_squares() == 5, 0, two_squares()))


def test_excluded_names_are_left_out(tmp_path: Path) -> None:
    for index, name in enumerate(("2007_000032", "2007_000033", "2008_000007"), start=1):
        write_label_map(tmp_path / "masks" / f"{name}.png", np.full((4, 4), index, np.uint8))
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        for path in (tmp_path / "masks").glob("*.png"):
            archive.write(path, f"2007_folder/{path.name}")
    packed = LabelMapZip(tmp_path / "masks.zip", exclude=["2007_*"])
    folder = LabelMapFolder(tmp_path / "masks", exclude=["2007_*"])
    for source in (packed, folder):
        assert len(source) == 1
        assert source[0].max() == 3
    one = LabelMapZip(tmp_path / "masks.zip", exclude=["2007_000032"])
    assert [int(one[k].max()) for k in range(2)] == [2, 3]
    with pytest.raises(InputError, match="apart from excluded"):
        LabelMapZip(tmp_path / "masks.zip", exclude=["*"])
    # A pattern need leave out masks of one source only; of none, it is misspelt.
    (tmp_path / "other").mkdir()
    write_label_map(tmp_path / "other" / "a.png", np.ones((4, 4), np.uint8))
    paths = [tmp_path / "masks.zip", tmp_path / "other"]
    assert [len(source) for source in open_label_maps(paths, exclude=["2007_*"])] == [
        len(packed),
        1,
    ]
    with pytest.raises(InputError, match=r"--exclude: 2O07_\* leaves out none of the masks"):
        open_label_maps(paths, exclude=["2007_*", "2O07_*"])
    with pytest.raises(InputError, match="apart from excluded"):
        LabelMapFolder(tmp_path / "masks", exclude=["2007_*", "2008_000007"])


@pytest.mark.shared_data
def test_the_stills_that_judge_are_not_among_the_masks(shared_dir: Path) -> None:
    judges = {p.stem for p in (shared_dir / "data/stills/VOC2007/SegmentationClass").glob("*.png")}
    assert len(judges) == 44
    with zipfile.ZipFile(shared_dir / "data/stills/VOC2012SegAug-masks.zip") as archive:
        names = {Path(name).stem for name in archive.namelist()}
    assert not names & judges
    # VOC 2012 gives the images of VOC 2007 names of this form.
    assert not names & {f"2007_{name}" for name in judges}


def test_sbd_files_are_read(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", {"GTcls": {"Segmentation": two_squares()}})
    np.testing.assert_array_equal(LabelMapFolder(tmp_path)[0], two_squares())


def test_drawn_maps_do_not_depend_on_the_order() -> None:
    maps = DrawnMaps(10, 64, seed=3)
    last = maps[9]
    np.testing.assert_array_equal(maps[9], last)
    assert not np.array_equal(maps[8], last)
    assert set(np.unique(last)) <= {0, 1, 2, 3}


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(InputError, match="no PNG"):
        LabelMapZip(tmp_path / "empty.zip")
    with pytest.raises(InputError, match="no PNG or MAT"):
        LabelMapFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="side"):
        SceneConfig(side=100)
    with pytest.raises(InputError, match="same_class"):
        SceneConfig(same_class=2)
