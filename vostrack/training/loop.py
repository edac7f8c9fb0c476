"""The training loop, which knows no network: a recipe brings the batches and the losses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from vostrack.compute.isolation import check_not_forked
from vostrack.compute.precision import autocast
from vostrack.errors import InputError
from vostrack.training.averaging import WeightAverage
from vostrack.training.batches import Batch, draw_batches, mix, step_generator, to_device
from vostrack.training.budget import Budget
from vostrack.training.checkpoint import open_checkpoint
from vostrack.training.folder import training_folder
from vostrack.training.loop_config import LoopConfig
from vostrack.training.processes import Processes, join_processes
from vostrack.training.record import Record
from vostrack.training.stopping import StopRequest
from vostrack.training.validation import Validation, ValidationHistory

__all__ = ["LoopConfig", "OnStep", "Recipe", "step_generator", "train"]

# Called with the steps done and the loss.
OnStep = Callable[[int, float], None]


class Recipe(Protocol):
    """What a network's own training consists of. It holds the network that it trains."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what is trained: ``params``, the peak ``lr``, other options of the optimizer."""
        ...

    def draw(self, generator: Generator, step: int) -> Batch:
        """Draw one process's batch, on the CPU.

        The same generator state gives the same batch: ``generator`` is the only source of chance.
        Called from other threads where ``LoopConfig.ahead`` asks for them.
        """
        ...

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars, of which the sum is minimised, for a batch on the network's device.

        Means over the batch, so that n processes with b items are one with n * b.
        """
        ...


def train(
    network: nn.Module,
    recipe: Recipe,
    config: LoopConfig,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
    hours: float | None = None,
    validation: Validation | None = None,
    on_step: OnStep | None = None,
) -> int:
    """Train ``network`` in place; continue from ``folder`` where a checkpoint lies there.

    With ``LoopConfig.average`` the network has the mean weights when this returns.

    Under ``torchrun`` every process calls this with a network on its own device (see
    ``vostrack.training.processes.training_device``) and the same folder: gradients are averaged,
    the first process writes. Continuing gives the weights of an uninterrupted training bit for
    bit, where the device's kernels are deterministic. The global random state is left as it was.

    Args:
        network: on its device; in evaluation mode afterwards.
        recipe: its batches and losses.
        config: how they are followed.
        folder: keeps ``checkpoint.pt``, ``log.jsonl`` (one line per step), ``curves.json`` (the
            same as one list per number, and the validations) and, where asked for,
            ``tensorboard/``.
        settings: plain data that a checkpoint has to agree with, besides ``config``, to be
            continued: the options of the recipe, and as a mapping under ``given`` what a user
            gave, such as the content of the data; see ``vostrack.training.agreement``.
        stop_after: stop, with a checkpoint, after so many steps of this call.
        hours: stop, with a checkpoint, after the step in which so many hours of this call are
            over. The schedule of the rates stays that of ``config.steps``.
        validation: how the network, with the mean weights where they are kept, is judged on the
            way.
        on_step: called in the first process after every step.

    Returns:
        The steps done in all; ``config.steps`` when the training is complete.

    Raises:
        InputError: another training is writing to the folder, the checkpoint is of another recipe
            or cannot be read, there is none and what lies there would be replaced, the learning
            rates are not finite, negative or all 0, a loss or its gradient is not finite, or
            TensorBoard is asked for and not installed.
        OSError: the checkpoint or the log cannot be written.
        KeyboardInterrupt: Ctrl-C, after the step under way and a checkpoint; so does SIGTERM before
            it ends the process. Not with several processes.
        RuntimeError: a forked child would hang; see ``check_not_forked``.
    """
    check_not_forked()
    device = next(network.parameters()).device
    processes = join_processes(device)
    folder = folder.absolute()  # steps of the caller's may change the current one
    with training_folder(folder), _own_random_state(device):
        loop = _Loop(network, recipe, config, device, processes)
        budget = Budget(stop_after, hours, processes)
        with StopRequest(enabled=processes.count == 1) as request:
            done = loop.run(folder, dict(settings or {}), (budget, request), validation, on_step)
        if done < config.steps:
            request.raise_again(done, config.steps)
        return done


class _Loop:
    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        config: LoopConfig,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self._network = network
        self._recipe = recipe
        self._config = config
        self._device = device
        self._processes = processes
        groups = [{**group, "params": list(group["params"])} for group in recipe.parameter_groups()]
        self._parameters = [p for group in groups for p in group["params"]]
        self._optimizer = _build_optimizer(groups, config)
        decay = config.average
        self._average = None if decay is None else WeightAverage(network, decay)

    def run(
        self,
        folder: Path,
        settings: dict[str, Any],
        limits: tuple[Budget, StopRequest],
        validation: Validation | None,
        on_step: OnStep | None,
    ) -> int:
        config, (budget, request) = self._config, limits
        checkpoint = open_checkpoint(folder, config, settings, self._processes)
        step, entries = checkpoint.load(self._network, self._optimizer, self._average)
        history = ValidationHistory(entries)
        last = budget.last(step, config.steps)
        shared = self._processes.count > 1
        alone = _Objective(self._network, self._recipe, shared=shared)
        objective = self._processes.wrap(alone, self._device)
        self._network.train()
        rank = self._processes.rank
        writes = rank == 0
        with (
            Record(folder, step, tensorboard=config.tensorboard, enabled=writes) as record,
            closing(draw_batches(self._recipe.draw, config, rank, range(step, last))) as batches,
        ):
            for parts in batches:
                begin = time.perf_counter()
                values = self._step(objective, parts, step)
                record.add(step + 1, {**values, "seconds": time.perf_counter() - begin})
                step += 1
                stop = step == last or budget.spent() or request.asked is not None
                judged = validation is not None and validation.due(step, config.steps)
                if writes and validation is not None and judged:
                    record.add_validation(step, self._judge(validation, history, step))
                if writes and on_step is not None:
                    on_step(step, values["loss"])
                kept = bool(config.keep_every) and step % config.keep_every == 0
                # With what is the best so far goes a checkpoint that knows it.
                due = step % config.checkpoint_every == 0 or kept or judged or stop
                if writes and due:
                    checkpoint.save(
                        self._network, self._optimizer, step, self._average, history.entries
                    )
                    record.write_curves(history.entries)
                if writes and kept:
                    checkpoint.keep(step)
                if stop:
                    break
        self._processes.wait()
        if self._average is not None:
            self._average.copy_to(self._network)
        self._network.eval()
        return step

    def _judge(
        self, validation: Validation, history: ValidationHistory, step: int
    ) -> dict[str, float]:
        """Judge the network as it would be handed out."""
        mean = nullcontext() if self._average is None else self._average.applied(self._network)
        self._network.eval()
        with mean, torch.no_grad():
            figures = history.run(validation, self._network, step)
        self._network.train()
        return figures

    def _step(self, objective: nn.Module, parts: list[Batch], step: int) -> dict[str, float]:
        """Take one step; return what the log says of it, the same in every process."""
        config = self._config
        torch.manual_seed(mix(config.seed, step, self._processes.rank, 1))
        factor = config.rate_factor(step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        self._optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for number, batch in enumerate(parts):
            last = number == len(parts) - 1
            with self._processes.no_exchange(objective) if not last else nullcontext():
                values = self._backward(objective, batch, step, 1 / len(parts))
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
        means = {name: value / len(parts) for name, value in sums.items()}
        limit = math.inf if config.clip_norm is None else config.clip_norm
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, limit).item()
        _demand_finite({"gradient": norm}, step)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self._network, step)
        return {**means, "gradient": norm, "rate": factor}

    def _backward(
        self, objective: nn.Module, batch: Batch, step: int, share: float
    ) -> dict[str, float]:
        """Add ``share`` of a batch's gradient; return its losses, means over the processes."""
        with autocast(self._device, self._config.precision):
            losses = objective(to_device(batch, self._device))
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        named = {**losses, "loss": total}
        means = self._processes.mean(torch.stack([v.detach().float() for v in named.values()]))
        values: dict[str, float] = dict(zip(named, means.tolist(), strict=True))
        _demand_finite(values, step)
        (total * share if share != 1 else total).backward()  # type: ignore[no-untyped-call]
        return values


class _Objective(nn.Module):
    """The losses as a module: what DistributedDataParallel can wrap."""

    def __init__(self, network: nn.Module, recipe: Recipe, *, shared: bool) -> None:
        super().__init__()
        self.network = network
        self._losses, self._shared = recipe.losses, shared

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        losses = self._losses(batch)
        if not self._shared:
            return losses
        # What no object of this batch needs has to have a gradient, too: others wait for it.
        unneeded = torch.stack([p.sum() * 0 for p in self.network.parameters() if p.requires_grad])
        first = next(iter(losses))
        return {**losses, first: losses[first] + unneeded.sum()}


def _build_optimizer(groups: list[dict[str, Any]], config: LoopConfig) -> torch.optim.Optimizer:
    _demand_rates([group["lr"] for group in groups])
    for group in groups:
        group["initial_lr"] = group["lr"]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    return torch.optim.SGD(groups, momentum=config.momentum, weight_decay=config.weight_decay)


def _demand_rates(rates: Sequence[float]) -> None:
    """Refuse rates that no optimizer takes, or under which nothing would be learnt."""
    if not all(0 <= rate < math.inf for rate in rates) or not any(rates):
        raise InputError(
            "learning rate: expected finite numbers of at least 0, one of them over 0, got "
            + ", ".join(map(str, rates))
        )


def _demand_finite(values: Mapping[str, float], step: int) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(
                f"training: {name} is {value} at step {step + 1}; a checkpoint before it is kept: "
                'lower the learning rate, train with `precision="fp32"`, or look for images or '
                "labels that are not finite"
            )


@contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
