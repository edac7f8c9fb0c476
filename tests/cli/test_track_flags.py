"""Every flag of ``vostrack track`` has an effect."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.video.test_deinterlacing import moving
from vostrack.cli.track import TrackCommand
from vostrack.masks import read_label_map, read_masks_json, write_label_map
from vostrack.presets.options import TrackerOptions

Run = Callable[..., Path]


def masks(output: Path) -> dict[str, Any]:
    return {p.name: read_label_map(p) for p in sorted((output / "masks").iterdir())}


def same(one: Path, other: Path) -> bool:
    a, b = masks(one), masks(other)
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def record(output: Path) -> Any:
    return json.loads((output / "run.json").read_text())


def test_the_output_folder(run: Run, clip_folder: Path) -> None:
    output = run(overlay=True, refiner=None)  # the preset's own, as by default
    assert sorted(p.name for p in output.iterdir()) == [
        "masks",
        "masks.json",
        "overlay.mp4",
        "run.json",
    ]
    found = masks(output)
    assert list(found) == [f"{k:05d}.png" for k in range(6)]
    np.testing.assert_array_equal(found["00000.png"], read_label_map(clip_folder / "mask.png"))
    with Image.open(output / "masks" / "00003.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]  # type: ignore[index]
    coded = read_masks_json(output / "masks.json")
    for position, index in enumerate(coded.frames):
        np.testing.assert_array_equal(coded.labels(position), found[f"{index:05d}.png"])
    with av.open(str(output / "overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert sum(1 for _ in container.decode(stream)) == 6
    run_json = record(output)
    assert run_json["status"] == "complete"
    assert run_json["frames"] == 6
    assert {"fine-tuning", "networks", "filter"} <= set(run_json["seconds"])
    assert [o["id"] for o in run_json["objects"]] == [1, 2]
    assert len(run_json["objects"][0]["presence"]) == 6
    assert run_json["versions"]["torch"].startswith("2")


def test_export(run: Run) -> None:
    output = run(export=("coco", "davis"))
    assert (output / "exports" / "coco.json").read_bytes() == (output / "masks.json").read_bytes()
    for path in (output / "masks").iterdir():
        np.testing.assert_array_equal(
            read_label_map(output / "exports" / "davis" / path.name), read_label_map(path)
        )


def test_deinterlace(run: Run, tmp_path: Path) -> None:
    clip = moving(tmp_path / "clip.mp4")
    labels = np.zeros((48, 96), np.uint8)
    labels[:, 8:24] = 1
    write_label_map(tmp_path / "bar.png", labels)
    given: dict[str, Any] = {"video": str(clip), "first_mask": (str(tmp_path / "bar.png"),)}
    found = [record(run(**given, deinterlace=way)) for way in ("auto", "off")]
    assert [one["deinterlaced"] for one in found] == [True, False]


def test_the_same_seed_gives_the_same_masks(run: Run) -> None:
    # Random weights, so that a seed shows after a few steps.
    one = run(object_steps=6, gate="none", craf=False, save_scores=True)
    two = run(object_steps=6, gate="none", craf=False, save_scores=True)
    other = run(object_steps=6, gate="none", craf=False, save_scores=True, seed=1)
    scores = [[p.read_bytes() for p in sorted(o.glob("scores/*/*.png"))] for o in (one, two, other)]
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]
    assert same(one, two)


def test_start_end_stride_keep_the_sources_numbers(run: Run, clip_folder: Path) -> None:
    truth = str(clip_folder / "truth" / "00001.png")
    output = run(start=1, end=6, stride=2, first_mask=(truth,))
    assert list(masks(output)) == ["00001.png", "00003.png", "00005.png"]


def test_first_mask_frame_tracks_both_ways(run: Run, clip_folder: Path) -> None:
    truth = clip_folder / "truth" / "00003.png"
    output = run(first_mask=(str(truth),), first_mask_frame=3)
    found = masks(output)
    assert len(found) == 6
    np.testing.assert_array_equal(found["00003.png"], read_label_map(truth))


@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
def test_reader(run: Run, reader: str, tmp_path: Path, clip_folder: Path) -> None:
    if reader == "decord":
        pytest.importorskip("decord")
    video = tmp_path / "clip.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        for path in sorted((clip_folder / "frames").iterdir()):
            frame = av.VideoFrame.from_ndarray(np.array(Image.open(path)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert len(masks(run(video=str(video), reader=reader))) == 6
    # A folder of images has no reader to choose: the flag is not ignored.
    with pytest.raises(ValueError, match="reader"):
        run(reader=reader)


def test_several_first_masks(run: Run, clip_folder: Path, tmp_path: Path) -> None:
    labels = read_label_map(clip_folder / "mask.png")
    paths = []
    for number in (2, 1):
        path = tmp_path / f"object{number}.png"
        Image.fromarray(((labels == number) * 255).astype(np.uint8)).save(path)
        paths.append(str(path))
    first = masks(run(first_mask=tuple(paths), end=2))["00000.png"]
    np.testing.assert_array_equal(first == 1, labels == 2)


def test_steps_and_models(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vostrack.online_finetune.full_network import adapter as full_network

    fitted: list[int] = []
    original: Any = vars(full_network)["finetune"]

    def counting(network: Any, image: Any, target: Any, config: Any, *args: Any, **kw: Any) -> None:
        fitted.append(config.steps)
        original(network, image, target, config, *args, **kw)

    monkeypatch.setattr(full_network, "finetune", counting)
    run(foreground_steps=2, object_steps=3, end=2)
    assert fitted == [2, 3, 3]
    fitted.clear()
    run(per_video=True, end=2)
    assert fitted == [1, 2]
    fitted.clear()
    run(preset="finetune-per-video", per_video=False, end=2)
    assert fitted == [1, 2, 2]


def test_presets_and_switches_reach_the_tracker(run: Run) -> None:
    def config(**changes: Any) -> Any:
        return record(run(**changes, end=2))["settings"]["method"]

    assert config()["craf"] is not None
    assert config(craf=False)["craf"] is None
    assert config(preset="finetune-no-craf")["craf"] is None
    assert config(preset="finetune-no-craf", craf=True)["craf"] is not None
    row = config(preset="finetune-no-craf-no-ft", foreground_steps=None)
    assert row["adapter"]["foreground"]["steps"] == 0
    assert config(preset="finetune-per-video")["adapter"]["per_video"] is True
    several = config(gate="after", max_size=64, precision="bf16")
    assert several["tracker"]["gate"] == "after"
    assert several["tracker"]["max_size"] == 64
    assert several["adapter"]["precision"] == "bf16"


def test_craf_and_gate_change_the_masks(run: Run) -> None:
    base = run(craf=False, gate="none")
    assert not same(base, run(craf=True, gate="none"))


def test_max_size_changes_the_masks(run: Run) -> None:
    changes = {"craf": False, "gate": "none", "object_steps": 6}
    assert not same(run(**changes), run(**changes, max_size=48))


def test_precision_changes_the_scores(run: Run) -> None:
    changes = {"save_scores": True, "gate": "none", "craf": False}
    files = [
        b"".join(p.read_bytes() for p in sorted(run(**changes, precision=p).glob("scores/1/*")))
        for p in ("fp32", "bf16")
    ]
    assert files[0] != files[1]


def test_adaptation_reaches_the_target_models(run: Run) -> None:
    changes = {"preset": "fast", "weights": "shipped", "foreground_steps": None, "object_steps": 0}
    for flag, expected in ((None, "confident"), (False, "off")):
        settings = record(run(**changes, adapt=flag, end=2))["settings"]
        assert settings["preset"] == "fast"
        assert settings["method"]["target"]["adapt"] == expected
    target = record(run(**changes, mirror=True, end=2))["settings"]["method"]["target"]
    assert (target["mirror"], target["mirror_scale"], target["flow_share"]) == (True, 0.8, 0.9)
    target = record(run(**changes, carry=2, end=2))["settings"]["method"]["target"]
    assert target["carry"] == 2
    target = record(run(**changes, flow=False, end=2))["settings"]["method"]["target"]
    assert target["flow_share"] == 0


def test_weights_file(run: Run, tmp_path: Path) -> None:
    from vostrack.models.foreground import NetworkConfig, build_network
    from vostrack.models.weights import save_network

    path = tmp_path / "net.safetensors"
    save_network(build_network(NetworkConfig("resnet18", (4, 8), "topdown", 4)), path)
    changes = {"object_steps": 0, "foreground_steps": 0, "save_scores": True, "gate": "none"}
    outputs = [run(**changes, preset="finetune", weights=w, end=2) for w in ("auto", str(path))]
    files = [(o / "scores" / "1" / "00001.png").read_bytes() for o in outputs]
    assert files[0] != files[1]


def test_device_is_taken(run: Run) -> None:
    assert record(run(device="auto", end=2))["settings"]["device"] in ("cpu", "cuda")
    assert record(run(device="cpu", end=2))["settings"]["device"] == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="0 CUDA"):
            run(device="cuda")


def test_parts_that_support_identities(run: Run) -> None:
    given = {"identity": True, "reacquire": True, "support": True, "proposer": "components"}
    method = record(run(**given, end=2))["settings"]["method"]
    assert method["support"] == {
        "identity": True,
        "let_go": False,
        "reacquire": True,
        "support": True,
        "every": 5,
    }
    with pytest.raises(ValueError, match="let_go: has no effect in the preset finetune"):
        run(let_go=True)


def test_threads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    before = torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    assert record(run(threads=3, end=2))["settings"]["threads"] == 3
    assert asked == [3, before]  # and back
    with pytest.raises(ValueError, match="threads"):
        run(threads=0)


def test_scores_and_mattes(run: Run) -> None:
    output = run(save_scores=True, save_mattes=True)
    for kind in ("scores", "mattes"):
        assert sorted(p.name for p in (output / kind).iterdir()) == ["1", "2"]
        assert len(list((output / kind / "2").iterdir())) == 6
    labels = read_label_map(output / "masks" / "00000.png")
    with Image.open(output / "mattes" / "1" / "00000.png") as image:
        assert image.mode == "L"
        alpha = np.array(image)
    inner, outer = (
        cv2.erode(m.astype(np.uint8), np.ones((19, 19))) for m in (labels == 1, labels != 1)
    )
    assert (alpha[inner == 1] == 255).all()
    assert (alpha[outer == 1] == 0).all()


def test_limits_of_the_mask(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="max"):
        run(max_objects=1)
    with caplog.at_level("WARNING", logger="vostrack"):
        run(min_pixels=5000, end=2)
    assert "pixels" in caplog.text


def test_overwrite(run: Run, settings: dict[str, Any], command: Callable[..., Any]) -> None:
    output = run()
    (output / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`overwrite=True`"):
        command(**{**settings, "output": output}).run()
    again = {**settings, "output": output, "overwrite": True, "end": 3}
    assert command(**again).run() == 0
    assert len(masks(output)) == 3
    assert (output / "notes.txt").read_text() == "mine"


def test_every_flag_is_exercised_here() -> None:
    """A flag that no test names is a flag that may do nothing."""
    others = ("test_resume.py", "test_track_command.py", "test_track_parts.py")
    files = [Path(__file__), *(Path(__file__).with_name(name) for name in others)]
    files.append(Path(__file__).parents[1] / "runs" / "test_second_pass.py")
    source = "".join(path.read_text() for path in files)
    for entry in (*fields(TrackCommand), *fields(TrackerOptions)):
        assert re.search(rf"\b{entry.name}\b|--{entry.name.replace('_', '-')}", source), entry.name


def test_ids_and_names_survive(run: Run, clip_folder: Path, tmp_path: Path) -> None:
    labels = read_label_map(clip_folder / "mask.png")
    write_label_map(tmp_path / "ids.png", np.array([0, 9, 200], np.uint8)[labels])
    output = run(first_mask=(str(tmp_path / "ids.png"),), end=2)
    assert [o["id"] for o in record(output)["objects"]] == [9, 200]
    assert set(np.unique(masks(output)["00000.png"])) == {0, 9, 200}
