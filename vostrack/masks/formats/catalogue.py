"""The one list of formats: what is read, what is written, by which library, and what is lost.

To add a format, write a module and put an entry here. A module that writes has a function
``write(masks: VideoMasks, output: Path) -> tuple[str, ...]``. It writes the file or the folder
``output`` and returns a sentence for each thing that this video loses in the format. Modules are
loaded on first use, so an entry may name one above this layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from vostrack.masks.video_masks import VideoMasks

__all__ = ["FORMATS", "Alpha", "Format"]

Alpha = Literal["straight", "premultiplied"]
"""What the colours of a cut-out are: the object's own, or these times alpha."""

Write = Callable[[VideoMasks, Path], tuple[str, ...]]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: what ``--export`` and ``--to`` call it.
        title: what its users call it.
        module: the module that implements it.
        reads: what is read; empty if it is not read.
        writes: what is written; empty if it is not written.
        library: the libraries that read or write it here.
        lost: what the format cannot hold.
        suffix: suffix of the file that is written; empty for a folder.
        requires: module that has to be installed.
        extra: the extra of this package that installs it.
        in_python: whether it is an object of Python and neither file nor folder.
        premultiplies: whether its colours may be multiplied by alpha, too.
    """

    name: str
    title: str
    module: str
    reads: str
    writes: str
    library: str
    lost: str
    suffix: str = ""
    requires: str = ""
    extra: str = "formats"
    in_python: bool = False
    premultiplies: bool = False

    def write(self, masks: VideoMasks, output: Path, alpha: Alpha = "straight") -> tuple[str, ...]:
        """Write the masks of a video; see ``export_results``.

        Raises:
            InputError: the format cannot hold these masks.
        """
        writer = import_module(self.module)
        write: Write = writer.write_premultiplied if alpha == "premultiplied" else writer.write
        return write(masks, output)


_HERE = "vostrack.masks.formats"
_EDITORS = "vostrack.runs.editors"

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "davis",
            "DAVIS, YouTube-VOS",
            f"{_HERE}.image_folder",
            "folder of palette or gray images, one for each frame",
            "folder of palette PNG",
            "Pillow",
            "names and classes of objects, times",
            "",
        ),
        Format(
            "coco",
            "COCO instances",
            f"{_HERE}.coco",
            "JSON; polygons, RLE with and without compression; `track_id`, `iscrowd`; `masks.json`",
            "JSON with images, annotations (compressed RLE, `track_id`) and categories",
            "pycocotools",
            "nothing; void becomes a crowd (`iscrowd`)",
            ".json",
        ),
        Format(
            "youtube-vis",
            "YouTube-VIS, OVIS, COCO video",
            f"{_HERE}.youtube_vis",
            "JSON of one video, or the first of several",
            "JSON with videos, and annotations with a `segmentations` entry for each frame",
            "pycocotools",
            "nothing; void becomes a crowd (`iscrowd`)",
            ".json",
        ),
        Format(
            "mots-png",
            "MOTS images",
            f"{_HERE}.mots_png",
            "folder of 16-bit PNG: class x 1000 + instance; 10000 is void",
            "the same",
            "Pillow",
            "names of objects; names of classes except car and pedestrian; times",
            "",
        ),
        Format(
            "mots-txt",
            "MOTS text",
            f"{_HERE}.mots_txt",
            "text; class 10 is void",
            "the same",
            "pycocotools",
            "names of objects; names of classes except car and pedestrian; names of frames; times",
            ".txt",
        ),
        Format(
            "burst",
            "BURST, TAO-VOS",
            f"{_HERE}.burst",
            "JSON of one sequence, or the first of several",
            "JSON with one sequence; names of tracks in `track_names`",
            "pycocotools",
            "void, times",
            ".json",
        ),
        Format(
            "sa-v",
            "SA-V",
            f"{_HERE}.sa_v",
            "JSON with masklets; folders of one object each",
            "JSON with masklets; names and numbers in an entry `vostrack`",
            "pycocotools",
            "void, times",
            ".json",
        ),
        Format(
            "cvat",
            "CVAT for video 1.1",
            f"{_HERE}.cvat_writer",
            "XML of video and images: masks, polygons, ellipses; key frames, `outside`",
            "XML with a track of masks for each object",
            "XML parser of Python",
            "names of objects; names of frames; void, times",
            ".xml",
        ),
        Format(
            "label-studio",
            "Label Studio, images",
            f"{_HERE}.label_studio",
            "JSON and JSON-MIN: brush, bitmask, polygon, ellipse",
            "JSON with a task for each frame and brush masks",
            "NumPy",
            "times",
            ".json",
        ),
        Format(
            "label-studio-video",
            "Label Studio, video",
            f"{_HERE}.label_studio_video",
            "",
            "JSON with a box for each object and frame",
            "NumPy",
            "the masks: Label Studio has only boxes on videos",
            ".json",
        ),
        Format(
            "labelme",
            "labelme",
            f"{_HERE}.labelme",
            "JSON or a folder of them: polygons, masks, circles",
            "a JSON file for each frame, with masks",
            "Pillow",
            "times",
            "",
        ),
        Format(
            "supervisely",
            "Supervisely",
            f"{_HERE}.supervisely",
            "JSON of an image or a video, or a project: bitmaps, polygons with holes",
            "project of one video, with bitmaps",
            "Pillow",
            "names of frames; times; the video itself is not copied",
            "",
        ),
        Format(
            "yolo-seg",
            "YOLO segmentation",
            f"{_HERE}.yolo_seg",
            "text files of polygons, `data.yaml`",
            "`labels/NAME.txt` and `data.yaml`",
            "OpenCV",
            "gaps between parts; which object is which; void, times",
            "",
        ),
        Format(
            "tiff",
            "TIFF stack",
            f"{_HERE}.tiff_stack",
            "multi-page TIFF of integers",
            "8-bit pages; frames and objects in the description",
            "tifffile",
            "nothing",
            ".tif",
            "tifffile",
        ),
        Format(
            "napari",
            "napari labels layer",
            f"{_HERE}.napari",
            "as `tiff`",
            "32-bit pages, which napari opens as labels",
            "tifffile",
            "nothing",
            ".tif",
            "tifffile",
        ),
        Format(
            "nnunet",
            "nnU-Net",
            f"{_HERE}.nnunet",
            "raw data set with `dataset.json` and `labelsTr`, PNG or TIFF",
            "the same; void is the label `ignore`",
            "Pillow",
            "classes, times; pictures are not copied",
            "",
        ),
        Format(
            "prores",
            "ProRes 4444 with alpha",
            f"{_EDITORS}.prores",
            "",
            "folder with ID.mov of each object: 10-bit colour, 16-bit alpha, BT.709",
            "PyAV",
            "void; sound",
            premultiplies=True,
        ),
        Format(
            "webm",
            "VP9 with alpha",
            f"{_EDITORS}.webm",
            "",
            "folder with ID.webm of each object: 8 bits, straight alpha, times in milliseconds",
            "PyAV",
            "void; sound; the compression is lossy",
        ),
        Format(
            "matte-video",
            "Luma mattes",
            f"{_EDITORS}.matte_video",
            "",
            "folder with ID.mov of each object: alpha as gray, ProRes 422 HQ",
            "PyAV",
            "void",
        ),
        Format(
            "png-mattes",
            "PNG mattes",
            f"{_EDITORS}.png_mattes",
            "",
            "folder with ID/NAME.png of each object and frame: 8-bit gray",
            "Pillow",
            "void, times",
        ),
        Format(
            "exr-mattes",
            "OpenEXR mattes, Cryptomatte",
            f"{_EDITORS}.exr_mattes",
            "",
            "folder with NAME.exr of each frame: half alpha in matte.ID, names in CryptoObject",
            "OpenEXR",
            "void, times",
            requires="OpenEXR",
            extra="exr",
        ),
        Format(
            "supervision",
            "supervision.Detections",
            f"{_HERE}.detections",
            "`from_detections`: masks, `tracker_id`, names of classes",
            "`to_detections`: the same for one frame",
            "supervision",
            "void",
            in_python=True,
        ),
    )
}
"""All formats by name."""
