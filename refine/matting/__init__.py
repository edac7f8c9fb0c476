"""Alpha mattes: how much of each pixel at the edge of a mask belongs to the object."""

from vostrack.refine.matting.alpha import refined_matte
from vostrack.refine.matting.foreground import foreground
from vostrack.refine.matting.specks import without_specks

__all__ = ["foreground", "refined_matte", "without_specks"]
