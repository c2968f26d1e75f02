"""The tensors of ``rigged_gaussians`` by its options: their shapes and learning rates."""

from shared.rigging.rig_options import RigOptions
from shared.rigging.stored_tensors import Shapes
from shared.rigging.tuned_motion import TUNED_RATES, TUNED_SHAPES
from shared.rigging.view_colors import n_harmonics

RATES = {
    "local": 6e-3,
    "log_scales": 1e-2,
    "quats": 3e-3,
    "opacity_logits": 3e-2,
    "colors": 5e-3,
    "moves": 1e-3,
    "tints": 1e-3,
    "head_shares": 5e-3,
    "pose_deltas": 2e-4,
    "body": 4e-4,
}
"""Adam's initial learning rates; positions are in triangle sizes."""
HARMONICS_RATE = RATES["colors"] / 20
"""GaussianAvatars' share of the colours' rate."""
SHAPES: Shapes = {
    "local": ("N", 3),
    "log_scales": ("N", 3),
    "quats": ("N", 4),
    "opacity_logits": ("N",),
    "colors": ("N", 3),
    "moves": ("C", "N", 3),
    "tints": ("C", "N", 3),
    "head_shares": ("N",),
    "pose_deltas": ("T", 6),
    "body": ("T", 6),
    "binding": ("N",),
    "rest": ("N", 3),
    "code_weights": ("E+6", "C"),
    "code_offset": ("C",),
    "body_rule": (7, 6),
    "body_timing": (2,),
    "followed": ("followed frames", 6),
}


def shapes_for(options: RigOptions) -> Shapes:
    """Sizes of every tensor, by name."""
    shapes = dict(SHAPES)
    if options.sh_degree:
        shapes["harmonics"] = ("N", n_harmonics(options.sh_degree), 3)
    return shapes | (TUNED_SHAPES if options.tune_flame else {})


def rates_for(options: RigOptions) -> dict[str, float]:
    """Adam's initial learning rate of every parameter, by name."""
    rates = dict(RATES)
    if options.sh_degree:
        rates["harmonics"] = HARMONICS_RATE
    return rates | (TUNED_RATES if options.tune_flame else {})
