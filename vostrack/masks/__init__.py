"""Label maps: reading the first mask in any format, writing palette PNG and RLE JSON."""

from vostrack.files import atomic_path
from vostrack.masks.first_mask import read_first_mask
from vostrack.masks.frame_names import VideoFrames
from vostrack.masks.masks_json import (
    MasksJson,
    MasksJsonWriter,
    RleTrack,
    read_masks_json,
    write_masks_json,
)
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

__all__ = [
    "MAX_OBJECTS",
    "MIN_PIXELS",
    "VOID",
    "FirstMask",
    "MasksJson",
    "MasksJsonWriter",
    "RleTrack",
    "VideoFrames",
    "atomic_path",
    "check_first_mask",
    "davis_palette",
    "decode_rle",
    "encode_rle",
    "read_first_mask",
    "read_label_map",
    "read_masks_json",
    "write_label_map",
    "write_masks_json",
    "write_matte",
]
