"""Fitting heads that are read from files: their own basis, an offset, a jaw with correctives."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.preprocess.face_bundle import (
    Camera,
    FrameStates,
    initial_states,
    predict,
    track_frames,
)
from services.preprocess.face_bundle import _linearise as linearise
from services.preprocess.fit_head import fit_head
from services.preprocess.head_fit import (
    HeadFit,
    face_rig,
    inter_ocular,
    landmark_evidence,
    landmarks_of,
)
from shared.geometry.cameras import frontal_viewmat, intrinsics
from shared.head_model import HeadModel, MeanHead, joints_of, landmarks_on, neutral_vertices
from shared.head_models import flame, ict_face
from shared.landmarks import RIGID
from tests.head_files import write_flame, write_ict

N_FRAMES, N_TRAIN, SIZE = 24, 18, 256
FOCAL_PX, DISTANCE_M = 700.0, 1.0
NOISE_PX = 0.3
ALL_VALID = np.ones(N_FRAMES, dtype=np.bool_)
WRITERS: dict[str, Callable[[Path], object]] = {"flame": write_flame, "ict_face": write_ict}
SOURCES = {"flame": flame, "ict_face": ict_face}


class Filmed(NamedTuple):
    """A made-up person: the truth, and what the tracker saw."""

    head: MeanHead
    truth: HeadFit
    marks: NDArray[np.float32]
    found: HeadFit


@pytest.fixture(scope="module", params=list(WRITERS))
def filmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    """Somebody two millimetres beside the basis, who nods and speaks."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    WRITERS[name](folder)
    head = SOURCES[name].mean_head(folder)
    truth = _speaker(head)
    marks = landmarks_of(truth)
    marks[..., 2] -= marks[..., 2].mean(1, keepdims=True)
    marks += np.random.default_rng(3).normal(0, NOISE_PX, marks.shape)
    seen = marks.astype(np.float32)
    return Filmed(head, truth, seen, fit_head(seen, ALL_VALID, N_TRAIN, SIZE, head))


def _speaker(head: MeanHead) -> HeadFit:
    random = torch.Generator().manual_seed(8)
    model = head.model
    shape = 0.4 * torch.randn(len(model.shape_basis), generator=random)
    model = model._replace(joints=joints_of(head, shape))
    bump = head.follow @ (0.002 * torch.sin(torch.arange(468 * 3).view(468, 3) / 200.0))
    model = model._replace(template=model.template + bump)
    beat = torch.arange(N_FRAMES) / N_FRAMES * 6.28
    turns = torch.stack([0.1 * torch.sin(beat), 0.15 * torch.cos(beat), 0 * beat], dim=1)
    opening = torch.zeros(N_FRAMES, 3)
    opening[:, 0] = 0.08 + 0.08 * torch.sin(5 * beat)
    expr = torch.zeros(N_FRAMES, len(model.expression_names))
    expr[:, _strongest(model)] = 0.4 + 0.3 * torch.sin(3 * beat)
    zero = torch.zeros(N_FRAMES, 3)
    return HeadFit(
        head_model=model,
        shape=shape,
        expr=expr,
        rotation=turns,
        neck_pose=zero,
        jaw_pose=opening,
        eyes_pose=torch.zeros(N_FRAMES, 6),
        translation=0.1 * turns,
        Ks=intrinsics(FOCAL_PX, SIZE).expand(N_FRAMES, 3, 3).contiguous(),
        viewmat=frontal_viewmat(DISTANCE_M),
    )


def _strongest(model: HeadModel) -> int:
    """The unit that moves the landmarks most."""
    return int(landmarks_on(model, model.expr_basis).square().sum((1, 2)).argmax())


def test_landmarks_are_explained(filmed: Filmed) -> None:
    """On both sides of the split; what is left is the person's depth, seen in 18 frames."""
    face = slice(0, 468)
    apart = np.linalg.norm(
        (landmarks_of(filmed.found) - filmed.marks)[:, face, :2].astype(np.float64), axis=2
    )

    assert np.median(apart[:N_TRAIN]) < 4 * NOISE_PX
    assert np.median(apart[N_TRAIN:]) < 4 * NOISE_PX


def test_a_known_person_is_tracked_to_the_noise(filmed: Filmed) -> None:
    """With shape and camera given, pose, jaw and expression leave nothing else."""
    shape = filmed.truth.shape.double().numpy()
    rig = face_rig(filmed.truth.head_model)
    camera = Camera(FOCAL_PX, DISTANCE_M, SIZE)
    marks = filmed.marks.astype(np.float64)
    evidence = landmark_evidence(marks, inter_ocular(marks), np.ones(468))
    known = rig._replace(rest=rig.rest + np.tensordot(shape, rig.shape_basis, axes=1))

    start = initial_states(known, camera, evidence, np.array(RIGID))
    states = track_frames(rig, camera, evidence, start, shape=shape, n_rounds=3)

    apart = predict(rig, camera, shape, states)[..., :2] - marks[:, :468, :2]
    assert np.median(np.linalg.norm(apart, axis=2)) < 1.25 * NOISE_PX


def test_jaw_and_head_follow_the_truth(filmed: Filmed) -> None:
    """The opening and both turns of the head correlate with what was filmed."""
    for name, axis in (("jaw_pose", 0), ("rotation", 0), ("rotation", 1)):
        found, true = (getattr(fit, name)[:, axis].numpy() for fit in (filmed.found, filmed.truth))
        assert np.corrcoef(found, true)[0, 1] > 0.9, name


def test_coefficients_are_those_of_people(filmed: Filmed) -> None:
    """Shape and expression within five sigma, the jaw not above its rest."""
    fit = filmed.found

    assert float(fit.shape.abs().max()) <= 5
    assert float(fit.expr.abs().max()) <= 5
    assert float(fit.jaw_pose[:, 0].min()) >= filmed.head.freedom.lowest_jaw - 1e-6


def test_the_offset_is_one_more_shape_mode(filmed: Filmed) -> None:
    """The published basis stays as it is before it, and FLAME's units and size too."""
    mean, person = filmed.head.model, filmed.found.head_model
    n_modes = len(mean.shape_basis)

    assert n_modes + 1 == len(filmed.found.shape)
    assert 1 == float(filmed.found.shape[-1])
    if filmed.head.freedom.units_m == 0:
        assert torch.equal(mean.expr_basis, person.expr_basis)
        assert torch.equal(mean.template, person.template)
        assert torch.equal(mean.shape_basis, person.shape_basis[:n_modes])


def test_eyes_lie_where_the_landmarks_have_them(filmed: Filmed) -> None:
    """Joints go with the offset: each is within two millimetres of its iris's axis."""
    model: HeadModel = filmed.found.head_model
    marks = landmarks_on(model, neutral_vertices(model, filmed.found.shape))

    for joint, iris in ((3, 473), (4, 468)):
        assert float((model.joints[joint] - marks[iris])[:2].norm()) < 2e-3


def test_the_bundles_derivatives_are_those_of_its_prediction(filmed: Filmed) -> None:
    """Of the jaw, whose correctives bulge the skin as it turns, and of an expression."""
    rig = face_rig(filmed.head.model)
    n_units = len(rig.expr_basis)
    jaw = np.array([[0.1, 0.0]])
    states = FrameStates(np.eye(3)[None], np.zeros((1, 3)), jaw, np.zeros((1, n_units)))
    camera = Camera(FOCAL_PX, DISTANCE_M, SIZE)
    evidence = landmark_evidence(filmed.marks[:1].astype(np.float64), 60.0, np.ones(468))
    derivative = linearise(rig, camera, evidence, rig.rest, states).by_frame[0].reshape(468, 3, -1)

    step, unit = 1e-5, _strongest(filmed.head.model)
    no_shape = np.zeros(len(rig.shape_basis))
    before = predict(rig, camera, no_shape, states)
    for column, moved in (
        (6, states._replace(jaw=states.jaw + np.array([step, 0]))),
        (8 + unit, states._replace(expr=states.expr + step * (np.arange(n_units) == unit))),
    ):
        numeric = ((predict(rig, camera, no_shape, moved) - before) / step)[0, :, :2]
        expected = numeric / evidence.sigma[:, :2]
        assert 0 == pytest.approx(
            np.abs(expected - derivative[:, :2, column]).max() / np.abs(expected).max(), abs=1e-3
        )
