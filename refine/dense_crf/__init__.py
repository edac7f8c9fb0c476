"""Dense CRF: permutohedral filtering, unrolled mean field, a refiner of score maps.

The names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.refine.dense_crf.kernels import (
        GaussianKernel,
        KernelConfig,
        Normalisation,
        bilateral_kernel,
        image_kernels,
        spatial_kernel,
    )
    from vostrack.refine.dense_crf.lattice import PermutohedralLattice, build_lattice
    from vostrack.refine.dense_crf.lattice_filter import LatticeFilter
    from vostrack.refine.dense_crf.mean_field import (
        HigherOrderPotential,
        MeanField,
        MeanFieldResult,
    )
    from vostrack.refine.dense_crf.options import SampledCrfConfig
    from vostrack.refine.dense_crf.sampled import SampledCrfRefiner
    from vostrack.refine.dense_crf.score_refiner import DenseCrfRefiner, DenseCrfRefinerConfig

__all__ = [
    "DenseCrfRefiner",
    "DenseCrfRefinerConfig",
    "GaussianKernel",
    "HigherOrderPotential",
    "KernelConfig",
    "LatticeFilter",
    "MeanField",
    "MeanFieldResult",
    "Normalisation",
    "PermutohedralLattice",
    "SampledCrfConfig",
    "SampledCrfRefiner",
    "bilateral_kernel",
    "build_lattice",
    "image_kernels",
    "spatial_kernel",
]

_HOMES = {
    "DenseCrfRefiner": "score_refiner",
    "DenseCrfRefinerConfig": "score_refiner",
    "GaussianKernel": "kernels",
    "HigherOrderPotential": "mean_field",
    "KernelConfig": "kernels",
    "LatticeFilter": "lattice_filter",
    "MeanField": "mean_field",
    "MeanFieldResult": "mean_field",
    "Normalisation": "kernels",
    "PermutohedralLattice": "lattice",
    "SampledCrfConfig": "options",
    "SampledCrfRefiner": "sampled",
    "bilateral_kernel": "kernels",
    "build_lattice": "lattice",
    "image_kernels": "kernels",
    "spatial_kernel": "kernels",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
