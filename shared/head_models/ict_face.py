"""ICT FaceKit Light in FLAME's layout: a scanned head with teeth, gums, tongue and eyes.

Source: Li et al. 2020, "Learning Formation of Physically-Based Face Attributes"; the light model
of ICT-VGL/ICT-FaceKit (MIT), 100 identities and 57 expression units in ARKit's vocabulary.
Departures: opening the mouth is the jaw joint's work (``scanned_heads.ict_rig``), so ``jawOpen``
is no unit; eyes turn by their joints; tear film, lashes and other overlays have no faces; shoulders
and chest are the open head's.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import Freedom, HeadModel, MeanHead
from shared.scanned_heads.ict_facekit import (
    FILE,
    LANDMARKS_68,
    PARTS,
    IctArrays,
    part_of_faces,
    read_ict,
)
from shared.scanned_heads.ict_rig import JAW_UNIT, IctRig, make_rig
from shared.scanned_heads.iris import iris_points
from shared.scanned_heads.landmark_transfer import (
    IBUG_68,
    JAWLINE_TRUST,
    N_JAWLINE,
    Anchors,
    Embedding,
    Skin,
    nearest_corners,
    nearest_points,
    transfer_landmarks,
)
from shared.scanned_heads.spreading import follow_landmarks
from shared.scanned_heads.surface_regions import label_skin, neck_depths
from shared.scanned_heads.torso import with_torso

NEEDS_FILE = FILE
"""Made by ``talksplat models import ict-facekit``."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SKIN = ("face", "head_and_neck")
CARRIED = (*SKIN, "mouth_socket", "eye_sockets")
FREEDOM = Freedom(units_m=0.0006, offset_m=0.002, lowest_jaw=-0.02, is_scaled=True)
"""One person's neutral lies about 2 mm beside a hundred identities, and MediaPipe's landmarks
about as much beside their places on the mesh."""
INSIDE = {"mouth_socket": "mouth_inside", "gums_and_tongue": "mouth_inside", "teeth": "teeth",
          "left_eyeball": "eyes", "right_eyeball": "eyes"}  # fmt: skip
"""Region of each part that is not skin; sockets and overlays of the eyes are left out."""
EYES = {"left_eyeball": 3, "right_eyeball": 4}


def build(models_dir: Path | None = None) -> HeadModel:
    """The mean head, before it is fitted to a subject."""
    return mean_head(models_dir).model


def mean_head(models_dir: Path | None = None) -> MeanHead:
    """The mean head, with what fitting needs."""
    ict = _between_eyes(read_ict(models_dir))
    reach = np.linalg.norm(ict.expressions[ict.names.index(JAW_UNIT)], axis=1)
    skin = _skin_of(ict, list(SKIN), reach)
    anchors = Anchors(
        np.array(IBUG_68),
        ict.template[list(LANDMARKS_68)],
        np.where(np.arange(len(IBUG_68)) < N_JAWLINE, JAWLINE_TRUST, 1.0),
    )
    face = transfer_landmarks(skin, anchors)
    marks = np.einsum("lk,lkc->lc", face.weights, ict.template[ict.faces[face.faces]])
    is_skin = np.zeros(len(ict.template))
    for name in SKIN:
        is_skin[slice(*PARTS[name])] = 1
    rig = make_rig(ict, np.zeros(3), is_skin * neck_depths(ict.template, marks))
    irises = [_iris_embedding(ict, name, rig.joints[EYES[name]]) for name in reversed(EYES)]
    faces = np.concatenate([face.faces, *[iris.faces for iris in irises]])
    weights = np.concatenate([face.weights, *[iris.weights for iris in irises]])
    model = with_torso(
        _assembled(ict, rig, _regions(ict, marks), Embedding(faces, weights, face.trust))
    )
    return MeanHead(
        model,
        joint_basis=torch.from_numpy(rig.joint_basis),
        landmark_trust=_float(face.trust),
        follow=_follow(ict, face, len(model.template)),
        freedom=FREEDOM,
    )


def _follow(ict: IctArrays, face: Embedding, n_vertices: int) -> torch.Tensor:
    """How skin and inside of the mouth follow the landmarks. [V, 468]"""
    numbers = np.flatnonzero(np.isin(part_of_faces(ict.faces), CARRIED))
    place = np.full(len(ict.faces), -1)
    place[numbers] = np.arange(len(numbers))
    on_skin = face._replace(faces=place[face.faces])
    follow = follow_landmarks(ict.template, ict.faces[numbers], on_skin)
    return torch.from_numpy(np.pad(follow, ((0, n_vertices - len(follow)), (0, 0))))


def _between_eyes(ict: IctArrays) -> IctArrays:
    """The model with its origin between the irises."""
    balls = [ict.template[slice(*PARTS[name])] for name in EYES]
    middle = np.mean([ball.mean(0) for ball in balls], axis=0)
    middle[0], middle[2] = 0.0, np.mean([ball[:, 2].max() for ball in balls])
    return ict._replace(template=ict.template - middle)


def _skin_of(ict: IctArrays, parts: list[str], jaw: Floats) -> Skin:
    """The faces of some parts, as a surface that points drop onto."""
    numbers = np.flatnonzero(np.isin(part_of_faces(ict.faces), parts))
    return Skin(ict.template, ict.faces[numbers], numbers, jaw)


def _iris_embedding(ict: IctArrays, part: str, centre: Floats) -> Embedding:
    """An eyeball's iris landmarks."""
    radius = float(np.linalg.norm(ict.template[slice(*PARTS[part])] - centre, axis=1).mean())
    ball = _skin_of(ict, [part], np.zeros(len(ict.template)))
    return nearest_points(ball, iris_points(centre, radius))


def _regions(ict: IctArrays, marks: Floats) -> Ints:
    """Label of each triangle, -1 for those that are left out. [F]"""
    parts = part_of_faces(ict.faces)
    labels = np.full(len(ict.faces), -1)
    for part, region in INSIDE.items():
        labels[parts == part] = REGIONS.index(region)
    is_skin = np.isin(parts, SKIN)
    labels[is_skin] = label_skin(ict.template[ict.faces[is_skin]].mean(1), marks)
    return labels


def _assembled(ict: IctArrays, rig: IctRig, labels: Ints, embedding: Embedding) -> HeadModel:
    """The model without the triangles labelled -1."""
    is_kept = labels >= 0
    number = np.cumsum(is_kept) - 1
    kept = [index for index, name in enumerate(ict.names) if name != JAW_UNIT]
    units = ict.expressions[kept]
    for part in EYES:
        units[:, slice(*PARTS[part])] = 0  # gaze is the joints' work
    corners = ict.faces[embedding.faces]
    return HeadModel(
        template=_float(ict.template),
        shape_basis=torch.from_numpy(ict.identities),
        expr_basis=torch.from_numpy(units),
        expression_names=tuple(ict.names[index] for index in kept),
        joints=_float(rig.joints),
        weights=_float(rig.weights),
        faces=torch.from_numpy(ict.faces[is_kept]),
        face_regions=torch.from_numpy(labels[is_kept].astype(np.uint8)),
        landmark_vertices=torch.from_numpy(nearest_corners(corners, embedding)),
        pose_basis=torch.from_numpy(rig.pose_basis),
        landmark_faces=torch.from_numpy(number[embedding.faces]),
        landmark_weights=_float(embedding.weights),
    )


def _float(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
