"""Datasets as paths: DAVIS and YouTube-VOS layouts, and synthetic clips."""

from vostrack.datasets.davis import open_davis
from vostrack.datasets.video_sequence import SequenceObject, VideoSequence
from vostrack.datasets.youtube_vos import open_youtube_vos

__all__ = ["SequenceObject", "VideoSequence", "open_davis", "open_youtube_vos"]
