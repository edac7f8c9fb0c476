"""The .mat files of SBD, and files that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from vostrack.datasets.mat_files import read_mat_mask
from vostrack.errors import InputError


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (1, 1)])
def test_a_mask_keeps_its_shape(tmp_path: Path, dtype: Any, shape: tuple[int, int]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": values.astype(dtype), "Other": [1]}})
    mask = read_mat_mask(tmp_path / "a.mat", "GTcls")
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, values)


@pytest.mark.parametrize("value", [-1, 256])
def test_values_beyond_a_byte_do_not_wrap(tmp_path: Path, value: int) -> None:
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": np.full((2, 2), value)}})
    with pytest.raises(InputError, match=rf"a\.mat: expected values in 0\.\.255 .*got {value}"):
        read_mat_mask(tmp_path / "a.mat", "GTcls")


@pytest.mark.parametrize(
    "content",
    [
        {"GTinst": {"Segmentation": np.zeros((2, 2))}},
        {"GTcls": {"Boundaries": np.zeros((2, 2))}},
        {"GTcls": np.zeros((2, 2))},
        {"GTcls": "text"},
        {"GTcls": {"Segmentation": "text"}},
        {"GTcls": {"Segmentation": np.zeros((2, 2, 2))}},
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(InputError, match=r"a\.mat: .*GTcls\.Segmentation"):
        read_mat_mask(tmp_path / "a.mat", "GTcls")


@pytest.mark.parametrize(
    "data", [b"", b"no mat file", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600)]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(InputError, match=r"expected GTinst\.Segmentation"):
        read_mat_mask(tmp_path / "a.mat", "GTinst")
    with pytest.raises(InputError, match=r"none\.mat"):
        read_mat_mask(tmp_path / "none.mat", "GTinst")
