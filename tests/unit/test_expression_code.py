"""The short code of the expression that corrections are linear in."""

import torch

from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.rigging.expression_code import (
    LIMIT,
    N_TURN_CODES,
    TURN_LIMIT,
    expression_codes,
    fit_code_basis,
    inputs_of,
)
from tests.tracked_person import make_subject

N_EXPRESSION = 4
"""The made-up person moves in so many ways."""


def still(pose: HeadPose) -> HeadPose:
    """The same expressions on a head that does not move."""
    return pose._replace(
        rotation=torch.zeros_like(pose.rotation), translation=torch.zeros_like(pose.translation)
    )


def test_codes_tell_how_the_face_moves() -> None:
    """The face's motion is a linear function of them, but for 2 % of its variance."""
    subject = make_subject(60)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    basis = fit_code_basis(subject.head_model, neutral, subject.training_pose, N_EXPRESSION)

    codes = inputs_of(subject.training_pose) @ basis.weights + basis.offset

    moves = pose_vertices(subject.head_model, neutral, still(subject.training_pose))[:, :468]
    moves = (moves - moves.mean(0)).flatten(1)
    inputs = codes[:, :N_EXPRESSION]
    left = moves - inputs @ torch.linalg.lstsq(inputs, moves).solution
    assert left.square().sum() < 0.02 * moves.square().sum()


def test_codes_are_of_mean_zero_and_variance_one() -> None:
    """So that one learning rate suits them all."""
    subject = make_subject(60)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    basis = fit_code_basis(subject.head_model, neutral, subject.training_pose, N_EXPRESSION)

    raw = inputs_of(subject.training_pose) @ basis.weights + basis.offset

    n_codes = N_EXPRESSION + N_TURN_CODES
    torch.testing.assert_close(raw.mean(0), torch.zeros(n_codes), atol=1e-3, rtol=0)
    torch.testing.assert_close(raw.std(0), torch.ones(n_codes), atol=1e-3, rtol=0)


def test_turning_the_head_leaves_expression_codes_alone() -> None:
    """Rotation has codes of its own, translation none."""
    subject = make_subject(60)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    basis = fit_code_basis(subject.head_model, neutral, subject.training_pose, N_EXPRESSION)
    pose = subject.training_pose

    codes = expression_codes(basis, pose)
    turned = expression_codes(
        basis, pose._replace(rotation=pose.rotation + 0.1, translation=pose.translation + 0.1)
    )

    torch.testing.assert_close(turned[:, :N_EXPRESSION], codes[:, :N_EXPRESSION])
    assert bool((turned[:, N_EXPRESSION:] > codes[:, N_EXPRESSION:]).all())


def test_codes_saturate() -> None:
    """Beyond what was seen, corrections must not grow."""
    subject = make_subject(60)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    basis = fit_code_basis(subject.head_model, neutral, subject.training_pose, N_EXPRESSION)
    wild = HeadPose(*(100 * values for values in subject.training_pose))

    codes = expression_codes(basis, wild)

    assert codes[:, :N_EXPRESSION].abs().max() <= LIMIT
    assert codes[:, N_EXPRESSION:].abs().max() <= TURN_LIMIT


def test_a_still_face_has_codes() -> None:
    """Nothing moves, nothing is divided by zero."""
    subject = make_subject(60)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    frozen = HeadPose(*(values[:1].expand(60, -1) for values in subject.training_pose))

    basis = fit_code_basis(subject.head_model, neutral, frozen, N_EXPRESSION)

    assert bool(torch.isfinite(expression_codes(basis, subject.training_pose)).all())
