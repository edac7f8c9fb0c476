"""The processes of one training: alone, or several started by ``torchrun``."""

from __future__ import annotations

import atexit
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vostrack.compute.precision import resolve_device

__all__ = ["Processes", "is_first_process", "join_processes", "training_device"]


def is_first_process() -> bool:
    """Tell whether this process is the one that writes files and shows progress.

    True outside ``torchrun``.
    """
    return int(os.environ.get("RANK", "0")) == 0


def training_device(name: str) -> torch.device:
    """Return this process's own device; see ``vostrack.compute.precision.resolve_device``.

    Under ``torchrun``, ``auto`` and ``cuda`` give each process of a machine its own GPU.

    Raises:
        InputError: not a device, or not one of this machine: fewer GPUs than processes.
    """
    device = resolve_device(name)
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
    return device


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Make gradients the mean over the processes; parameters become those of rank 0.

        Every trainable parameter has to take part in every step.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(
            module, device_ids=[device.index] if device.type == "cuda" else None
        )

    def no_exchange(self, module: nn.Module) -> AbstractContextManager[None]:
        """Keep gradients in their process for a while: more are to be added to them."""
        if isinstance(module, DistributedDataParallel):
            return module.no_sync()
        return nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes; not finite for all where it is not for one."""
        if self.count > 1:
            dist.all_reduce(values)
        return values / self.count

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()


def join_processes(device: torch.device) -> Processes:
    """Meet the other processes that ``torchrun`` started; NCCL between GPUs, Gloo between CPUs.

    The process group stays until the process ends: under ``torchrun`` a second one could not be
    made. One that is there already is used.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
