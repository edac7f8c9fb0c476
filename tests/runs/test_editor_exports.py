"""Exports for editors, read back by FFmpeg and OpenEXR."""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vostrack import ClipRequest
from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import Alpha, VideoMasks, export_results, read_results, write_label_map
from vostrack.runs.editors.cryptomatte import hash_of, murmur3
from vostrack.runs.editors.matted_frames import matted_frames

TIMES = (0, 40, 110, 150)
SIZE = (47, 62)


def picture(number: int) -> tuple[UInt8Array, UInt8Array]:
    """An orange disc and a blue box on gray, both with a soft edge, and their label map."""
    image: FloatArray = np.full((*SIZE, 3), 90, np.float32)
    labels = np.zeros(SIZE, np.uint8)
    for k, colour in ((1, (220, 130, 40)), (2, (30, 60, 200))):
        shape = np.zeros(SIZE, np.uint8)
        if k == 1:
            cv2.circle(shape, (16 + 2 * number, 22), 10, 255, -1)
        else:
            shape[12:36, 38:54] = 255
        alpha = cv2.GaussianBlur(shape, (0, 0), 1.2).astype(np.float32)[..., None] / 255
        mixed = image * (1 - alpha) + alpha * np.array(colour, np.float32)
        image = np.asarray(mixed, np.float32)
        labels[shape > 0] = k
    return np.rint(image).astype(np.uint8), labels


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The results of a run on a video of variable rate, without those that exports do not need."""
    with av.open(str(tmp_path / "clip.mov"), "w") as container:
        stream: Any = container.add_stream("png", rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "rgb24"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number, tick in enumerate(TIMES):
            frame = av.VideoFrame.from_ndarray(picture(number)[0], format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for number in range(len(TIMES)):
        write_label_map(tmp_path / "out" / "masks" / f"{number:05d}.png", picture(number)[1])
    record = {
        "settings": {"video": str(tmp_path / "clip.mov")},
        "objects": [{"id": 1, "name": "sun"}, {"id": 2, "name": "Kästchen"}],
        "frame_times": [tick / 1000 for tick in TIMES],
    }
    (tmp_path / "out" / "run.json").write_text(json.dumps(record))
    return tmp_path / "out"


@pytest.fixture
def truth(results: Path) -> list[tuple[UInt8Array, FloatArray]]:
    with matted_frames(read_results(results), "test") as frames:
        return [(frame.image, frame.mattes) for frame in frames]


def decoded(path: Path, codec: str | None = None) -> tuple[list[FloatArray], list[float], Any]:
    """Return the frames (H, W, 4) in [0, 1], their times, and the stream, as PyAV decodes them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder: Any = stream.codec_context
        if codec is not None:
            decoder = av.CodecContext.create(codec, "r")
        images, times = [], []
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                values = frame.to_ndarray(format="rgba64le").astype(np.float32) / 65535
                images.append(values)
                times.append(float(frame.pts * stream.time_base))
        context = stream.codec_context
        facts = (
            (context.colorspace, context.color_primaries, context.color_trc, context.color_range),
            stream.sample_aspect_ratio,
        )
    return images, times, facts


@pytest.mark.parametrize(
    ("kind", "alpha"), [("prores", "straight"), ("prores", "premultiplied"), ("webm", "straight")]
)
def test_a_video_with_alpha(
    kind: str,
    alpha: Alpha,
    results: Path,
    truth: list[tuple[UInt8Array, FloatArray]],
    tmp_path: Path,
) -> None:
    notes = export_results(results, kind, tmp_path / "made", alpha=alpha)
    suffix, codec = (".webm", "libvpx-vp9") if kind == "webm" else (".mov", None)
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == [f"1{suffix}", f"2{suffix}"]
    images, times, (colours, aspect) = decoded(tmp_path / "made" / f"1{suffix}", codec)
    assert times == pytest.approx([tick / 1000 for tick in TIMES], abs=1e-3)
    assert colours == (1, 1, 1, 1)
    if kind == "webm":
        assert len(notes) == 1
        assert notes[0].startswith("pixels are 4:3 and become square")
    else:
        assert notes == ()
        assert aspect == Fraction(4, 3)
    for shown, (image, mattes) in zip(images, truth, strict=True):
        assert np.abs(shown[..., 3] - mattes[0]).mean() < (0.01 if kind == "webm" else 0.001)
        solid, clear = mattes[0] == 1, mattes[0] == 0
        assert np.abs(shown[..., :3] - image / 255)[solid].mean() < 0.025
        assert (shown[..., :3][clear].mean() < 0.02) == (alpha == "premultiplied")


def test_ffmpeg_reads_the_alpha_of_a_webm(
    results: Path, truth: list[tuple[UInt8Array, FloatArray]], tmp_path: Path
) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    export_results(results, "webm", tmp_path / "made")
    command = [program, "-v", "error", "-c:v", "libvpx-vp9", "-i", str(tmp_path / "made/2.webm")]
    command += ["-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    shown = np.frombuffer(data, np.uint8).reshape(len(TIMES), *SIZE, 4)
    for image, (_, mattes) in zip(shown, truth, strict=True):
        assert np.abs(image[..., 3] / 255 - mattes[1]).mean() < 0.01


def test_straight_colours_are_those_of_the_object(results: Path, tmp_path: Path) -> None:
    export_results(results, "prores", tmp_path / "made")
    images, _, _ = decoded(tmp_path / "made" / "1.mov")
    for shown in images:
        edge = (shown[..., 3] > 0.2) & (shown[..., 3] < 0.8)
        assert edge.sum() > 10
        # The picture itself is darker by 50 there.
        assert np.abs(shown[edge][:, :3] * 255 - (220, 130, 40)).mean() < 16


@pytest.mark.parametrize("kind", ["webm", "coco", "matte-video"])
def test_other_exports_are_not_premultiplied(kind: str, results: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"premultiplied colours are written to prores.*got {kind}"
    ):
        export_results(results, kind, tmp_path / "made", alpha="premultiplied")
    with pytest.raises(InputError, match="alpha: expected one of straight, premultiplied, got 'x'"):
        export_results(results, "prores", tmp_path / "made", alpha="x")  # type: ignore[arg-type]


def test_the_kind_of_alpha_needs_an_export() -> None:
    with pytest.raises(InputError, match="to prores only, got no export; leave `alpha` out"):
        ClipRequest(video="a.mp4", first_mask=("m.png",), alpha="premultiplied")


def test_a_luma_matte(
    results: Path, truth: list[tuple[UInt8Array, FloatArray]], tmp_path: Path
) -> None:
    export_results(results, "matte-video", tmp_path / "made")
    images, times, _ = decoded(tmp_path / "made" / "2.mov")
    assert times == pytest.approx([tick / 1000 for tick in TIMES], abs=1e-3)
    for shown, (_, mattes) in zip(images, truth, strict=True):
        assert np.abs(shown[..., :3] - mattes[1][..., None]).mean() < 0.01


def test_png_and_saved_mattes(
    results: Path, truth: list[tuple[UInt8Array, FloatArray]], tmp_path: Path
) -> None:
    export_results(results, "png-mattes", tmp_path / "made")
    saved = cv2.imread(str(tmp_path / "made/2/00003.png"), cv2.IMREAD_UNCHANGED)
    assert saved is not None
    assert (saved == np.rint(truth[3][1][1] * 255)).all()
    for number in (1, 2):
        (results / "mattes" / str(number)).mkdir(parents=True)
        own = np.full(SIZE, 40 * number, np.uint8)
        cv2.imwrite(str(results / "mattes" / str(number) / "00002.png"), own)
    with matted_frames(read_results(results), "test") as frames:
        levels = [float(frame.mattes[1].max()) for frame in frames]
    assert levels == pytest.approx([1, 1, 80 / 255, 1])


def test_exr_and_cryptomatte(
    results: Path, truth: list[tuple[UInt8Array, FloatArray]], tmp_path: Path
) -> None:
    exr = pytest.importorskip("OpenEXR", reason="needs the extra exr")
    export_results(results, "exr-mattes", tmp_path / "made")
    assert len(list((tmp_path / "made").iterdir())) == len(TIMES)
    mattes = truth[1][1]
    with exr.File(str(tmp_path / "made" / "00001.exr"), separate_channels=True) as file:
        header, channels = file.header(), file.channels()
        alpha = channels["matte.2"].pixels
        assert alpha.dtype == np.float16
        assert np.abs(alpha - mattes[1]).max() < 1e-3
        layer = {name[-1]: channels[f"CryptoObject00.{name}"].pixels for name in "RGBA"}
        assert layer["R"].dtype == np.float32
        assert header["pixelAspectRatio"] == pytest.approx(4 / 3)
        key = next(name[:-5] for name in header if name.endswith("/name") and "cryptomatte" in name)
        assert header[f"{key}/hash"] == "MurmurHash3_32"
        manifest = json.loads(header[f"{key}/manifest"])
    assert sorted(manifest) == ["Kästchen", "sun"]
    number = np.uint32(int(manifest["Kästchen"], 16)).view(np.float32)
    coverage = np.where(layer["R"] == number, layer["G"], 0) + np.where(
        layer["B"] == number, layer["A"], 0
    )
    assert np.abs(coverage - mattes[1]).max() < 1e-6


def test_the_hash_of_names() -> None:
    # Published values of MurmurHash3_x86_32 with seed 0.
    assert murmur3(b"") == 0
    assert murmur3(b"test") == 0xBA6BD213
    assert murmur3(b"Hello, world!") == 0xC0363E43
    assert murmur3(b"The quick brown fox jumps over the lazy dog") == 0x2E4FF723
    numbers = np.array([hash_of(f"object {k}") for k in range(2000)], np.uint32)
    assert np.isfinite(numbers.view(np.float32)).all()


def test_the_video_must_be_there(results: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mov").unlink()
    with pytest.raises(InputError, match=r"prores is made of the frames.*clip\.mov cannot be read"):
        export_results(results, "prores", tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_masks_of_another_tool_have_no_frames(results: Path, tmp_path: Path) -> None:
    masks = read_results(results)
    foreign = VideoMasks(masks.size, masks.frames, masks.objects, masks.read)
    with pytest.raises(InputError, match="expected the folder that vostrack track wrote"):
        export_results(foreign, "webm", tmp_path / "made")


def test_another_video_is_noticed(results: Path, tmp_path: Path) -> None:
    write_label_map(results / "masks" / "00009.png", picture(0)[1])
    with pytest.raises(InputError, match=r"frame 00009 has a mask but is not in"):
        export_results(results, "png-mattes", tmp_path / "made")
