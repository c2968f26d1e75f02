"""Fits a head model to a person and tracks them: landmarks in, head-model parameters out."""

import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.face_bundle import (
    Camera,
    Floats,
    adjust_person,
    initial_states,
    track_frames,
)
from services.preprocess.head_fit import (
    SIGMA_SHARE,
    HeadFit,
    Split,
    face_rig,
    inter_ocular,
    landmark_evidence,
    smoothed_pose,
    with_states,
)
from services.preprocess.person_model import Person, in_metres, person_model
from services.preprocess.rig_refinement import refine_rest, refine_units
from shared.errors import InvalidInput
from shared.geometry.cameras import frontal_viewmat, intrinsics
from shared.head_model import HeadModel, MeanHead
from shared.landmarks import RIGID
from shared.open_head_parts.canonical_face import INTER_OCULAR_M

MAX_PERSON_FRAMES = 96
"""Training frames that shape and focal length are fitted on, evenly chosen."""
MAX_UNIT_FRAMES = 600
"""The same for the expression units; more frames add time, not knowledge."""
SHAPE_STRENGTH = 12.0
"""Landmark errors of neighbouring frames are alike: this many frames count as one."""
N_PERSON_ROUNDS = 6
N_UNIT_ROUNDS = 2
N_TRACK_ROUNDS = 3
TYPICAL_DISTANCE_M = 0.9
LOG_DISTANCE_SPREAD = 0.35
"""How far from the camera people sit, before the capture says more."""
MIN_TRAIN_FRAMES = 8
POSE_STIFFNESS = 1.0
"""Halves a nod of four hertz; MediaPipe's jitter is faster."""
MAX_SIGMA = 5.0
"""No coefficient goes further from the mean person than this."""


def fit_head(
    landmarks: NDArray[np.float32],
    is_valid: NDArray[np.bool_],
    n_train: int,
    image_size: int,
    head: MeanHead,
) -> HeadFit:
    """Fit person, camera and frames to MediaPipe landmarks.

    Person, camera and expression units come from the first ``n_train`` frames alone; frames
    that are not valid are filled in from their neighbours on the same side of the split.

    Args:
        landmarks: MediaPipe landmarks with irises, in crop pixels. [T, 478, 3]
        is_valid: Whether a frame's landmarks may be used. [T]
        n_train: Frames that the person may be learnt from.
        image_size: Side of the square crop, pixels.
        head: The head model of the mean person.

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
    split = Split(is_valid, n_train)
    person = _fit_person(head, marks[train], image_size)
    rig, camera, shape = person.rig, person.camera, person.shape
    trust = head.landmark_trust.double().numpy()
    evidence = landmark_evidence(marks[split.valid], inter_ocular(marks[train]), trust)
    start = initial_states(rig, camera, evidence, np.array(RIGID))
    states = track_frames(rig, camera, evidence, start, shape=shape, n_rounds=N_TRACK_ROUNDS)
    states = track_frames(
        rig,
        camera,
        evidence,
        smoothed_pose(states, split, POSE_STIFFNESS),
        shape=shape,
        n_rounds=2,
        is_pose_fixed=True,
    )
    model, shape = person_model(head, person)
    scale = 1.0
    if head.freedom.is_scaled:
        model, scale = in_metres(model)
    # The mean head goes to the world's origin: the camera steps back by as much as it was off.
    back = float(states.shift[split.valid < n_train, 2].mean())
    states = states._replace(shift=scale * (states.shift - [0, 0, back]))
    camera = camera._replace(distance=scale * (camera.distance - back))
    return with_states(_empty_fit(model, shape, camera, len(marks)), camera, states, marks, split)


def _fit_person(head: MeanHead, marks: Floats, image_size: int) -> Person:
    """Shape, focal length and expression units from training frames."""
    freedom = head.freedom
    rig = face_rig(head.model, freedom.lowest_jaw)
    trust = head.landmark_trust.double().numpy()
    eye_distance = inter_ocular(marks)
    every = max(1, -(-len(marks) // MAX_PERSON_FRAMES))
    evidence = landmark_evidence(marks[::every], eye_distance, trust)
    # An offset is the same in all frames: with one, more frames do not make the shape surer.
    offset_sigmas = freedom.offset_m / (SIGMA_SHARE * INTER_OCULAR_M)
    strength = SHAPE_STRENGTH + len(evidence.landmarks) * offset_sigmas**2
    focal = TYPICAL_DISTANCE_M * eye_distance / INTER_OCULAR_M
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
            shape_strength=strength,
            log_focal_prior=(np.log(focal), LOG_DISTANCE_SPREAD),
        )
    shape = np.clip(shape, -MAX_SIGMA, MAX_SIGMA)
    every = max(1, -(-len(marks) // MAX_UNIT_FRAMES))
    evidence = landmark_evidence(marks[::every], eye_distance, trust)
    states = initial_states(rig, camera, evidence, np.array(RIGID))
    known = {"shape": shape, "rigid": np.array(RIGID)}
    for _ in range(N_UNIT_ROUNDS):
        states = track_frames(rig, camera, evidence, states, shape=shape, n_rounds=N_TRACK_ROUNDS)
        if freedom.offset_m:
            rig = refine_rest(rig, camera, evidence, states, spread_m=freedom.offset_m, **known)
        if freedom.units_m:
            rig = refine_units(rig, camera, evidence, states, spread_m=freedom.units_m, **known)
    return Person(rig, shape, camera)


def _empty_fit(model: HeadModel, shape: Floats, camera: Camera, n_frames: int) -> HeadFit:
    """A fit with model and camera, its frames all at rest."""
    K = intrinsics(camera.focal, camera.image_size)
    still = torch.zeros(n_frames, 3)
    return HeadFit(
        head_model=model,
        shape=torch.from_numpy(shape).float(),
        expr=torch.zeros(n_frames, len(model.expression_names)),
        rotation=still,
        neck_pose=still,
        jaw_pose=still,
        eyes_pose=torch.zeros(n_frames, 6),
        translation=still,
        Ks=K.expand(n_frames, 3, 3).contiguous(),
        viewmat=frontal_viewmat(camera.distance),
    )
