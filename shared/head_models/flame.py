"""FLAME 2020 and 2023, read from the licensed files of a user.

Source: Li et al. 2017, "Learning a model of facial shape and expression from 4D scans", with
GaussianAvatars' teeth (Qian et al. 2024). The first 5143 vertices and 10144 faces are in that
layout, coordinates are FLAME's own, and expressions stay as published, so that parameters can be
exchanged. Departures: shoulders and chest of the open head follow after them, since FLAME ends at
the neck; the scalp is the hair's surface and is brought to its outline when a person is fitted.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import Freedom, HeadModel, MeanHead
from shared.scanned_heads.flame_file import (
    N_EXPRESSION,
    N_SHAPE,
    FlameArrays,
    FlameLandmarks,
    read_flame,
    read_landmarks,
    read_masks,
)
from shared.scanned_heads.flame_teeth import Teeth, make_teeth
from shared.scanned_heads.iris import iris_points
from shared.scanned_heads.landmark_transfer import (
    Embedding,
    Skin,
    nearest_corners,
    nearest_points,
    transfer_landmarks,
)
from shared.scanned_heads.spreading import follow_landmarks
from shared.scanned_heads.surface_regions import label_skin
from shared.scanned_heads.torso import with_torso

NEEDS_FILE = "flame2023.pkl"
"""Or ``generic_model.pkl`` of 2020; with FLAME_masks.pkl and a landmark embedding."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Masks = dict[str, Ints]

FREEDOM = Freedom(units_m=0.0, offset_m=0.002, lowest_jaw=-0.02, is_scaled=False)
"""Expressions stay FLAME's; the offset is what FLAME's users call the static one."""
MASK_REGIONS = {
    "scalp": "hair", "neck": "neck", "boundary": "neck", "right_ear": "ears", "left_ear": "ears",
    "nose": "nose", "lips": "lips", "right_eyeball": "eyes", "left_eyeball": "eyes",
}  # fmt: skip
"""Region of each mask; the face's own parts, brows too, are told by the landmarks."""
FACE_PARTS = ("face", "lips", "brows", "nose")
EYES = {"left_eyeball": 3, "right_eyeball": 4}


def build(models_dir: Path | None = None) -> HeadModel:
    """The mean head, before it is fitted to a subject."""
    return mean_head(models_dir).model


def mean_head(models_dir: Path | None = None) -> MeanHead:
    """The mean head, with what fitting needs."""
    flame = read_flame(models_dir)
    masks = read_masks(models_dir)
    balls = {name: np.isin(flame.faces, masks[name]).all(1) for name in EYES}
    skin_faces = np.flatnonzero(~(balls["left_eyeball"] | balls["right_eyeball"]))
    face = _face_embedding(flame, skin_faces, read_landmarks(models_dir))
    marks = np.einsum("lk,lkc->lc", face.weights, flame.template[flame.faces[face.faces]])
    joints = flame.joint_regressor @ flame.template
    irises = [_iris(flame, np.flatnonzero(balls[name]), joints[EYES[name]]) for name in EYES][::-1]
    landmarks = Embedding(
        np.concatenate([face.faces, *[iris.faces for iris in irises]]),
        np.concatenate([face.weights, *[iris.weights for iris in irises]]),
        face.trust,
    )
    labels = _regions(flame, masks, skin_faces, marks)
    model = with_torso(_assembled(flame, make_teeth(flame), labels, landmarks))
    basis = np.einsum("jv,vck->kjc", flame.joint_regressor, flame.directions[:, :, :N_SHAPE])
    return MeanHead(
        model,
        joint_basis=_float(basis),
        landmark_trust=_float(face.trust),
        follow=_follow(flame, skin_faces, face, len(model.template)),
        freedom=FREEDOM,
    )


def _face_embedding(flame: FlameArrays, skin_faces: Ints, known: FlameLandmarks) -> Embedding:
    """All 468 landmarks: those of the user's file as they are, the others transferred."""
    skin = Skin(flame.template, flame.faces[skin_faces], skin_faces, flame.weights[:, 2])
    found = transfer_landmarks(skin, known.anchors(flame))
    is_sure = known.trust == 1
    at = known.landmarks[is_sure]
    found.faces[at], found.weights[at] = known.faces[is_sure], known.weights[is_sure]
    return found


def _iris(flame: FlameArrays, ball: Ints, centre: Floats) -> Embedding:
    """An eyeball's iris landmarks."""
    vertices = flame.template[np.unique(flame.faces[ball])]
    radius = float(np.linalg.norm(vertices - centre, axis=1).mean())
    surface = Skin(flame.template, flame.faces[ball], ball, flame.weights[:, 2])
    return nearest_points(surface, iris_points(centre, radius))


def _regions(flame: FlameArrays, masks: Masks, skin_faces: Ints, marks: Floats) -> Ints:
    """Label of each of FLAME's own faces: a mask's if it holds all three corners. [9976]"""
    labels = np.full(len(flame.faces), REGIONS.index("eyes"))
    middles = flame.template[flame.faces[skin_faces]].mean(1)
    labels[skin_faces] = label_skin(middles, marks)
    is_facial = np.isin(labels, [REGIONS.index(name) for name in FACE_PARTS])
    is_face = np.isin(flame.faces, masks["face"]).all(1)
    labels[is_face & ~is_facial] = REGIONS.index("face")
    for name, region in MASK_REGIONS.items():
        labels[np.isin(flame.faces, masks[name]).all(1)] = REGIONS.index(region)
    return labels


def _follow(flame: FlameArrays, skin_faces: Ints, face: Embedding, n_vertices: int) -> torch.Tensor:
    """How the skin follows the landmarks. [V, 468]"""
    place = np.full(len(flame.faces), -1)
    place[skin_faces] = np.arange(len(skin_faces))
    on_skin = face._replace(faces=place[face.faces])
    follow = follow_landmarks(flame.template, flame.faces[skin_faces], on_skin)
    return torch.from_numpy(np.pad(follow, ((0, n_vertices - len(follow)), (0, 0))))


def _assembled(flame: FlameArrays, teeth: Teeth, labels: Ints, landmarks: Embedding) -> HeadModel:
    """FLAME with teeth: 5143 vertices, 10144 faces."""
    n_teeth = len(teeth.vertices)
    directions = np.moveaxis(np.concatenate([flame.directions, teeth.directions]), -1, 0)
    pose_basis = np.pad(flame.pose_directions, ((0, 0), (0, n_teeth), (0, 0)))
    teeth_labels = np.full(len(teeth.faces), REGIONS.index("teeth"))
    corners = flame.faces[landmarks.faces]
    return HeadModel(
        template=_float(np.concatenate([flame.template, teeth.vertices])),
        shape_basis=_float(directions[:N_SHAPE]),
        expr_basis=_float(directions[N_SHAPE:]),
        expression_names=tuple(f"{flame.edition}_{unit:03d}" for unit in range(N_EXPRESSION)),
        joints=_float(flame.joint_regressor @ flame.template),
        weights=_float(np.concatenate([flame.weights, teeth.weights])),
        faces=torch.from_numpy(np.concatenate([flame.faces, teeth.faces])),
        face_regions=torch.from_numpy(np.concatenate([labels, teeth_labels]).astype(np.uint8)),
        landmark_vertices=torch.from_numpy(nearest_corners(corners, landmarks)),
        pose_basis=_float(pose_basis),
        landmark_faces=torch.from_numpy(landmarks.faces),
        landmark_weights=_float(landmarks.weights),
    )


def _float(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
