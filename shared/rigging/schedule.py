"""When opacities are reset, and to what (3D Gaussian Splatting, Kerbl et al. 2023, section 5.2)."""

import math

RESET_LOGIT = math.log(0.01 / 0.99)
"""Opacity 0.01: what is needed grows again, what is not is removed at the next pruning."""
LAST_RESET = 0.5
"""No resets in the second half of a training, which must end in whole opacities."""


def is_reset(step: int, n_steps: int, every: float) -> bool:
    """Whether opacities are reset before this step: each ``every`` of the training, 0 never."""
    interval = round(every * n_steps)
    return interval > 0 and 0 < step <= LAST_RESET * n_steps and step % interval == 0
