"""Brows and blinks of any head model."""

import torch

from shared.head_model import HeadModel
from shared.upper_face import UPPER_FACE_UNITS, upper_face_signal
from tests.tracked_person import make_subject

SUBJECT = make_subject()
POSE = SUBJECT.training_pose


def nameless(model: HeadModel) -> HeadModel:
    """The same head with expressions that are only numbered, as FLAME's are."""
    names = tuple(f"expr_{k}" for k in range(len(model.expression_names)))
    return model._replace(expression_names=names)


def test_named_units_are_taken_as_they_are() -> None:
    """Column by column."""
    signal = upper_face_signal(SUBJECT.head_model, SUBJECT.shape, POSE)

    names = SUBJECT.head_model.expression_names
    assert (len(POSE.expr), 7) == tuple(signal.shape)
    for column, unit in enumerate(UPPER_FACE_UNITS):
        assert torch.equal(POSE.expr[:, names.index(unit)], signal[:, column])


def test_a_head_model_without_names_is_measured() -> None:
    """A closed eye is nearly 1, an open one 0, whatever the head's pose."""
    names = SUBJECT.head_model.expression_names
    expr = torch.zeros(2, len(names))
    expr[1, [names.index(unit) for unit in UPPER_FACE_UNITS[5:]]] = 1.0
    still = torch.zeros(2, 3)
    pose = POSE._replace(
        expr=expr,
        rotation=torch.tensor([[0.0, 0.3, 0.0], [0.1, 0.0, 0.2]]),
        neck_pose=still,
        jaw_pose=still,
        eyes_pose=torch.zeros(2, 6),
        translation=POSE.translation[:2],
    )

    signal = upper_face_signal(nameless(SUBJECT.head_model), SUBJECT.shape, pose)

    torch.testing.assert_close(signal[0], torch.zeros(7), atol=1e-4, rtol=0)
    assert bool((signal[1, 5:] > 0.5).all())


def test_measured_brows_rise() -> None:
    """Raised brows give the raising units, lowered ones the lowering."""
    names = SUBJECT.head_model.expression_names
    expr = torch.zeros(2, len(names))
    expr[0, [names.index(unit) for unit in ("browInnerUp", "browOuterUp_L", "browOuterUp_R")]] = 1.0
    expr[1, [names.index(unit) for unit in ("browDown_L", "browDown_R")]] = 1.0
    pose = POSE._replace(**{name: torch.zeros(2, 3) for name in ("rotation", "translation")})
    pose = pose._replace(
        expr=expr,
        neck_pose=torch.zeros(2, 3),
        jaw_pose=torch.zeros(2, 3),
        eyes_pose=torch.zeros(2, 6),
    )

    signal = upper_face_signal(nameless(SUBJECT.head_model), SUBJECT.shape, pose)

    assert bool((signal[0, 2:5] > 0.05).all())
    assert bool((signal[1, :2] > 0.05).all())
    assert bool((signal[1, 2:5] <= 0).all())
