"""A ROS 2 node: camera images in, label maps and the state of every object out.

    python examples/ros2_node.py --ros-args -r image:=/camera/image_raw

Topics:

    image        sensor_msgs/Image in; rgb8, bgr8 or mono8
    first_mask   sensor_msgs/Image in; mono8, an object id per pixel. New ids are added to the last
                 frame, known ids correct it.
    labels       sensor_msgs/Image out; mono8, the object id of each pixel, with the image's header
    objects      std_msgs/String out; JSON with id, state, presence, center, box and velocity

A message that cannot be used, such as a mask of another size, is left out, and the log says why.

``to_rgb`` and ``to_image`` need no ROS: they take any class with the fields of sensor_msgs/Image.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from vostrack import FrameResult, InputError, Tracker, build_tracker

_CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1, "8UC1": 1, "8UC3": 3}


def pixels(message: Any) -> np.ndarray:
    """Return the pixels (H, W, C) uint8 of an image message, without the padding of its rows."""
    if message.encoding not in _CHANNELS:
        raise InputError(
            f"encoding: expected one of {', '.join(_CHANNELS)}, got {message.encoding}"
        )
    channels = _CHANNELS[message.encoding]
    data = np.frombuffer(bytes(message.data), np.uint8)
    rows = data[: message.height * message.step].reshape(message.height, message.step)
    used = rows[:, : message.width * channels]
    return used.reshape(message.height, message.width, channels)


def ids(message: Any) -> np.ndarray:
    """Return the object ids (H, W) uint8 of a mask message."""
    mask = pixels(message)
    if mask.shape[2] != 1:
        raise InputError(
            f"encoding: expected mono8, an object id per pixel, got {message.encoding}"
        )
    return mask[..., 0]


def to_rgb(message: Any) -> np.ndarray:
    """Return the frame (H, W, 3) uint8 RGB of an image message."""
    image = pixels(message)
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    if message.encoding == "bgr8":
        image = image[..., ::-1]
    return np.ascontiguousarray(image)


def to_image(labels: np.ndarray, header: Any, make: Callable[..., Any]) -> Any:
    """Return a label map (H, W) uint8 as an image message.

    Args:
        labels: the label map.
        header: of the frame that it belongs to.
        make: the class of the message; it takes the fields by name.
    """
    height, width = labels.shape
    return make(
        header=header,
        height=height,
        width=width,
        encoding="mono8",
        is_bigendian=0,
        step=width,
        data=np.ascontiguousarray(labels).reshape(-1),
    )


def to_json(result: FrameResult) -> str:
    """Return what a controller wants to know of each object, as JSON."""
    entries = [
        {"id": i, "state": state, "presence": presence, "center": center, "box": box, "velocity": v}
        for i, state, presence, center, box, v in zip(
            result.ids,
            result.states,
            result.presence,
            result.centers,
            result.boxes,
            result.velocities,
            strict=True,
        )
    ]
    return json.dumps(entries)


class Following:
    """The tracker behind the node."""

    def __init__(self, tracker: Tracker) -> None:
        """Take a tracker that has not been started."""
        self.tracker = tracker
        self.frame: np.ndarray | None = None
        self.started = False

    def see(self, frame: np.ndarray) -> FrameResult | None:
        """Take the next frame; None before the first mask."""
        self.frame = frame
        return self.tracker.step(frame) if self.started else None

    def learn(self, mask: np.ndarray) -> FrameResult | None:
        """Take a mask (H, W) of the last frame; None before the first frame."""
        if self.frame is None or not mask.any():
            return None
        if not self.started:
            result = self.tracker.start(self.frame, mask)
            self.started = True
            return result
        known = np.isin(mask, self.tracker.ids)
        result = None
        if (mask[~known] > 0).any():
            result = self.tracker.add_objects(self.frame, np.where(known, 0, mask))
        if known.any():
            result = self.tracker.correct(self.frame, np.where(known, mask, 0))
        return result


def main() -> None:
    """Run the node until it is stopped."""
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_known_args()  # what comes after --ros-args is for ROS
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    rclpy.init()
    node = Node("vostrack")
    following = Following(build_tracker(node.declare_parameter("preset", "fast").value))
    labels = node.create_publisher(Image, "labels", 1)
    objects = node.create_publisher(String, "objects", 1)

    def make(**fields: Any) -> Any:
        return Image(**{**fields, "data": fields["data"].tobytes()})

    def answer(message: Any, work: Callable[[Any], FrameResult | None]) -> None:
        try:
            result = work(message)
        except InputError as error:
            node.get_logger().error(f"a message is left out: {error}")
            return
        if result is not None:
            labels.publish(to_image(result.labels, message.header, make))
            objects.publish(String(data=to_json(result)))

    def listen(topic: str, work: Callable[[Any], FrameResult | None]) -> None:
        # One frame in the queue: what is late is dropped, and the newest is tracked.
        node.create_subscription(Image, topic, lambda message: answer(message, work), 1)

    listen("image", lambda message: following.see(to_rgb(message)))
    listen("first_mask", lambda message: following.learn(ids(message)))
    rclpy.spin(node)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except InputError as error:
        sys.exit(f"error: {error}")
