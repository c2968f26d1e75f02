"""The torso follows the head by a rule learned from the capture."""

import pytest
import torch
from torch import Tensor

from shared.geometry.rotations import axis_angle_to_matrix
from shared.rigging.body import body_transform, fit_body_rule, follow_head

N_FRAMES = 240
RADIUS = 12


def make_head() -> Tensor:
    """A head that wanders: 0.1 rad and 1 cm. [T, 6]"""
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(N_FRAMES + 4, 6, generator=generator)
    smooth = noise.unfold(0, 5, 1).mean(-1)
    return smooth / smooth.std(0) * torch.tensor([0.1] * 3 + [0.01] * 3)


def late_torso(head: Tensor, smoothing: float, lag: int) -> Tensor:
    """A torso that takes a part of yaw, roll and shift over, later and smoother. [T, 6]"""
    if smoothing:
        taps = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1) / smoothing).square())
        padded = torch.cat([head[:1].expand(RADIUS, 6), head, head[-1:].expand(RADIUS, 6)])
        head = (padded.unfold(0, 2 * RADIUS + 1, 1) * (taps / taps.sum())).sum(-1)
    held = torch.cat([head[:1].expand(lag, 6), head[: N_FRAMES - lag]])
    body = torch.zeros(N_FRAMES, 6)
    body[:, 2] = 0.3 * held[:, 2] + 0.01
    body[:, 3] = 0.5 * held[:, 3] - 0.02 * held[:, 1]
    body[:, 4] = 0.4 * held[:, 4]
    return body


@pytest.mark.parametrize(("smoothing", "lag"), [(0.0, 2), (2.0, 1)])
def test_a_late_torso_is_recovered(smoothing: float, lag: int) -> None:
    """Lag, smoothing and motion are found again, within 2 % of the motion."""
    head = make_head()
    body = late_torso(head, smoothing, lag)

    rule = fit_body_rule(head, body)

    assert [smoothing, float(lag)] == rule.timing.tolist()
    error = follow_head(rule, head) - body
    moving = [2, 3, 4]
    assert bool((error[:, moving].std(0) < 0.02 * body[:, moving].std(0)).all())


def test_the_first_frames_hold_the_first_pose() -> None:
    """A torso two frames late has nothing to follow yet."""
    head = make_head()
    rule = fit_body_rule(head, late_torso(head, 0.0, 2))

    followed = follow_head(rule, head)

    assert torch.equal(followed[0], followed[1])
    assert torch.equal(followed[0], followed[2])
    assert not torch.equal(followed[0], followed[3])


def test_one_frame_can_be_followed() -> None:
    """A motion may be shorter than the lag and the smoothing."""
    head = make_head()
    rule = fit_body_rule(head, late_torso(head, 2.0, 1))

    assert (1, 6) == tuple(follow_head(rule, head[:1]).shape)


def test_a_still_head_gives_the_mean_torso() -> None:
    """Without any motion there is nothing to learn, and no division by zero."""
    head = torch.full((40, 6), 0.1)
    body = late_torso(make_head(), 0.0, 0)[:40]

    followed = follow_head(fit_body_rule(head, body), head)

    torch.testing.assert_close(followed, body.mean(0).expand(40, 6), atol=1e-5, rtol=0)


def test_at_zero_the_torso_stands_at_rest() -> None:
    """The transform is then that of the usual head pose."""
    rotation = axis_angle_to_matrix(torch.tensor([0.1, 0.2, 0.3]))
    shift, pivot = torch.tensor([0.0, 0.1, 0.2]), torch.tensor([0.0, -0.3, 0.0])

    turn, moved = body_transform(torch.zeros(6), rotation, shift, pivot)

    torch.testing.assert_close(turn, rotation)
    torch.testing.assert_close(moved, shift)


def test_the_torso_turns_about_its_pivot() -> None:
    """Only the shift moves the point that it turns about."""
    rotation = axis_angle_to_matrix(torch.tensor([0.1, 0.2, 0.3]))
    shift, pivot = torch.tensor([0.0, 0.1, 0.2]), torch.tensor([0.0, -0.3, 0.0])
    at_rest = rotation.T @ (pivot - shift)

    turn, moved = body_transform(
        torch.tensor([0.5, -0.2, 0.3, 0.01, 0.02, 0.03]), rotation, shift, pivot
    )

    expected = pivot + torch.tensor([0.01, 0.02, 0.03])
    torch.testing.assert_close(turn @ at_rest + moved, expected)
