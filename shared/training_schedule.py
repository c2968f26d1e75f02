"""How the training of an avatar method goes: when what happens, and what the picture loss weighs.

Times are shares of all steps, so that one schedule serves every preset.
"""

from typing import Literal, NamedTuple

FrameSignal = Literal["lip_opening", "blink"]


class PictureWeights(NamedTuple):
    """Weights of the terms of the picture loss."""

    l1: float = 0.8
    """Mean absolute difference (3D Gaussian Splatting)."""
    ssim: float = 0.2
    """Structural dissimilarity (3D Gaussian Splatting)."""
    holes: float = 0.1
    """What shines through well inside the person."""
    lips: float = 0.0
    """Mean absolute difference in a square around the lips."""
    depth: float = 0.0
    """Depth against the matte: near one inside, zero outside (KU GaussianTalker)."""


class FrameWindow(NamedTuple):
    """Now and then a frame is drawn from a window that slides over a signal, not from all."""

    signal: FrameSignal
    every: int
    """One draw in so many."""
    start: float
    """Share of the training at which the window begins to slide."""
    end: float
    """Share at which it has arrived."""
    width: float
    """Of the window, as a share of the signal's range."""
    first: float = 0.0
    """Where it begins: 0 at the signal's lowest value, 1 at the highest."""
    last: float = 1.0
    """Where it arrives."""


class PartLoss(NamedTuple):
    """A part of the person that is drawn apart from the rest for a while, before a backdrop."""

    region: Literal["face", "mouth"]
    """``mouth``: what is seen inside the mouth; ``face``: all else."""
    layers: tuple[int, ...]
    """Places of the layers that show it."""
    until: float
    """Share of the training up to which parts are judged, and not the whole picture."""
    weight: float = 1.0
    ssim: float = 0.2
    """Structural dissimilarity beside the mean absolute difference (TalkingGaussian)."""
    alpha: float = 1e-3
    """What covers pixels of another part (TalkingGaussian)."""
    holes: float = 0.1
    """What the face leaves uncovered: the plate must not paint a lash."""


class SurfaceWeights(NamedTuple):
    """What holds surfels to a surface (2DGS, Huang et al. 2024); weights and when each begins."""

    normals: float = 0.05
    """Of 1 - n N: normals of the surfels against those of the surface that their depths make."""
    normals_from: float = 7 / 30
    """Share of the training: step 7 000 of 30 000."""
    distortion: float = 1.0
    """Of the distances in depth within a pixel, per metre. The source has 10 to 1 000 for scenes
    in other units, its code 0."""
    distortion_from: float = 3 / 30
    """Share of the training: step 3 000 of 30 000."""


class Schedule(NamedTuple):
    """One method's training."""

    weights: PictureWeights = PictureWeights()
    coarse_share: float = 0.15
    """Share of the steps on pictures of half the size."""
    densify_shares: tuple[float, ...] = (0.15, 0.25, 0.35, 0.45, 0.55)
    """When Gaussians are added."""
    register_shares: tuple[float, ...] = (0.15, 0.4, 0.65)
    """When every training frame's head pose and torso are registered anew."""
    settle_share: float = 0.7
    """When a model settles what it has learned of the tracking."""
    parts: tuple[PartLoss, ...] = ()
    """Parts that are learned apart."""
    windows: tuple[FrameWindow, ...] = ()
    """Frames that are drawn more often, and when."""
    surface: SurfaceWeights | None = None
    """For methods of one layer of surfels."""
