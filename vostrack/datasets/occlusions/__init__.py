"""Clips in which objects go out of sight and come back, with true masks.

What is seen is painted (``PaintedMaterial``) or cut out of photographs (``PhotoMaterial``). What
happens is one of ``OCCLUSION_KINDS``. ``occlusion_suite`` lists the clips of the benchmark.
"""

from vostrack.datasets.occlusions.clip import Judged, OcclusionClip
from vostrack.datasets.occlusions.kinds import OCCLUSION_KINDS, draw_occlusion
from vostrack.datasets.occlusions.material import Material, PaintedMaterial, PhotoMaterial
from vostrack.datasets.occlusions.suite import SuiteEntry, occlusion_suite

__all__ = [
    "OCCLUSION_KINDS",
    "Judged",
    "Material",
    "OcclusionClip",
    "PaintedMaterial",
    "PhotoMaterial",
    "SuiteEntry",
    "draw_occlusion",
    "occlusion_suite",
]
