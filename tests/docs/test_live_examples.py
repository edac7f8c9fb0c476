"""The examples for objects that come and go, without a camera, a window or ROS."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack import build_tracker, open_source

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def names_of(script: str) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / script), run_name="example"))


@pytest.fixture
def frames(workplace: Path) -> list[Any]:
    return [frame.image for frame in open_source("clip.mp4")]


def box_of(labels: Any, number: int) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(labels == number)
    return tuple(int(v) for v in (columns.min(), rows.min(), columns.max(), rows.max()))  # type: ignore[return-value]


def test_keys_add_and_drop_objects(frames: list[Any]) -> None:
    example = names_of("camera_objects.py")
    first = np.asarray(Image.open("mask.png"))
    objects, pointer = example.LiveObjects(build_tracker("fast")), example.Pointer()
    assert objects.see(frames[0]) is None
    pointer.box = (0, 0, 1, 1)
    assert example.press("a", objects, pointer)  # a box of no size
    assert objects.tracker.ids == ()
    for number in (1, 2):
        x0, y0, x1, y1 = box_of(first, number)
        pointer(example.cv2.EVENT_LBUTTONDOWN, x1 + 4, y1 + 4)
        pointer(example.cv2.EVENT_LBUTTONUP, max(0, x0 - 4), max(0, y0 - 4))
        assert example.press("a", objects, pointer)
        assert number in objects.labels
    assert objects.see(frames[1]).ids == (1, 2)
    rows, columns = np.nonzero(objects.labels == 1)
    middle = len(rows) // 2
    pointer.point = (int(columns[middle]), int(rows[middle]))
    assert example.press("d", objects, pointer)
    assert objects.see(frames[2]).ids == (2,)
    assert not example.press("q", objects, pointer)


@pytest.mark.parametrize("script", ["camera_objects.py", "robot_loop.py"])
def test_a_box_around_the_whole_frame_is_an_object(script: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for box in [(0, 0, 30, 20), (-5, -5, 40, 30)]:
        assert names_of(script).mask_in_box(image, box).all()


def test_the_ros_node_without_ros(frames: list[Any]) -> None:
    example = names_of("ros2_node.py")
    first = np.asarray(Image.open("mask.png"))
    following = example.Following(build_tracker("fast"))
    assert following.learn(first) is None
    assert following.see(frames[0]) is None
    assert following.learn(np.where(first == 1, 1, 0).astype(np.uint8)).ids == (1,)
    assert following.see(frames[1]).ids == (1,)
    both = following.learn(first)
    assert both.ids == (1, 2)
    np.testing.assert_array_equal(both.labels == 1, first == 1)
    entries = json.loads(example.to_json(following.see(frames[2])))
    assert [entry["id"] for entry in entries] == [1, 2]
    assert set(entries[0]) == {"id", "state", "presence", "center", "box", "velocity"}


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_ros_images_there_and_back(encoding: str) -> None:
    typesys = pytest.importorskip(
        "rosbags.typesys", reason="needs the package rosbags, for the types of ROS messages"
    )
    example = names_of("ros2_node.py")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    image, header, time = (
        store.types[name]
        for name in ("sensor_msgs/msg/Image", "std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )
    head = header(stamp=time(sec=1, nanosec=2), frame_id="camera")
    draw = np.random.default_rng(0)
    channels = 1 if encoding == "mono8" else 3
    frame = draw.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    padded = np.concatenate([frame.reshape(5, -1), np.full((5, 3), 99, np.uint8)], axis=1)
    message = image(
        header=head,
        height=5,
        width=7,
        encoding=encoding,
        is_bigendian=0,
        step=padded.shape[1],
        data=padded.reshape(-1),
    )
    # Through the bytes that ROS sends.
    kind = "sensor_msgs/msg/Image"
    message = store.deserialize_cdr(store.serialize_cdr(message, kind), kind)
    wanted = frame[..., ::-1] if encoding == "bgr8" else np.broadcast_to(frame, (5, 7, 3))
    np.testing.assert_array_equal(example.to_rgb(message), wanted)
    labels = draw.integers(0, 3, (5, 7), dtype=np.uint8)
    out = example.to_image(labels, head, image)
    back = store.deserialize_cdr(store.serialize_cdr(out, kind), kind)
    np.testing.assert_array_equal(example.pixels(back)[..., 0], labels)
    assert back.header.frame_id == "camera"


class FakeNode:
    """A node of ROS that keeps what is logged and published, and who listens.

    Args:
        name: of the node.
    """

    def __init__(self, name: str) -> None:
        self.logged: list[str] = []
        self.published: list[str] = []
        self.heard: dict[str, Callable[[Any], None]] = {}

    def declare_parameter(self, name: str, value: Any) -> Any:
        return SimpleNamespace(value=value)

    def create_publisher(self, kind: Any, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=lambda message: self.published.append(topic))

    def create_subscription(self, kind: Any, topic: str, heard: Any, depth: int) -> None:
        self.heard[topic] = heard

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self.logged.append)


def message_of(image: Any, encoding: str) -> Any:
    height, width = image.shape[:2]
    return SimpleNamespace(
        header="head",
        height=height,
        width=width,
        encoding=encoding,
        step=image[0].nbytes,
        data=np.ascontiguousarray(image).tobytes(),
    )


def test_the_ros_node_leaves_out_what_it_cannot_use_and_goes_on(
    frames: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes: list[FakeNode] = []

    def make(name: str) -> FakeNode:
        nodes.append(FakeNode(name))
        return nodes[-1]

    def spin(node: FakeNode) -> None:
        first = np.asarray(Image.open("mask.png"))
        node.heard["image"](message_of(frames[0], "rgb8"))
        node.heard["first_mask"](message_of(first[:9], "mono8"))
        node.heard["image"](message_of(frames[0], "yuv422"))
        node.heard["first_mask"](message_of(frames[0], "rgb8"))
        assert node.published == []
        node.heard["first_mask"](message_of(first, "mono8"))
        node.heard["image"](message_of(frames[1], "rgb8"))
        raise KeyboardInterrupt

    modules = {
        "rclpy": SimpleNamespace(init=lambda: None, spin=spin),
        "rclpy.node": SimpleNamespace(Node=make),
        "sensor_msgs": SimpleNamespace(),
        "sensor_msgs.msg": SimpleNamespace(Image=SimpleNamespace),
        "std_msgs": SimpleNamespace(),
        "std_msgs.msg": SimpleNamespace(String=SimpleNamespace),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", ["ros2_node.py", "--ros-args", "-r", "image:=/camera"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / "ros2_node.py"), run_name="__main__")
    assert end.value.code == 130
    assert nodes[0].published == ["labels", "objects", "labels", "objects"]
    words = ["expected (H, W)", "got yuv422", "an object id per pixel, got rgb8"]
    assert all(word in said for word, said in zip(words, nodes[0].logged, strict=True))


def test_an_unknown_encoding_is_refused() -> None:
    example = names_of("ros2_node.py")
    message = SimpleNamespace(encoding="bayer_rggb8")
    with pytest.raises(ValueError, match="expected one of rgb8"):
        example.pixels(message)


def test_editor_correction(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--video", "clip.mp4", "--mask", "mask.png", "--right", "mask.png"]
    words += ["--frame", "2", "--preset", "fast", "--output", "corrected"]
    monkeypatch.setattr(sys, "argv", ["editor_correction.py", *words])
    runpy.run_path(str(EXAMPLES / "editor_correction.py"), run_name="__main__")
    told = capsys.readouterr().out
    count = len(list(Path("corrected").iterdir()))
    assert f"{count} frames tracked" in told
    right = np.asarray(Image.open("mask.png"))
    np.testing.assert_array_equal(np.asarray(Image.open("corrected/00002.png")), right)


def test_a_frame_to_correct_that_is_not_there(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--video", "clip.mp4", "--mask", "mask.png", "--right", "mask.png"]
    words += ["--frame", "40", "--preset", "fast", "--output", "corrected"]
    monkeypatch.setattr(sys, "argv", ["editor_correction.py", *words])
    with pytest.raises(SystemExit, match="40 is not a frame of the video, which ends with frame 2"):
        runpy.run_path(str(EXAMPLES / "editor_correction.py"), run_name="__main__")


@pytest.mark.parametrize(
    "words",
    [
        ["robot_loop.py", "--source", "nothing.mp4"],
        ["camera_objects.py", "--source", "nothing.mp4"],
        ["editor_mattes.py", "--video", "nothing.mp4"],
        ["editor_correction.py", "--video", "nothing.mp4", "--right", "mask.png"],
    ],
    ids=lambda words: words[0],
)
def test_a_source_that_is_not_there(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match=r"error: .*nothing\.mp4"):
        runpy.run_path(str(EXAMPLES / words[0]), run_name="__main__")


def test_another_video_needs_a_right_mask_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["editor_correction.py", "--video", "other.mp4"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(EXAMPLES / "editor_correction.py"), run_name="__main__")
    assert "--right: expected the right mask" in capsys.readouterr().err


def test_help_of_the_ros_node_needs_no_ros(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ros2_node.py", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(EXAMPLES / "ros2_node.py"), run_name="__main__")
    assert "first_mask" in capsys.readouterr().out
