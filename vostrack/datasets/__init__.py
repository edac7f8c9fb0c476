"""Datasets as paths: DAVIS, YouTube-VOS and MOSE layouts, and synthetic clips."""

from vostrack.datasets.davis import open_davis
from vostrack.datasets.mose import open_mose
from vostrack.datasets.video_sequence import SequenceObject, VideoSequence
from vostrack.datasets.youtube_vos import open_youtube_vos

__all__ = ["SequenceObject", "VideoSequence", "open_davis", "open_mose", "open_youtube_vos"]
