"""Dense CRF: permutohedral filtering, unrolled mean field, and refiners of score maps."""

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
from vostrack.refine.dense_crf.sampled import SampledCrfConfig, SampledCrfRefiner
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
