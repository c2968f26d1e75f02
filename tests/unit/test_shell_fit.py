"""The hair shell brought to mattes that were drawn from a shell of known size."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit
from services.preprocess.shell_fit import _shell_vertices, fit_shell
from shared.geometry.cameras import project
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.open_head_parts.canonical_face import N_FACE_VERTICES
from tests.synthetic_head import SIZE, make_speaker

N_FRAMES = 8
ALL_VALID = np.ones(N_FRAMES, dtype=np.bool_)


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    """A person with the mean head's hair."""
    return make_speaker(N_FRAMES, N_FRAMES).fit


def shell_width(fit: HeadFit) -> float:
    """Largest distance of the shell from the head's middle plane, m."""
    rest = neutral_vertices(fit.head_model, fit.shape)
    return float(rest[torch.from_numpy(_shell_vertices(fit)), 0].abs().max())


def matte_of(fit: HeadFit, frame: int, factor: float) -> NDArray[np.uint8]:
    """Matte of a head whose shell is ``factor`` times as wide and high."""
    rest = neutral_vertices(fit.head_model, fit.shape)
    shell = torch.from_numpy(_shell_vertices(fit))
    centre = rest[shell].mean(0)
    scaled = rest.clone()
    scaled[shell, :2] = centre[:2] + factor * (rest[shell, :2] - centre[:2])
    pose = HeadPose(*[getattr(fit, name)[[frame]] for name in HeadPose._fields])
    vertices = pose_vertices(fit.head_model, scaled, pose)[0]
    members = torch.cat([torch.arange(N_FACE_VERTICES), shell])
    pixels = project(vertices[members], fit.viewmat, fit.Ks[frame]).numpy()
    matte = np.zeros((SIZE, SIZE), dtype=np.uint8)
    hull = cv2.convexHull(np.round(pixels).astype(np.int32))
    cv2.fillConvexPoly(matte, hull, 255)
    return matte


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_shell_takes_the_mattes_size(fit: HeadFit, factor: float) -> None:
    """A wider or narrower matte gives a wider or narrower shell."""
    fitted = fit_shell(fit, lambda frame: matte_of(fit, frame, factor), N_FRAMES, ALL_VALID)

    assert factor == pytest.approx(shell_width(fitted) / shell_width(fit), abs=0.06)


def test_face_stays(fit: HeadFit) -> None:
    """Only the shell moves."""
    fitted = fit_shell(fit, lambda frame: matte_of(fit, frame, 0.85), N_FRAMES, ALL_VALID)

    before = neutral_vertices(fit.head_model, fit.shape)[:N_FACE_VERTICES]
    after = neutral_vertices(fitted.head_model, fitted.shape)[:N_FACE_VERTICES]
    assert torch.equal(before, after)


def test_matte_without_an_edge_changes_nothing(fit: HeadFit) -> None:
    """A picture full of person says nothing about hair."""
    full = np.full((SIZE, SIZE), 255, dtype=np.uint8)

    assert fit_shell(fit, lambda _: full, N_FRAMES, ALL_VALID) is fit
