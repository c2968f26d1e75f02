"""A fitted head: its type, and the way from tracked states of the face to its parameters."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from services.preprocess.face_bundle import (
    N_JAW,
    Camera,
    Evidence,
    FaceRig,
    Floats,
    FrameStates,
    track_frames,
)
from services.preprocess.gaze import eye_turns
from services.preprocess.pose_smoothing import smooth_parts
from shared.geometry.cameras import project
from shared.head_model import (
    N_FACE_LANDMARKS,
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import FACE_OVAL

SIGMA_SHARE = 0.012
"""Landmark error as a share of the inter-ocular distance: MediaPipe's jitter, and its bias."""
OUTLINE_FACTOR = 3.0
"""The outline's landmarks slide along the skin as the head turns."""
DEPTH_FACTOR = 12.0
"""MediaPipe's depth is a guess from one picture."""
EYE_STIFFNESS = 0.05
SLOW_UNITS = ("brow", "cheek", "nose")
SLOW_STIFFNESS = 0.5
"""Brows, cheeks and nose move slower than landmarks jitter; lips and lids are left as they are."""
FILL_STIFFNESS = 1e-6
"""Leaves measured frames as they are and only bridges those without measurement."""
BLOCK = 256
JAW_ENTRIES = slice(9, 18)
"""The jaw's nine entries of R - I among the pose correctives."""
MIN_TRUST = 0.02


class HeadFit(NamedTuple):
    """A head model fitted to a person, and where it was in each frame (TRACKING_TABLE)."""

    head_model: HeadModel
    shape: Tensor  # [K]
    expr: Tensor  # [T, E]
    rotation: Tensor  # [T, 3]
    neck_pose: Tensor  # [T, 3]
    jaw_pose: Tensor  # [T, 3]
    eyes_pose: Tensor  # [T, 6]
    translation: Tensor  # [T, 3]
    Ks: Tensor  # [T, 3, 3]
    viewmat: Tensor  # [4, 4]


class Split(NamedTuple):
    """Which frames were measured, and where training ends."""

    is_valid: NDArray[np.bool_]  # [T]
    n_train: int

    @property
    def valid(self) -> NDArray[np.int64]:
        """Indices of the measured frames."""
        return np.flatnonzero(self.is_valid)


def face_rig(model: HeadModel, lowest_jaw: float = -0.6) -> FaceRig:
    """A head model at its face landmarks, in float64.

    A landmark between vertices is skinned as one of its own; its corners are so near to each
    other that their own skinning differs by hundredths of a millimetre.
    """

    def face(values: Tensor) -> Floats:
        at: Floats = landmarks_on(model, values.double())[..., :N_FACE_LANDMARKS, :].numpy()
        return at

    joints = model.joints.double().numpy()
    basis = model.pose_basis
    return FaceRig(
        face(model.template),
        face(model.shape_basis),
        face(model.expr_basis),
        face(model.weights)[:, 2],
        joints[0],
        joints[2],
        None if basis is None else face(basis[JAW_ENTRIES]),
        lowest_jaw,
    )


def inter_ocular(marks: Floats) -> float:
    """Median distance of the irises' centres, px."""
    return float(np.median(np.linalg.norm(marks[:, 468, :2] - marks[:, 473, :2], axis=1)))


def landmark_evidence(marks: Floats, eye_distance: float, trust: Floats) -> Evidence:
    """Landmarks of the face with their spread; wider where their place on the mesh is guessed.

    Args:
        marks: Landmarks. [T, 478, 3] px
        eye_distance: Between the irises. px
        trust: ``MeanHead.landmark_trust``. [468]
    """
    factor = 1 / np.sqrt(np.maximum(trust, MIN_TRUST))
    outline = list(FACE_OVAL)
    factor[outline] = np.maximum(factor[outline], OUTLINE_FACTOR)
    # Depth has one spread for all landmarks, since it is compared after centring.
    sigma = np.stack([factor, factor, np.full_like(factor, DEPTH_FACTOR)], axis=1)
    return Evidence(marks[:, :N_FACE_LANDMARKS], SIGMA_SHARE * eye_distance * sigma)


def smoothed_pose(states: FrameStates, split: Split, stiffness: float) -> FrameStates:
    """States of the valid frames with less jitter in the head pose, each side for itself."""
    pose = np.zeros((len(split.is_valid), 6))
    pose[split.valid, :3] = Rotation.from_matrix(states.turn).as_rotvec()
    pose[split.valid, 3:] = states.shift
    trust = split.is_valid.astype(np.float64)
    smooth = smooth_parts(pose, trust, stiffness, split.n_train)[split.valid]
    turn = Rotation.from_rotvec(smooth[:, :3]).as_matrix()
    return states._replace(turn=turn, shift=smooth[:, 3:])


def with_states(
    fit: HeadFit, camera: Camera, states: FrameStates, marks: Floats, split: Split
) -> HeadFit:
    """The fit with tracked states of the valid frames; gaze from the irises, gaps bridged.

    Args:
        fit: Head model, shape and camera.
        camera: The same camera, as the bundle adjustment knows it.
        states: States of the valid frames.
        marks: Landmarks of all frames. [T, 478, 3] px
        split: Which frames are valid.
    """
    joints = fit.head_model.joints.double().numpy()
    turns, trust = eye_turns(marks[split.valid], states, camera, joints[0], joints[[4, 3]])

    def everywhere(values: Floats, weights: Floats, stiffness: float) -> Tensor:
        known = np.zeros((len(split.is_valid), values.shape[1]))
        known[split.valid] = values
        trusted = np.zeros(len(split.is_valid))
        trusted[split.valid] = weights
        return torch.from_numpy(smooth_parts(known, trusted, stiffness, split.n_train)).float()

    sure = np.ones(len(split.valid))
    rotation = Rotation.from_matrix(states.turn).as_rotvec()
    jaw = np.pad(states.jaw, ((0, 0), (0, 3 - N_JAW)))
    names = fit.head_model.expression_names
    is_slow = torch.tensor([name.startswith(SLOW_UNITS) for name in names])
    expr = torch.where(
        is_slow,
        everywhere(states.expr, sure, SLOW_STIFFNESS),
        everywhere(states.expr, sure, FILL_STIFFNESS),
    )
    return fit._replace(
        expr=expr,
        rotation=everywhere(rotation, sure, FILL_STIFFNESS),
        jaw_pose=everywhere(jaw, sure, FILL_STIFFNESS),
        eyes_pose=everywhere(turns, np.maximum(trust, 1e-3), EYE_STIFFNESS),
        translation=everywhere(states.shift, sure, FILL_STIFFNESS),
        neck_pose=torch.zeros(len(split.is_valid), 3),
    )


def landmarks_of(fit: HeadFit) -> Floats:
    """Where the fit has MediaPipe's landmarks: pixels, and depth in pixels. [T, 478, 3]"""
    model, _ = landmark_patch(fit.head_model)
    neutral = neutral_vertices(model, fit.shape)
    K = fit.Ks[0]
    found = []
    for start in range(0, len(fit.expr), BLOCK):
        part = slice(start, start + BLOCK)
        pose = HeadPose(*[getattr(fit, name)[part] for name in HeadPose._fields])
        vertices = landmarks_on(model, pose_vertices(model, neutral, pose))
        pixels = project(vertices, fit.viewmat, K)
        depth = (fit.viewmat[2, 3] - vertices[..., 2:]) * K[0, 0] / fit.viewmat[2, 3]
        found.append(torch.cat([pixels, depth], -1))
    marks: Floats = torch.cat(found).double().numpy()
    return marks


def follow_pose(fit: HeadFit, target: Floats, pose: tuple[Floats, Floats], split: Split) -> HeadFit:
    """The fit under other head poses: expression, jaw and gaze solved to keep the landmarks.

    Args:
        fit: The fit.
        target: Landmarks to keep. [T, 478, 3]
        pose: Head rotations [T, 3, 3] and translations [T, 3].
        split: Which frames are valid.
    """
    camera = Camera(
        float(fit.Ks[0, 0, 0]), float(fit.viewmat[2, 3]), round(2 * float(fit.Ks[0, 0, 2]))
    )
    valid = split.valid
    states = FrameStates(
        pose[0][valid],
        pose[1][valid],
        fit.jaw_pose[valid, :N_JAW].double().numpy(),
        fit.expr[valid].double().numpy(),
    )
    states = track_frames(
        face_rig(fit.head_model),
        camera,
        # The target is the fit's own, so all of it is equally trusted.
        landmark_evidence(
            target[valid], inter_ocular(target[: split.n_train]), np.ones(N_FACE_LANDMARKS)
        ),
        states,
        shape=fit.shape.double().numpy(),
        n_rounds=3,
        is_pose_fixed=True,
    )
    return with_states(fit, camera, states, target, split)
