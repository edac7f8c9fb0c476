"""Clips composed of cut-out photographs over photographs and videos, with true masks.

Everything that is left to chance is drawn first (``draw_plan``) and rendered afterwards
(``render_plan``); ``draw_clip`` does both.
"""

from vostrack.datasets.composites.clip import CompositeClip
from vostrack.datasets.composites.clip_set import ListedClip, list_clips, validation_clips
from vostrack.datasets.composites.config import TAGS, CompositeConfig
from vostrack.datasets.composites.davis_folder import CompositeFolder
from vostrack.datasets.composites.draw_clip import draw_clip
from vostrack.datasets.composites.kinds import VALIDATION_KINDS, config_of_kind
from vostrack.datasets.composites.matte_filter import MatteFilter
from vostrack.datasets.composites.sources import CompositeSources, open_sources

__all__ = [
    "TAGS",
    "VALIDATION_KINDS",
    "CompositeClip",
    "CompositeConfig",
    "CompositeFolder",
    "CompositeSources",
    "ListedClip",
    "MatteFilter",
    "config_of_kind",
    "draw_clip",
    "list_clips",
    "open_sources",
    "validation_clips",
]
