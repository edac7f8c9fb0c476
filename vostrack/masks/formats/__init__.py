"""The annotation formats of other tools: reading them, and writing the masks of a video."""

from vostrack.masks.formats.catalogue import FORMATS
from vostrack.masks.formats.convert import export_results, read_results
from vostrack.masks.formats.format import Format
from vostrack.masks.formats.registry import find_format

__all__ = ["FORMATS", "Format", "export_results", "find_format", "read_results"]
