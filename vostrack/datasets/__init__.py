"""Datasets as paths: DAVIS, YouTube-VOS, MOSE, LVOS and BURST layouts, and synthetic clips."""

from vostrack.datasets.burst import open_burst
from vostrack.datasets.davis import open_davis
from vostrack.datasets.layouts import DatasetChoice, open_dataset
from vostrack.datasets.lvos import open_lvos
from vostrack.datasets.mose import open_mose
from vostrack.datasets.video_sequence import SequenceObject, VideoSequence
from vostrack.datasets.youtube_vos import open_youtube_vos

__all__ = [
    "DatasetChoice",
    "SequenceObject",
    "VideoSequence",
    "open_burst",
    "open_dataset",
    "open_davis",
    "open_lvos",
    "open_mose",
    "open_youtube_vos",
]
