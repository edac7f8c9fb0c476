"""The types of arrays, by what their elements are; shapes are said where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnyArray", "BoolArray", "DoubleArray", "FloatArray", "IntArray", "UInt8Array"]

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
AnyArray = NDArray[Any]
