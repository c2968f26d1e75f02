"""Options that methods on the rig share, and how a method checks its own."""

from typing import NamedTuple

from shared.avatar_method import MethodOptions
from shared.errors import InvalidInput
from shared.raster_kernels.spherical_harmonics import MAX_DEGREE

STARTS = ("pixels", "faces")

RIG_OPTIONS: MethodOptions = {
    "init": "pixels",
    "gaussians_per_face": 1,
    "position_weight": 1e-3,
    "scale_weight": 1e-2,
    "sh_degree": 0,
    "tune_flame": False,
    "opacity_reset_every": 0.0,
    "own_torso": True,
}
"""Defaults. GaussianAvatars has init faces, position_weight 0.01, scale_weight 1.0, sh_degree 3,
tune_flame true, opacity_reset_every 0.1 and own_torso false, for 600 000 steps and 16 cameras."""


class RigOptions(NamedTuple):
    """How Gaussians sit on the rig."""

    init: str
    """``pixels`` of training frames; ``faces``: on every triangle, which keeps at least one."""
    gaussians_per_face: int
    """With ``faces``: how many each triangle begins with."""
    position_weight: float
    """Of the penalty on Gaussians far from their triangle."""
    scale_weight: float
    """Of the penalty on Gaussians larger than their triangle."""
    sh_degree: int
    """Of the colours' dependence on the direction of view; 0 is none."""
    tune_flame: bool
    """Whether expression, neck, jaw and eyes of each training frame are corrected too."""
    opacity_reset_every: float
    """Share of the steps after which Gaussians become nearly transparent, again and again; 0
    never."""
    own_torso: bool
    """Whether the torso is a body of its own; else FLAME's root joint moves it with the head."""


def choose_options(
    method: str, defaults: MethodOptions, options: MethodOptions
) -> dict[str, int | float | str | bool]:
    """Defaults with what was chosen.

    Raises:
        InvalidInput: ``bad_method_options`` for names that there are not, values of other types,
            and numbers below 0.
    """
    chosen = {**defaults, **options}
    is_known = chosen.keys() == defaults.keys()
    if is_known:
        # A whole number is also a fraction; nothing else stands for something else.
        chosen = {
            name: float(value) if type(defaults[name]) is float and type(value) is int else value
            for name, value in chosen.items()
        }
    is_right = is_known and all(
        type(value) is type(defaults[name]) and (isinstance(value, str) or value >= 0)
        for name, value in chosen.items()
    )
    if not is_right:
        raise InvalidInput(
            "bad_method_options",
            f"{method} has the options {defaults}, none below 0, not {options}",
        )
    return chosen


def rig_options(method: str, chosen: MethodOptions) -> RigOptions:
    """The rig's part of a method's options.

    Raises:
        InvalidInput: ``bad_method_options`` for values out of range.
    """
    found = RigOptions(**{name: chosen[name] for name in RigOptions._fields})  # type: ignore[arg-type]  # types were compared with the defaults'
    is_right = (
        found.init in STARTS
        and found.gaussians_per_face >= 1
        and found.sh_degree <= MAX_DEGREE
        and found.opacity_reset_every <= 1
    )
    if not is_right:
        raise InvalidInput(
            "bad_method_options",
            f"{method} cannot work with {found._asdict()}: init is one of {', '.join(STARTS)}, "
            "gaussians_per_face at least 1, opacity_reset_every at most 1, "
            f"sh_degree at most {MAX_DEGREE}",
        )
    return found
