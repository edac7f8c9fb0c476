"""Writing CVAT for images 1.1; ``cvat`` reads it."""

from vostrack.masks.formats.cvat_writer import write_images as write

__all__ = ["write"]
