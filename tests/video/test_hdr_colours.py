"""Colours of HDR and BT.2020 video, against ffmpeg's zscale (zimg)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.video.ffprobe import ffprobe
from vostrack.arrays import AnyArray
from vostrack.video import VideoWriter, open_source

CASES = Path(__file__).parent / "cases"


def ffmpeg(*arguments: str) -> bytes:
    """Run ffmpeg; skip the test where it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    command = [program, "-v", "error", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def first_by_zscale(path: Path, transfer: str, pixels: str, shape: tuple[int, ...]) -> AnyArray:
    """Return the first frame in BT.709 primaries, (H, W, 3); light of 203 nits is 1."""
    chain = f"zscale=transfer={transfer}:npl=203:primaries=709:matrix=gbr:range=full"
    data = ffmpeg(
        "-i", str(path), "-frames:v", "1", "-vf", f"{chain},format={pixels}",
        "-f", "rawvideo", "-pix_fmt", pixels, "-",
    )  # fmt: skip
    kind = np.float32 if pixels == "gbrpf32le" else np.uint16
    green, blue, red = np.frombuffer(data, kind).reshape(3, *shape[:2])
    return np.stack([red, green, blue], axis=-1)


@pytest.mark.parametrize("pixels", ["yuv444p12le", "yuv444p10le", "yuv444p"])
@pytest.mark.parametrize("values", ["tv", "pc"])
def test_bt2020_is_converted_as_by_zscale(pixels: str, values: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    chain = f"format=gbrp16le,scale=out_color_matrix=bt2020nc:out_range={values},format={pixels}"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=64x48:duration=0.04", "-vf", chain, "-c:v", "ffv1",
        "-color_primaries", "bt2020", "-color_trc", "bt2020-10", "-colorspace", "bt2020nc",
        "-color_range", values, str(path),
    )  # fmt: skip
    image = next(iter(open_source(path))).image
    expected = first_by_zscale(path, "709", "gbrp16le", image.shape) / 257
    assert np.abs(image - expected).max() < (3 if pixels == "yuv444p" else 2)


def test_pq_below_white_is_that_of_zscale() -> None:
    path = CASES / "hdr_overlay" / "pq.mp4"
    image = next(iter(open_source(path))).image
    light = np.maximum(first_by_zscale(path, "linear", "gbrpf32le", image.shape), 0)
    plain = light.max(axis=-1) < 0.9  # brighter light is compressed
    assert plain.mean() > 0.5
    wrong = np.abs(image - 255 * light ** (1 / 2.4))[plain]
    assert wrong.mean() < 1
    assert np.percentile(wrong, 99) < 3


def test_red_in_hlg_is_as_red_as_in_pq() -> None:
    """The cases show one scene. HLG is shown by the light of the scene, which zscale does not."""
    images = [
        next(iter(open_source(CASES / "hdr_overlay" / n))).image for n in ("pq.mp4", "hlg.mp4")
    ]
    red = np.argmax(images[0][..., 0].astype(int) - images[0][..., 1])
    pq, hlg = (image.reshape(-1, 3)[red].astype(int) for image in images)
    assert hlg == pytest.approx(pq, abs=12)


@pytest.mark.parametrize("name", ["hlg.mp4", "pq.mp4"])
def test_hdr_is_shown_as_players_show_it(name: str, caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(CASES / "hdr_overlay" / name)
    image = next(iter(source)).image.astype(int)
    assert name[:-4].upper() in caplog.text
    white = image.min(axis=-1).max()
    assert 240 <= white <= 255


def test_hdr_in_an_overlay_is_tagged_as_it_is(tmp_path: Path) -> None:
    source = open_source(CASES / "hdr_overlay" / "hlg.mp4")
    with VideoWriter(tmp_path / "out.mp4", source.frame_rate) as writer:
        for frame in source:
            writer.add(frame.image, frame.time)
    (found,) = ffprobe(tmp_path / "out.mp4", "-show_streams")["streams"]
    assert found["color_transfer"] == found["color_primaries"] == "bt709"


def test_tone_maps() -> None:
    from vostrack.video.hdr import ToneMap

    assert ToneMap.for_tags(1, 1) is None
    assert ToneMap.for_tags(2, 2) is None
    ramp = np.linspace(0, 1, 300, dtype=np.float32)
    gray = np.repeat(ramp[None, :, None], 3, axis=2)
    for transfer, primaries in [(16, 9), (18, 9), (16, 1), (1, 9)]:
        tone_map = ToneMap.for_tags(transfer, primaries)
        assert tone_map is not None
        shown = tone_map.apply(gray)[0].astype(int)
        assert shown[0].tolist() == [0, 0, 0]
        assert (np.diff(shown, axis=0) >= 0).all()
        assert np.ptp(shown, axis=1).max() <= 1  # gray stays gray
        assert shown[-1].min() >= 254
    sdr = ToneMap.for_tags(1, 9)
    assert sdr is not None
    np.testing.assert_allclose(sdr.apply(gray)[0, :, 1], np.linspace(0, 255, 300), atol=2)
