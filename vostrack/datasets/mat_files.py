"""The .mat files of SBD (Hariharan et al. 2011): a class mask or an instance mask in each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = ["MatVariable", "read_mat_mask"]

MatVariable = Literal["GTcls", "GTinst"]


def read_mat_mask(path: str | os.PathLike[str], variable: MatVariable) -> UInt8Array:
    """Read ``variable.Segmentation`` of a .mat file.

    Args:
        path: a file of SBD's folder ``cls`` or ``inst``.
        variable: ``GTcls`` for the classes, ``GTinst`` for the instances.

    Returns:
        (H, W) uint8: 0 background, classes or instances from 1.

    Raises:
        InputError: the file is missing or damaged, or holds no such mask.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        values = np.asarray(loadmat(os.fspath(path))[variable]["Segmentation"][0, 0])
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        # A file of MATLAB 7.3, which is HDF5.
        NotImplementedError,
        MatReadError,
    ) as error:
        raise InputError(
            f"{Path(path)}: cannot be read as a mask of SBD ({error}); "
            f"expected {variable}.Segmentation"
        ) from None
    if values.ndim != 2 or values.dtype.kind not in "uif":
        raise InputError(
            f"{Path(path)}: expected numbers of shape (H, W) in {variable}.Segmentation, "
            f"got {values.dtype} of shape {values.shape}"
        )
    if values.size and not (values.min() >= 0 and values.max() <= VOID):
        raise InputError(
            f"{Path(path)}: expected values in 0..255 in {variable}.Segmentation, got "
            f"{values.min()}..{values.max()}; renumber them"
        )
    return values.astype(np.uint8)
