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

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.depth_adjustment import adjusted_depth, with_depth
from services.preprocess.head_fit import HeadFit, Split, follow_pose, landmarks_of
from services.preprocess.head_surface import depth_modes
from services.preprocess.head_texture import (
    Frames,
    align_frames,
    build_texture,
    grey_of,
    head_of,
    local_of,
    rest_of,
)
from shared.progress import Progress

ReadFrame = Callable[[int], NDArray[np.uint8]]

SCALES = (4, 2, 1)
"""Coarse to fine: shrinkage of the working picture."""
N_DEPTH_ROUNDS = 2
MAX_TEXTURE_FRAMES = 400
"""Training frames that the texture is made of, evenly chosen: 26 MB of pictures."""
POSE_STIFFNESS = 0.1
"""Takes little: what is left of the jitter after alignment is small."""


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
    train = np.flatnonzero(is_valid[:n_train])
    chosen = train[:: max(1, -(-len(train) // MAX_TEXTURE_FRAMES))]
    head = head_of(fit)
    turn = Rotation.from_rotvec(fit.rotation.double().numpy()).as_matrix()
    shift = fit.translation.double().numpy() + fit.head_model.joints[0].double().numpy()
    greys = np.stack([grey_of(read_frame(int(frame))) for frame in chosen])
    frames = Frames(greys, local_of(fit, head, chosen), turn[chosen], shift[chosen])
    for round_, scale in enumerate(SCALES):
        progress(0.1 + 0.15 * round_, "aligning the head with its texture")
        frames = align_frames(head, frames, build_texture(head, frames, scale), scale)
    modes = depth_modes(fit.head_model, rest_of(fit))
    depth = np.zeros(len(modes))
    at_rest = frames.local
    for round_ in range(N_DEPTH_ROUNDS):
        progress(0.55 + 0.1 * round_, "adjusting the depth of face and hair")
        by_depth = np.einsum("mpk,pk->pm", modes[:, head.points.corners], head.points.weights)
        depth = adjusted_depth(head, frames, by_depth, depth)
        local = at_rest.copy()
        local[..., 2] += (by_depth @ depth).astype(np.float32)
        frames = frames._replace(local=local)
        for _ in range(2):
            frames = align_frames(head, frames, build_texture(head, frames, 1), 1)
    deeper = with_depth(fit, modes, depth)
    turn[chosen], shift[chosen] = frames.turn, frames.shift
    textures = [build_texture(head, frames, scale) for scale in SCALES]
    rest = np.setdiff1d(np.flatnonzero(is_valid), chosen)
    for done, frame in enumerate(rest):
        if done % 16 == 0:
            progress(0.75 + 0.2 * done / len(rest), "aligning the other frames")
        one = Frames(
            grey_of(read_frame(int(frame)))[None],
            local_of(deeper, head, np.array([frame])),
            turn[[frame]],
            shift[[frame]],
        )
        for texture, scale in zip(textures, SCALES, strict=True):
            one = align_frames(head, one, texture, scale)
        turn[frame], shift[frame] = one.turn[0], one.shift[0]
    progress(0.97, "solving expressions again")
    translation = shift - fit.head_model.joints[0].double().numpy()
    # The shape became deeper; the landmarks to keep are those of the fit as it was.
    split = Split(is_valid, n_train)
    return follow_pose(deeper, landmarks_of(fit), (turn, translation), split, POSE_STIFFNESS)
