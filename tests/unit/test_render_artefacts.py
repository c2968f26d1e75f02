"""What the renderer counts that must not be seen."""

import pytest
import torch
from torch import Tensor

from services.renderer.artefacts import (
    Artefacts,
    canonical_lengths,
    count_artefacts,
    face_outlines,
)
from shared.avatar_method import Performance
from shared.head_model import HeadPose
from tests.fakes import FAKE_CROP_SIZE, FakeAvatarModel, fake_motion, fake_subject

SUBJECT = fake_subject()
S = FAKE_CROP_SIZE


def count(alpha: Tensor, stretch: float = 1.0) -> Artefacts:
    """Artefacts of the fake head's first frame under a given alpha image."""
    model = FakeAvatarModel()
    motion = fake_motion(1)
    canonical = canonical_lengths(model, Performance(motion), motion)
    (gaussians,) = model.pose(model.condition(Performance(motion))[0])
    scales = gaussians.scales.clone()
    scales[:30, 1] *= stretch
    outline = face_outlines(SUBJECT, motion)[0]
    camera = (SUBJECT.viewmat, SUBJECT.K)
    layers = (gaussians._replace(scales=scales),)
    return count_artefacts(layers, canonical, alpha, outline, camera)


def test_a_covered_frame_has_no_artefacts() -> None:
    """Opaque everywhere, nothing stretched."""
    assert Artefacts(0, 0, 1.0) == count(torch.ones(S, S))


def test_a_hole_in_the_face_is_counted_by_its_pixels() -> None:
    """Three by four clear pixels in the middle of the face."""
    alpha = torch.ones(S, S)
    alpha[30:33, 30:34] = 0.2

    assert 12 == count(alpha).transparent_pixels


def test_what_lies_outside_of_the_face_may_be_clear() -> None:
    """Background beside the head is no hole."""
    alpha = torch.ones(S, S)
    alpha[:, :16] = 0
    alpha[:18] = 0

    found = count(alpha)

    assert (0, 0) == (found.transparent_pixels, found.uncovered_pixels)


def test_a_gap_at_the_neck_is_counted() -> None:
    """Two clear rows below the chin, over the width of the chin."""
    alpha = torch.ones(S, S)
    alpha[50:52] = 0

    found = count(alpha)

    assert 0 == found.transparent_pixels
    assert 2 * 11 == pytest.approx(found.uncovered_pixels, abs=2)


def test_stretch_is_the_99th_percentile() -> None:
    """Five of a hundred Gaussians are three times as long."""
    found = count(torch.ones(S, S), stretch=3.0)

    assert 3.0 == pytest.approx(found.stretch_p99)


def test_outline_follows_the_head() -> None:
    """The outline moves with the head's translation, frame by frame."""
    motion = fake_motion(300)

    outlines = face_outlines(SUBJECT, motion)

    torch.testing.assert_close(outlines.mean(dim=1)[:, 0], motion.translation[:, 0])


def test_canonical_lengths_ignore_the_expression() -> None:
    """The face at rest is asked for, whatever the frame shows."""

    class Inflating(FakeAvatarModel):
        def pose(self, condition: Tensor):  # type: ignore[no-untyped-def]  # noqa: ANN202
            (gaussians,) = super().pose(condition)
            return (gaussians._replace(scales=gaussians.scales * (1 + condition[3])),)

    motion = HeadPose(*(values[-1:] for values in fake_motion(10)))

    torch.testing.assert_close(
        canonical_lengths(Inflating(), Performance(motion), motion), torch.full((600,), 0.01)
    )
