"""Reading frames from any source, and writing overlays.

`open_source` reads video files, folders of images, cameras, streams and arrays. `write_overlay` and
`VideoWriter` write mp4 files. Decoders and encoders are imported on first use.
"""

from vostrack.video.deinterlacing import Deinterlace
from vostrack.video.frame_names import FrameNames, Names
from vostrack.video.frames import NOMINAL_RATE, Frame, FrameSource
from vostrack.video.opening import Reader, open_source
from vostrack.video.overlay import draw_overlay, write_overlay
from vostrack.video.writer import VideoWriter

__all__ = [
    "NOMINAL_RATE",
    "Deinterlace",
    "Frame",
    "FrameNames",
    "FrameSource",
    "Names",
    "Reader",
    "VideoWriter",
    "draw_overlay",
    "open_source",
    "write_overlay",
]
