"""Fits the open head to a person and tracks them: landmarks in, head-model parameters out."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.preprocess.face_bundle import (
    Camera,
    Evidence,
    FaceRig,
    Floats,
    FrameStates,
    adjust_person,
    initial_states,
    track_frames,
)
from services.preprocess.gaze import eye_turns
from services.preprocess.pose_smoothing import smooth_parts
from services.preprocess.rig_refinement import refine_units
from shared.errors import InvalidInput
from shared.geometry.cameras import frontal_viewmat, intrinsics
from shared.head_model import HeadModel
from shared.head_models import open_head
from shared.open_head_parts.canonical_face import INTER_OCULAR_M, N_FACE_VERTICES
from shared.open_head_parts.lip_rings import FACE_OUTLINE, LIPS

SIGMA_SHARE = 0.012
"""Landmark error as a share of the inter-ocular distance: MediaPipe's jitter, and its bias."""
OUTLINE_FACTOR = 3.0
"""The outline's landmarks slide along the skin as the head turns."""
LIP_FACTOR = 0.5
DEPTH_FACTOR = 12.0
"""MediaPipe's depth is a guess from one picture."""
RIGID = (10, 67, 109, 151, 338, 297, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 98, 327,
         127, 356, 54, 284, 123, 352)  # fmt: skip
"""Forehead, nose, eye corners, temples: what expression moves least."""
MAX_PERSON_FRAMES = 96
"""Training frames that shape and focal length are fitted on, evenly chosen."""
SHAPE_STRENGTH = 12.0
UNIT_STRENGTH = 12.0
"""Landmark errors of neighbouring frames are alike: this many frames count as one."""
N_PERSON_ROUNDS = 7
N_TRACK_ROUNDS = 5
TYPICAL_DISTANCE_M = 0.9
LOG_DISTANCE_SPREAD = 0.35
"""How far from the camera people sit, before the capture says more."""
MIN_TRAIN_FRAMES = 8
EYE_STIFFNESS = 0.05
POSE_STIFFNESS = 1.0
"""Halves a nod of four hertz; MediaPipe's jitter is faster."""


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


class _Person(NamedTuple):
    """What the training frames fix for all frames."""

    rig: FaceRig
    shape: Floats
    camera: Camera


def fit_head(
    landmarks: NDArray[np.float32],
    is_valid: NDArray[np.bool_],
    n_train: int,
    image_size: int,
) -> HeadFit:
    """Fit person, camera and frames to MediaPipe landmarks.

    Person, camera and expression units come from the first ``n_train`` frames alone; frames
    that are not valid are filled in from their neighbours on the same side of the split.

    Args:
        landmarks: MediaPipe landmarks with irises, in crop pixels. [T, 478, 3]
        is_valid: Whether a frame's landmarks may be used. [T]
        n_train: Frames that the person may be learnt from.
        image_size: Side of the square crop, pixels.

    Raises:
        InvalidInput: ``too_few_frames`` when hardly any training frame is valid.
    """
    train = np.flatnonzero(is_valid[:n_train])
    if len(train) < MIN_TRAIN_FRAMES:
        raise InvalidInput(
            "too_few_frames",
            f"{len(train)} usable training frames, at least {MIN_TRAIN_FRAMES} are needed to fit "
            "a head; hold out less or use a longer capture",
        )
    marks = landmarks.astype(np.float64)
    model = open_head.build()
    person = _fit_person(model, marks[train], image_size)
    valid = np.flatnonzero(is_valid)
    evidence = _evidence(marks[valid], _inter_ocular(marks[train]))
    start = initial_states(person.rig, person.camera, evidence, np.array(RIGID))
    states = track_frames(
        person.rig,
        person.camera,
        evidence,
        start,
        shape=person.shape,
        n_rounds=N_TRACK_ROUNDS,
    )
    states = smoothed_pose(states, valid, is_valid, n_train)
    states = track_frames(
        person.rig,
        person.camera,
        evidence,
        states,
        shape=person.shape,
        n_rounds=2,
        is_pose_fixed=True,
    )
    model = _person_model(model, person)
    return _assemble(model, person, states, marks, is_valid, n_train)


def smoothed_pose(
    states: FrameStates, valid: NDArray[np.int64], is_valid: NDArray[np.bool_], n_train: int
) -> FrameStates:
    """Head pose without MediaPipe's jitter, each side of the split for itself."""
    from scipy.spatial.transform import Rotation

    pose = np.zeros((len(is_valid), 6))
    pose[valid, :3] = Rotation.from_matrix(states.turn).as_rotvec()
    pose[valid, 3:] = states.shift
    smooth = smooth_parts(pose, is_valid.astype(np.float64), POSE_STIFFNESS, n_train)[valid]
    turn = Rotation.from_rotvec(smooth[:, :3]).as_matrix()
    return states._replace(turn=turn, shift=smooth[:, 3:])


def _fit_person(model: HeadModel, marks: Floats, image_size: int) -> _Person:
    """Shape, focal length and expression units from training frames."""
    rig = face_rig(model)
    iod = _inter_ocular(marks)
    every = max(1, -(-len(marks) // MAX_PERSON_FRAMES))
    evidence = _evidence(marks[::every], iod)
    focal = TYPICAL_DISTANCE_M * iod / INTER_OCULAR_M
    camera = Camera(focal, TYPICAL_DISTANCE_M, image_size)
    shape = np.zeros(len(rig.shape_basis))
    states = initial_states(rig, camera, evidence, np.array(RIGID))
    for _ in range(N_PERSON_ROUNDS):
        camera, shape, states = adjust_person(
            rig,
            camera,
            evidence,
            states,
            shape=shape,
            shape_strength=SHAPE_STRENGTH,
            log_focal_prior=(np.log(focal), LOG_DISTANCE_SPREAD),
        )
    for _ in range(2):
        everyone = _evidence(marks, iod)
        start = initial_states(rig, camera, everyone, np.array(RIGID))
        tracked = track_frames(rig, camera, everyone, start, shape=shape, n_rounds=N_TRACK_ROUNDS)
        rig = refine_units(
            rig,
            camera,
            everyone,
            tracked,
            shape=shape,
            strength=UNIT_STRENGTH,
            rigid=np.array(RIGID),
        )
    return _Person(rig, np.clip(shape, -5, 5), camera)


def face_rig(model: HeadModel) -> FaceRig:
    """The face part of a head model, in float64."""

    def face(values: Tensor) -> Floats:
        return values[..., :N_FACE_VERTICES, :].double().numpy()

    joints = model.joints.double().numpy()
    return FaceRig(
        face(model.template),
        face(model.shape_basis),
        face(model.expr_basis),
        model.weights[:N_FACE_VERTICES, 2].double().numpy(),
        joints[0],
        joints[2],
    )


def _inter_ocular(marks: Floats) -> float:
    """Median distance of the irises' centres, px."""
    return float(np.median(np.linalg.norm(marks[:, 468, :2] - marks[:, 473, :2], axis=1)))


def _evidence(marks: Floats, iod: float) -> Evidence:
    factor = np.ones(N_FACE_VERTICES)
    factor[list(FACE_OUTLINE)] = OUTLINE_FACTOR
    factor[list(LIPS)] = LIP_FACTOR
    # Depth has one spread for all landmarks, since it is compared after centring.
    sigma = np.stack([factor, factor, np.full_like(factor, DEPTH_FACTOR)], axis=1)
    return Evidence(marks[:, :N_FACE_VERTICES], SIGMA_SHARE * iod * sigma)


def _person_model(model: HeadModel, person: _Person) -> HeadModel:
    """The head model with the person's units carried to all vertices, and their joints."""
    change = torch.from_numpy(person.rig.expr_basis).float() - model.expr_basis[:, :N_FACE_VERTICES]
    expr_basis = model.expr_basis + open_head.carry_expression(change)
    joints = open_head.joints_of(model, torch.from_numpy(person.shape).float())
    return model._replace(expr_basis=expr_basis, joints=joints)


def _to_metres(model: HeadModel) -> tuple[HeadModel, float]:
    """The model scaled to adult eyes' distance, which one camera cannot measure; the factor."""
    eyes = (model.joints[3] - model.joints[4]).norm()
    scale = float(INTER_OCULAR_M / eyes)
    scaled = {
        name: getattr(model, name) * scale
        for name in ("template", "shape_basis", "expr_basis", "joints")
    }
    return model._replace(**scaled), scale


def _assemble(
    model: HeadModel,
    person: _Person,
    states: FrameStates,
    marks: Floats,
    is_valid: NDArray[np.bool_],
    n_train: int,
) -> HeadFit:
    """Parameters of all frames, the mean head moved to the world's origin."""
    from scipy.spatial.transform import Rotation

    valid = np.flatnonzero(is_valid)
    centres = model.joints[[4, 3]].double().numpy()
    turns, trust = eye_turns(marks[valid], states, person.camera, person.rig.root, centres)
    n_frames = len(is_valid)

    def spread(values: Floats, weights: Floats, stiffness: float) -> Tensor:
        everywhere = np.zeros((n_frames, values.shape[1]))
        everywhere[valid] = values
        trusted = np.zeros(n_frames)
        trusted[valid] = weights
        return torch.from_numpy(smooth_parts(everywhere, trusted, stiffness, n_train)).float()

    sure = np.ones(len(valid))
    model, scale = _to_metres(model)
    back = float(states.shift[valid < n_train, 2].mean())
    shift = scale * (states.shift - [0, 0, back])
    rotation = Rotation.from_matrix(states.turn).as_rotvec()
    jaw = np.pad(states.jaw, ((0, 0), (0, 1)))
    K = intrinsics(person.camera.focal, person.camera.image_size)  # noqa: N806 - glossary
    return HeadFit(
        model,
        torch.from_numpy(person.shape).float(),
        spread(states.expr, sure, FILL_STIFFNESS),
        spread(rotation, sure, FILL_STIFFNESS),
        torch.zeros(n_frames, 3),
        spread(jaw, sure, FILL_STIFFNESS),
        spread(turns, np.maximum(trust, 1e-3), EYE_STIFFNESS),
        spread(shift, sure, FILL_STIFFNESS),
        K.expand(n_frames, 3, 3).contiguous(),
        frontal_viewmat(scale * (person.camera.distance - back)),
    )


FILL_STIFFNESS = 1e-6
"""Leaves measured frames as they are and only bridges those without measurement."""
