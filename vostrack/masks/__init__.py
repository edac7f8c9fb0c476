"""Label maps: reading the first mask in any format, writing palette PNG and RLE JSON."""

from vostrack.files import atomic_path
from vostrack.masks.first_mask import read_first_mask
from vostrack.masks.formats.catalogue import FORMATS
from vostrack.masks.formats.convert import export_results, read_results
from vostrack.masks.formats.detections import from_detections, to_detections
from vostrack.masks.formats.format import Alpha, Format
from vostrack.masks.frame_names import VideoFrames
from vostrack.masks.masks_json import MasksJson, RleTrack, read_masks_json
from vostrack.masks.masks_json_writer import MasksJsonWriter, write_masks_json
from vostrack.masks.palette import (
    VOID,
    davis_palette,
    read_label_map,
    write_label_map,
    write_matte,
)
from vostrack.masks.rle import decode_rle, encode_rle
from vostrack.masks.validation import (
    MAX_OBJECTS,
    MIN_PIXELS,
    FirstMask,
    check_first_mask,
)
from vostrack.masks.video_masks import MaskFrame, MaskObject, VideoMasks

__all__ = [
    "FORMATS",
    "MAX_OBJECTS",
    "MIN_PIXELS",
    "VOID",
    "Alpha",
    "FirstMask",
    "Format",
    "MaskFrame",
    "MaskObject",
    "MasksJson",
    "MasksJsonWriter",
    "RleTrack",
    "VideoFrames",
    "VideoMasks",
    "atomic_path",
    "check_first_mask",
    "davis_palette",
    "decode_rle",
    "encode_rle",
    "export_results",
    "from_detections",
    "read_first_mask",
    "read_label_map",
    "read_masks_json",
    "read_results",
    "to_detections",
    "write_label_map",
    "write_masks_json",
    "write_matte",
]
