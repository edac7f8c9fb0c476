"""Links: those to files which are gone are named, and those that are written to stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.datasets.small_sets import make_mose
from tests.evaluation.results_of_others import make_davis, write_results
from vostrack import evaluate
from vostrack.cli import main
from vostrack.datasets import VideoSequence, open_davis, open_mose
from vostrack.errors import InputError
from vostrack.eval import ScoringOptions
from vostrack.eval.submission import write_submission


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    return make_davis(tmp_path / "DAVIS", ("swan",))


@pytest.fixture
def guesses(tmp_path: Path) -> Path:
    return write_results(tmp_path / "results", ("swan",))


def _break(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path.parent / "gone")


@pytest.mark.parametrize("missing", ["skip", "empty"])
def test_a_result(missing: str, davis: Path, guesses: Path) -> None:
    """It is no frame without a result, which counts as an empty mask."""
    _break(guesses / "swan" / "00003.png")
    options = ScoringOptions(missing=missing)  # type: ignore[arg-type]
    report = evaluate(guesses, davis, scoring=options)
    (found,) = (one for one in report.findings if one.kind == "unreadable")
    assert found.lost
    assert found.frames == ("00003",)
    assert "00003.png is a link to" in found.message
    assert "gone, which does not exist" in found.message


def test_results_that_are_links_only(davis: Path, guesses: Path) -> None:
    for path in (guesses / "swan").iterdir():
        _break(path)
    with pytest.raises(InputError, match=r"nothing could be scored[^$]*00000\.png is a link to"):
        evaluate(guesses, davis)


def test_the_results_of_a_sequence(tmp_path: Path) -> None:
    root = make_davis(tmp_path / "DAVIS")
    results = write_results(tmp_path / "results")
    _break(results / "goats")
    (found,) = (one for one in evaluate(results, root).findings if one.kind == "folder")
    assert found.lost
    assert "goats is a link to" in found.message


def test_the_results(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert main(["eval", str(tmp_path / "link"), "--root", str(davis)]) == 2
    assert "link is a link to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place", ["JPEGImages/480p/swan/00002.jpg", "Annotations/480p/swan/00002.png"]
)
def test_a_file_of_a_data_set(place: str, davis: Path) -> None:
    _break(davis / place)
    with pytest.raises(InputError, match=r"00002\.(jpg|png) is a link to .*, which does not exist"):
        open_davis(davis)


def test_a_video_of_a_data_set(tmp_path: Path) -> None:
    root = make_mose(tmp_path / "MOSE")
    video = next((root / "JPEGImages").iterdir())
    _break(video)
    with pytest.raises(InputError, match=rf"{video.name} is a link to .*, which does not exist"):
        open_mose(root)


def test_a_submission(sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path) -> None:
    _break(results / "swan" / "00001.png")
    with pytest.raises(InputError, match=r"swan/00001\.png: cannot be read: .* is a link to"):
        write_submission(results, sequences, tmp_path / "s.zip")
    assert not (tmp_path / "s.zip").exists()


def test_links_to_reports_and_submissions_stay(
    davis: Path, guesses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("r.json", "r.html", "s.zip")
    (tmp_path / "disk").mkdir()
    for name in names:
        (tmp_path / "disk" / name).touch()
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    reports = [f"--{n.partition('.')[2]}={tmp_path / n}" for n in names[:2]]
    assert main(["eval", str(guesses), "--root", str(davis), *reports]) == 0
    sequences = open_davis(davis)
    write_submission(guesses, sequences, tmp_path / "s.zip")
    for name in names:
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "disk" / name).stat().st_size > 0
    (tmp_path / "disk" / "r.json").unlink()
    assert main(["eval", str(guesses), "--root", str(davis), *reports]) == 2
    assert "json: " in (error := capsys.readouterr().err)
    assert "r.json is a link to" in error
