"""A preset with the user's options in it; options that would have no effect are refused."""

from __future__ import annotations

import logging
from dataclasses import replace

from vostrack.errors import InputError
from vostrack.models.weights import check_trackable, holds_target_net
from vostrack.online_finetune.full_network.adapter import FullNetworkConfig
from vostrack.online_finetune.target.adapter import TargetModelConfig
from vostrack.presets.named import PRESETS, Preset
from vostrack.presets.options import TrackerOptions
from vostrack.proposers.registry import PROPOSERS
from vostrack.refine.craf import CrafConfig
from vostrack.refine.registry import REFINERS
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.support import SupportConfig

__all__ = ["effective_preset", "resolve_preset"]

_log = logging.getLogger("vostrack.presets")

# Size of the mirrored view. On the six development sequences it gained 0.8 and 0.4 points more than
# one of the same size, and costs less; both with a network of one backbone.
_MIRROR_SCALE = 0.8

# Later frames that a second pass learns from, where the preset does not say.
_LATER_FRAMES = 3

# Share of the previous frame's masks along the optical flow, where the preset has none.
_FLOW_SHARE = 0.9


def effective_preset(preset: str, weights: str) -> str:
    """Return the preset that is used: target models need weights that hold a target network.

    With other weights (a backbone's, or a foreground network) ``finetune`` takes their place, which
    fits whole networks and works with any weights.

    Raises:
        InputError: the weights are a file that cannot be read, or that holds a network of another
            method.
    """
    known = PRESETS.get(preset)
    if known is None or known.target is None or weights in ("auto", "shipped"):
        return preset
    check_trackable(weights)
    if holds_target_net(weights):
        return preset
    _log.info("weights %s hold no target network: preset finetune instead of %s", weights, preset)
    return "finetune"


def resolve_preset(name: str, options: TrackerOptions | None = None) -> Preset:
    """Return the preset with the options in it.

    Args:
        name: one of ``PRESETS``; see ``effective_preset`` for the one that the weights allow.
        options: what differs from the preset.

    Raises:
        InputError: no preset of that name, a value out of its range, or an option that would have
            no effect.
    """
    if name not in PRESETS:
        raise InputError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    preset, options = PRESETS[name], options or TrackerOptions()
    _refuse_idle_options(name, preset, options)
    target = _resolve_target(preset.target, options)
    tracker, craf = _resolve_passes(name, preset.tracker, target, options), preset.craf
    if options.max_size is not None:
        tracker = replace(tracker, max_size=options.max_size)
    if options.gate is not None:
        tracker = replace(tracker, gate=options.gate)
    if options.craf is not None:
        craf = (craf or CrafConfig()) if options.craf else None
    resolved = _with_parts(preset, options)
    support = _resolve_support(preset.support, options)
    asks = support is not None and support.asks
    if resolved.proposer != "none" and craf is None and not asks:
        raise InputError(
            "proposer: it helps the connected region filter, reacquire and support, and these are "
            f"off (preset {name}); switch one on with `reacquire=True`, `support=True` or "
            "`craf=True`, or leave `proposer` out"
        )
    if resolved.proposer == "none" and asks:
        raise InputError(
            "reacquire, support: they need proposals; choose a `proposer`, or leave them out"
        )
    return replace(
        resolved,
        adapter=_resolve_adapter(preset.adapter, options),
        target=target,
        tracker=tracker,
        craf=craf,
        support=support,
    )


def _resolve_support(
    support: SupportConfig | None, options: TrackerOptions
) -> SupportConfig | None:
    known = support or SupportConfig(identity=False, let_go=False)
    identity = known.identity if options.identity is None else options.identity
    let_go = known.let_go if options.let_go is None else options.let_go
    config = SupportConfig(identity, let_go, bool(options.reacquire), bool(options.support))
    return config if identity or let_go or config.asks else None


# Options of target models, and why they have no effect with fine-tuned networks.
_TARGETS_ALONE = {
    "let_go": "do not estimate presence",
    "flow": "see each frame by itself",
    "carry": "see each frame",
    "mirror": "see the whole frame once",
}


def _refuse_idle_options(name: str, preset: Preset, options: TrackerOptions) -> None:
    """Refuse an option that cannot change anything in this preset."""
    if preset.target is None:
        for option, reason in _TARGETS_ALONE.items():
            if getattr(options, option) is not None:
                raise InputError(
                    f"{option}: has no effect in the preset {name}: its networks {reason}; leave "
                    "it out, or choose the preset fast, balanced or best"
                )
        for option in ("adapt", "second_pass"):
            if getattr(options, option) is not None:
                raise InputError(
                    f"{option}: has no effect in the preset {name}: its networks learn from the "
                    "first frame only; leave it out, or choose the preset "
                    f"{'balanced or best' if option == 'second_pass' else 'fast, balanced or best'}"
                )
        return
    if options.carry and options.flow is False:
        raise InputError(
            "carry: has no effect without the optical flow; leave it out, or switch `flow` on"
        )
    for option in ("foreground_steps", "per_video", "gate"):
        if getattr(options, option) is not None:
            raise InputError(
                f"{option}: has no effect in the preset {name}: its target models have no "
                "foreground model; leave it out, or choose the preset finetune or paper"
            )


def _resolve_passes(
    name: str,
    tracker: TrackerConfig,
    target: TargetModelConfig | None,
    options: TrackerOptions,
) -> TrackerConfig:
    """Switch the second pass on or off; it is off where nothing is fine-tuned."""
    wanted = tracker.second_pass > 0 if options.second_pass is None else options.second_pass
    if target is None or target.finetune.steps:
        return replace(tracker, second_pass=(tracker.second_pass or _LATER_FRAMES) * wanted)
    if options.second_pass:
        raise InputError(
            f"second_pass: has no effect in the preset {name} without fine-tuning; leave it out, "
            "give `object_steps`, or choose the preset balanced or best"
        )
    return replace(tracker, second_pass=0)


def _with_parts(preset: Preset, options: TrackerOptions) -> Preset:
    """Choose refiner and proposer; a preset's own options of a part stay while the part does."""
    refiner = options.refiner or preset.refiner
    refiner_options = dict(options.refiner_options)
    if refiner == preset.refiner:
        refiner_options = {**preset.refiner_options, **refiner_options}
    proposer = options.proposer or preset.proposer
    proposer_options = dict(options.proposer_options)
    if proposer == preset.proposer:
        proposer_options = {**preset.proposer_options, **proposer_options}
    REFINERS.settings(refiner, refiner_options)
    PROPOSERS.settings(proposer, proposer_options)
    return replace(
        preset,
        refiner=refiner,
        refiner_options=refiner_options,
        proposer=proposer,
        proposer_options=proposer_options,
    )


def _resolve_adapter(adapter: FullNetworkConfig, options: TrackerOptions) -> FullNetworkConfig:
    adapter = replace(adapter, seed=options.seed, precision=options.precision)
    if options.foreground_steps is not None:
        foreground = replace(adapter.foreground, steps=options.foreground_steps)
        # A single object gets a foreground model of its own, or the option would have no effect.
        adapter = replace(adapter, foreground=foreground, share_single=False)
    if options.object_steps is not None:
        objects = replace(adapter.objects, steps=options.object_steps)
        adapter = replace(adapter, objects=objects)
    if options.per_video is not None:
        adapter = replace(adapter, per_video=options.per_video)
    return adapter


def _resolve_target(
    target: TargetModelConfig | None, options: TrackerOptions
) -> TargetModelConfig | None:
    if target is None:
        return None
    target = replace(target, seed=options.seed, precision=options.precision)
    if options.object_steps is not None:
        target = replace(target, finetune=replace(target.finetune, steps=options.object_steps))
    if options.mirror is not None:
        target = replace(target, mirror=options.mirror, mirror_scale=_MIRROR_SCALE)
    if options.flow is not None:
        target = replace(target, flow_share=(target.flow_share or _FLOW_SHARE) * options.flow)
    if options.carry is not None:
        target = replace(target, carry=options.carry)
    if options.adapt is not None:
        # Without adaptation, later frames are no memories either, but for the one just before.
        target = (
            replace(target, adapt="confident")
            if options.adapt
            else replace(target, adapt="off", remember_every=0)
        )
    return target
