"""Runs that were stopped, damaged or tampered with go on right, or are refused with the reason."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.conftest import FRAMES, request_in, write_clip, write_mask
from vostrack import ClipRequest, InputError
from vostrack.masks import write_label_map
from vostrack.models.weights import shipped_weights
from vostrack.output_folder import LOCK
from vostrack.runs import clip as clip_module
from vostrack.runs import folder as folder_module
from vostrack.runs.clip import track_clip
from vostrack.runs.saved_state import read_state, write_state
from vostrack.tracking.tracker import Tracker

Make = Callable[..., ClipRequest]


def masks(request: ClipRequest) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((request.output / "masks").glob("*.png"))}


def record(request: ClipRequest) -> dict[str, Any]:
    return dict(json.loads((request.output / "run.json").read_text()))


def whole(request: ClipRequest, reference: ClipRequest) -> None:
    """Check that a run is complete and equals one that was never stopped."""
    assert record(request)["status"] == "complete"
    assert record(request)["frames"] == FRAMES
    assert masks(request) == masks(reference)
    assert record(request)["objects"] == record(reference)["objects"]
    names = ("masks.json",)
    for name in names:
        assert (request.output / name).read_bytes() == (reference.output / name).read_bytes()
    assert not list(request.output.rglob("*.tmp"))
    assert not (request.output / LOCK).exists()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> ClipRequest:
    """A run of the same clip that was never stopped; tests only read it."""
    folder = tmp_path_factory.mktemp("reference")
    write_clip(folder / "frames")
    write_mask(folder / "mask.png")
    request = request_in(folder)
    track_clip(request)
    return request


def test_half_a_line_at_the_end_of_the_log(
    stopped_after: Make, reference: ClipRequest, project: Path
) -> None:
    request = stopped_after(4)
    (project / "frames").rename(project / "out" / "frames")  # the content is what counts
    request = replace(request, video=str(project / "out" / "frames"))
    log = request.output / ".state" / "frames.jsonl"
    log.write_bytes(log.read_bytes()[:-30] + b"\n" + b"[" * 100_000 + b"\n" + b"9" * 5000)
    track_clip(request)
    whole(request, reference)


@pytest.mark.parametrize(
    "damage", ["missing", "cut short", "empty", "log gone", "a list", "changed"]
)
def test_files_of_finished_frames_that_are_gone(
    damage: str, stopped_after: Make, reference: ClipRequest, caplog: pytest.LogCaptureFixture
) -> None:
    request = stopped_after(4)
    mask, log = request.output / "masks/00001.png", request.output / ".state/frames.jsonl"
    if damage == "missing":
        mask.unlink()
    elif damage == "cut short":
        mask.write_bytes(mask.read_bytes()[:-20])
    elif damage == "empty":
        mask.write_bytes(b"")
    elif damage == "log gone":
        log.unlink()
    elif damage == "a list":
        log.write_text("[1, 2]\nnull\n{}\n")
    else:  # a record that could be true
        log.write_text(log.read_text().replace('"presence": [1.0]', '"presence": [0.5]', 1))
    track_clip(request)
    whole(request, reference)
    assert "tracking from the first frame again" in caplog.text


def test_a_position_beyond_the_end_is_not_complete(
    stopped_after: Make, reference: ClipRequest
) -> None:
    request = stopped_after(3)
    path = request.output / ".state" / "frame.pt"
    write_state(path, {**read_state(path), "index": 99})
    track_clip(request)
    whole(request, reference)


def test_a_damaged_state_is_refused_in_one_line(
    stopped_after: Make, reference: ClipRequest
) -> None:
    request = stopped_after(3)
    for name in ("settings.json", "frame.pt", "start.pt"):
        file = request.output / ".state" / name
        sound = file.read_bytes()
        other = bytes([*sound[: len(sound) // 2], sound[len(sound) // 2] ^ 1])
        changed = other + sound[len(other) :] if name != "settings.json" else b"[" * 100_000
        for content in (b"", b"[]", b"{}", b"no state", b"null", changed):
            file.write_bytes(content)
            words = r"resume: the state in .* cannot be used"
            with pytest.raises(InputError, match=words) as caught:
                track_clip(request)
            assert "\n" not in str(caught.value)
            assert "`overwrite=True`" in str(caught.value)
            assert file.read_bytes() == content
        file.write_bytes(sound)
    track_clip(request)  # a refusal changes nothing
    whole(request, reference)


def test_states_whose_keys_are_missing(stopped_after: Make) -> None:
    request = stopped_after(3)
    path = request.output / ".state" / "frame.pt"
    write_state(path, {"index": read_state(path)["index"]})
    with pytest.raises(InputError, match="damaged"):
        track_clip(request)


@pytest.mark.parametrize("changed", ["video", "first_mask", "weights"])
def test_changed_content_is_noticed(changed: str, stopped_after: Make, project: Path) -> None:
    weights = project / "target.safetensors"
    shutil.copy(shipped_weights("target"), weights)
    request = stopped_after(3, weights=str(weights))
    if changed == "weights":
        content = bytearray(weights.read_bytes())
        content[-2] ^= 1  # the smallest change of the last number
        weights.write_bytes(content)
    elif changed == "video":
        write_clip(project / "frames", shade=91)
    else:
        labels = project / "mask.png"
        write_mask(labels)
        from PIL import Image

        image = Image.open(labels)
        image.load()
        image.putpixel((8, 12), 0)
        image.putpixel((28, 12), 1)  # the same size and the same number of pixels
        image.save(labels)
    with pytest.raises(InputError, match=f"content of `{changed}` has changed"):
        track_clip(request)


def test_a_mask_that_was_edited_meanwhile_is_not_replaced(
    stopped_after: Make, reference: ClipRequest, project: Path
) -> None:
    request = stopped_after(4)
    edited = request.output / "masks" / "00001.png"
    write_mask(edited)
    content = edited.read_bytes()
    with pytest.raises(InputError, match=r"00001\.png was changed after the run wrote it"):
        track_clip(request)
    assert edited.read_bytes() == content
    edited.rename(project / "mine.png")
    track_clip(request)
    whole(request, reference)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EDQUOT, "no space is left; .*free some space, "),
        (errno.EFBIG, r"too large for its disk, .*\(ulimit -f\), or use a disk"),
    ],
)
def test_a_full_disk_says_so_and_resumes(
    number: int,
    words: str,
    request_for: Make,
    reference: ClipRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, calls = request_for(), []
    save = write_state

    def full(path: Path, content: Any) -> None:
        calls.append(path)
        if len(calls) == 5:
            raise OSError(number, os.strerror(number), str(path))
        save(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "write_state", full)
        with pytest.raises(OSError, match=rf"\.pt: {words}.* `resume=True`"):
            track_clip(request)
    track_clip(replace(request, resume=True))
    whole(request, reference)


def test_the_folder_removed_in_mid_run(request_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_for()
    step, calls = Tracker.step, []

    def removing(self: Tracker, frame: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            # At once: another thread may be writing the frame before.
            request.output.rename(request.output.with_name("moved"))
        return step(self, frame)

    monkeypatch.setattr(Tracker, "step", removing)
    with pytest.raises(FileNotFoundError, match="was removed while the run"):
        track_clip(request)


def test_a_folder_removed_while_a_frame_is_written(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written just then makes the folder again, without the frames before."""
    request = request_for()
    calls: list[int] = []

    def removing(path: Path, labels: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            shutil.rmtree(request.output)
        write_label_map(path, labels)

    monkeypatch.setattr(folder_module, "write_label_map", removing)
    with pytest.raises(FileNotFoundError, match="was removed while the run"):
        track_clip(request)
    assert len(calls) == 2


def test_after_ctrl_c_the_finished_part_is_there_whole(stopped_after: Make) -> None:
    request = stopped_after(4, overlay=True)
    assert record(request)["status"] == "interrupted"
    assert (request.output / "overlay.mp4").stat().st_size > 0
    content = json.loads((request.output / "masks.json").read_text())
    assert len(content["images"]) == 4


def test_what_a_killed_overlay_left_goes(stopped_after: Make, reference: ClipRequest) -> None:
    request = stopped_after(4)
    for place in (".overlay.mp4.0123abcd.tmp", "masks/.00001.png.0123abcd.tmp"):
        (request.output / place).write_bytes(b"half")
    mine = request.output / ".notes.tmp"
    mine.write_text("not ours")
    track_clip(request)
    assert mine.read_text() == "not ours"
    mine.unlink()
    whole(request, reference)


def test_a_new_run_never_takes_up_a_stale_model(
    request_for: Make, stopped_after: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between start.pt and the first mask, then another mask in the same folder."""
    request = request_for()

    def killed(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "write_label_map", killed)
        patched.setattr(clip_module._Run, "_stopped", killed)
        with pytest.raises(SystemExit):
            track_clip(request)
    assert (request.output / ".state" / "start.pt").is_file()
    write_mask(project / "mask.png", object_id=5)
    again = stopped_after(3)
    track_clip(again)
    fresh = request_for("fresh")
    track_clip(fresh)
    whole(again, fresh)


def killed_after(frames: int, request: ClipRequest, monkeypatch: pytest.MonkeyPatch) -> ClipRequest:
    """Let a run end without a chance to save anything; return its request, ready to resume."""
    step, calls = Tracker.step, []

    def dying(self: Tracker, frame: Any) -> Any:
        calls.append(1)
        if len(calls) == frames:
            raise SystemExit
        return step(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "step", dying)
        patched.setattr(clip_module._Run, "_stopped", lambda *_: None)
        with pytest.raises(SystemExit):
            track_clip(request)
    return replace(request, resume=True)


def steps_of(request: ClipRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a request, and count the frames that are tracked."""
    step, calls = Tracker.step, []

    def counting(self: Tracker, frame: Any) -> Any:
        calls.append(1)
        return step(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "step", counting)
        track_clip(request)
    return len(calls)


def test_a_large_state_is_not_saved_with_every_frame(
    request_for: Make, reference: ClipRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_STATE_BYTES", 0)
    request = killed_after(4, request_for(), monkeypatch)
    assert len(masks(request)) == 4
    assert steps_of(request, monkeypatch) == FRAMES - 1  # the state is that of the first frame
    whole(request, reference)


def test_ctrl_c_saves_the_state_of_the_last_frame(
    stopped_after: Make, reference: ClipRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_STATE_BYTES", 0)
    request = stopped_after(4)
    assert steps_of(request, monkeypatch) == FRAMES - 4
    whole(request, reference)


def test_a_run_killed_twice_still_owns_its_files(
    request_for: Make, reference: ClipRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_STATE_BYTES", 0)
    request = killed_after(5, request_for(), monkeypatch)
    request = killed_after(2, request, monkeypatch)
    track_clip(request)
    whole(request, reference)


def test_saved_states_keep_to_their_bytes_a_frame(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Path] = []
    save = write_state

    def noting(path: Path, content: Any) -> None:
        save(path, content)
        saved.append(path)

    monkeypatch.setattr(folder_module, "write_state", noting)
    request = request_for()
    monkeypatch.setattr(folder_module, "_STATE_BYTES", 10**9)
    track_clip(request)
    assert len(saved) == 1 + FRAMES
    saved.clear()
    monkeypatch.setattr(folder_module, "_STATE_BYTES", 1)
    track_clip(replace(request, overwrite=True))
    assert len(saved) == 2
