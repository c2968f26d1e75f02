"""Head pose refined on the pictures: each frame is aligned with the head's mean texture.

Landmarks jitter by a pixel where hair and skin need a tenth of one. Surface points of face and
hair are looked up in the training frames; their robust mean is the texture. Each frame's six
pose numbers then move by Lucas-Kanade steps until its pixels agree with the texture, up to a
gain and an offset of brightness; texture and poses are found in turn, from coarse to fine. How
deep face and hair lie is adjusted too, since a wrong depth shifts hair against face when the
head turns. Points that expression, background or shine make inconsistent have a high variance
and count little. Held-out frames are aligned with the training frames' texture as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.depth_adjustment import adjusted_depth, with_depth
from services.preprocess.head_fit import HeadFit, Split, follow_pose, landmarks_of
from services.preprocess.head_surface import depth_modes
from services.preprocess.head_texture import (
    Frames,
    Head,
    align_frames,
    build_texture,
    grey_of,
    head_of,
    local_of,
    rest_of,
)
from services.preprocess.pose_smoothing import smooth_informed
from shared.progress import Progress, part_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ReadFrame = Callable[[int], NDArray[np.uint8]]

SCALES = (4, 2, 1)
"""Coarse to fine: shrinkage of the working picture."""
N_DEPTH_ROUNDS = 3
MAX_TEXTURE_FRAMES = 400
"""Training frames that the texture is made of, evenly chosen: 26 to 105 MB of pictures."""
N_ALIKE = 10.0
"""Neighbouring points share their errors: so many tell as much as one alone would."""
SWAY = (0.0025, 0.0025, 0.0025, 0.0004, 0.0004, 0.0006)
"""Second difference of a head's true course from frame to frame: rad and metres."""
PROGRESS_EVERY = 16


class Poses(NamedTuple):
    """Head poses of all frames."""

    turn: Floats  # [T, 3, 3]
    shift: Floats  # [T, 3] of the root joint
    information: Floats  # [T, 6, 6] of a turn about the points' mean and a shift


def refine_photometrically(
    fit: HeadFit,
    read_frame: ReadFrame,
    n_train: int,
    is_valid: NDArray[np.bool_],
    progress: Progress,
) -> HeadFit:
    """The fit with head poses, and depth of face and hair, aligned to the pictures.

    Lips, lids and irises stay where the landmarks had them: expression, jaw and gaze are
    solved again under the new poses.

    Args:
        fit: Fit to landmarks.
        read_frame: RGB picture of a frame, the landmarks' crop. [S, S, 3] uint8
        n_train: Frames that texture and depth may be learnt from.
        is_valid: Frames to refine; others are filled in from their neighbours.
        progress: Told the share done.
    """
    split = Split(is_valid, n_train)
    train = np.flatnonzero(is_valid[:n_train])
    chosen = train[:: max(1, -(-len(train) // MAX_TEXTURE_FRAMES))]
    head = head_of(fit)
    poses = _poses(fit)
    greys = np.stack([grey_of(read_frame(int(frame)), head.size) for frame in chosen])
    frames = Frames(greys, local_of(fit, head, chosen), *[part[chosen] for part in poses])
    for round_, scale in enumerate(SCALES):
        progress(0.1 + 0.15 * round_, "aligning the head with its texture")
        frames = align_frames(head, frames, build_texture(head, frames, scale), scale)
    frames, deeper = _with_depth_adjusted(fit, head, frames, part_of(progress, 0.55, 0.75))
    textures = [build_texture(head, frames, scale) for scale in SCALES]
    moved = _moved_by(frames, poses, chosen)
    for part, found in zip(poses, frames[2:], strict=True):
        part[chosen] = found
    others = np.setdiff1d(split.valid, chosen)
    for done, frame in enumerate(others):
        if done % PROGRESS_EVERY == 0:
            progress(0.75 + 0.2 * done / len(others), "aligning the other frames")
        one = Frames(
            grey_of(read_frame(int(frame)), head.size)[None],
            local_of(deeper, head, np.array([frame])),
            moved[0] @ poses.turn[[frame]],
            poses.shift[[frame]] + moved[1],
            poses.information[[frame]],
        )
        for texture, scale in zip(textures, SCALES, strict=True):
            one = align_frames(head, one, texture, scale)
        for part, found in zip(poses, one[2:], strict=True):
            part[frame] = found[0]
    progress(0.97, "solving expressions again")
    centre = frames.local.mean((0, 1)).astype(np.float64)
    turn, shift = _steadied(poses, centre, split)
    translation = shift - fit.head_model.joints[0].double().numpy()
    # The shape became deeper; the landmarks to keep are those of the fit as it was.
    return follow_pose(deeper, landmarks_of(fit), (turn, translation), split)


def _poses(fit: HeadFit) -> Poses:
    """The fit's head poses, of which no picture has been asked yet."""
    turn = Rotation.from_rotvec(fit.rotation.double().numpy()).as_matrix()
    shift = fit.translation.double().numpy() + fit.head_model.joints[0].double().numpy()
    return Poses(turn, shift, np.zeros((len(turn), 6, 6)))


def _with_depth_adjusted(
    fit: HeadFit, head: Head, frames: Frames, progress: Progress
) -> tuple[Frames, HeadFit]:
    """Depth of face and hair and the poses in turn; the frames and the fit with that depth."""
    modes = depth_modes(fit.head_model, rest_of(fit))
    by_depth = np.einsum("mpk,pk->pm", modes[:, head.points.corners], head.points.weights)
    depth = np.zeros(len(modes))
    flat = frames.local
    for round_ in range(N_DEPTH_ROUNDS):
        progress(round_ / N_DEPTH_ROUNDS, "adjusting the depth of face and hair")
        depth = adjusted_depth(head, frames, by_depth, depth)
        local = flat.copy()
        local[..., 2] += (by_depth @ depth).astype(np.float32)
        frames = frames._replace(local=local)
        for _ in range(2):
            frames = align_frames(head, frames, build_texture(head, frames, 1), 1)
    return frames, with_depth(fit, modes, depth)


def _moved_by(frames: Frames, before: Poses, chosen: Ints) -> tuple[Floats, Floats]:
    """How refinement moved the training frames on the whole: turn [3, 3] and shift [3].

    Depth and texture have a free common pose; the other frames start from where it went.
    """
    turns = Rotation.from_matrix(frames.turn @ np.swapaxes(before.turn[chosen], 1, 2))
    common: Floats = turns.mean().as_matrix()
    return common, np.median(frames.shift - before.shift[chosen], axis=0)


def _steadied(poses: Poses, centre: Floats, split: Split) -> tuple[Floats, Floats]:
    """Poses whose ill-determined directions follow their neighbours in time.

    Args:
        poses: Aligned poses of all frames.
        centre: The points' mean about the root joint; what a picture tells is about it. [3]
        split: Which frames are valid; the two sides are smoothed apart.
    """
    place = poses.turn @ centre + poses.shift
    course = np.concatenate([Rotation.from_matrix(poses.turn).as_rotvec(), place], axis=1)
    information = poses.information / N_ALIKE * split.is_valid[:, None, None]
    parts = (slice(0, split.n_train), slice(split.n_train, len(course)))
    steady = np.concatenate(
        [smooth_informed(course[part], information[part], np.array(SWAY)) for part in parts]
    )
    turn: Floats = Rotation.from_rotvec(steady[:, :3]).as_matrix()
    return turn, steady[:, 3:] - turn @ centre
