"""Videos that are held out of a training: a misspelt name is not trained on in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vostrack.cli import main
from vostrack.cli.training_data import open_clips, parse_data
from vostrack.errors import InputError
from vostrack.online_finetune.target.clip_mixture import ClipMixture


@pytest.mark.parametrize(
    ("name", "folder"),
    [("target", "--data"), ("foreground", "--root"), ("localizer", "--root"), ("spn", "--davis")],
)
def test_a_name_that_no_video_has_is_refused(
    name: str, folder: str, davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = f"davis:{davis}" if name == "target" else str(davis)
    argv = ["train", name, folder, data, "--output", str(tmp_path / "runs"), "--steps", "1"]
    argv += ["--device", "cpu", "--quiet", "--exclude"]
    assert main([*argv, "clip", "miror"]) == 2
    message = "--exclude: miror is none of the videos and backgrounds; did you mean mirror?"
    assert message in capsys.readouterr().err
    assert main([*argv, "nosuch"]) == 2
    assert "expected names such as clip, mirror" in capsys.readouterr().err
    assert main([*argv, "mirror", "clip"]) == 2
    assert "--exclude: it leaves out all 2 videos of a data set" in capsys.readouterr().err


def mixture(
    davis: Path, photos: Path, exclude: tuple[str, ...], *kinds: str
) -> tuple[ClipMixture, list[str]]:
    parts = parse_data([f"{kind}:{davis if kind == 'davis' else photos}" for kind in kinds])
    clips, held_out = open_clips(
        parts, year=2017, subset="train", exclude=exclude, backgrounds=[davis.parent / "places"]
    )
    return clips, [video.name for video in held_out]


def test_a_name_need_be_known_to_one_of_several_sources(
    davis: Path, matted_photos: Path, tmp_path: Path
) -> None:
    for place in ("hill", "lake", "town"):
        shutil.copytree(davis / "JPEGImages" / "480p" / "clip", tmp_path / "places" / place)
    kinds = "davis", "objects"
    assert mixture(davis, matted_photos, ("mirror", "lake"), *kinds)[1] == ["mirror"]
    for exclude, near in (("miror", "mirror"), ("laek", "lake")):
        with pytest.raises(InputError, match=rf"{exclude} is none .*; did you mean {near}\?"):
            mixture(davis, matted_photos, ("mirror", exclude), *kinds)
    with pytest.raises(InputError, match=r"mirror is none of .*; expected names such as \w+, \w+"):
        mixture(davis, matted_photos, ("mirror",), "objects")
    with pytest.raises(InputError, match=r"mirror is none of .*; leave it out"):
        mixture(davis, matted_photos, ("mirror",), "photos")


def test_without_davis_nothing_is_held_out_of_the_training_of_an_spn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "spn", "--synthetic", "2", "--output", str(tmp_path), "--steps", "1"]
    assert main([*argv, "--exclude", "clip"]) == 2
    assert "--exclude: it has no effect without DAVIS; give --davis" in capsys.readouterr().err


def test_siseg_leaves_out_videos(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "siseg", "--davis", str(davis), "--output", str(tmp_path / "runs")]
    argv += ["--steps", "1", "--device", "cpu", "--quiet", "--exclude"]
    assert main([*argv, "miror"]) == 2
    assert "--exclude: miror leaves out none of the masks and videos" in capsys.readouterr().err
    assert main([*argv, "mirror", "clip"]) == 2
    assert "--exclude: it leaves out all 2 videos" in capsys.readouterr().err
