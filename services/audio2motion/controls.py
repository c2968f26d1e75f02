"""What a user may change of a motion, region by region: who drives it, how far, how calmly."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.animate_options import FaceRegion
from services.audio2motion.mouth import Mouth, limit_mouth
from services.audio2motion.smoothing import smooth
from services.audio2motion.tracks import Tracks, coefficients_of, split_coefficients

F32 = NDArray[np.float32]

HEAD_TRACKS = ("rotation", "neck_pose", "translation")
_N_GAZE = 6


def region_columns(
    mouth: Mouth, expression_names: list[str]
) -> dict[FaceRegion, NDArray[np.bool_]]:
    """Which coefficients (expression, jaw pose, eyes pose) belong to a region. [P] each"""
    n_coefficients = len(mouth.is_mouth)
    is_eye = np.zeros(n_coefficients, np.bool_)
    is_eye[: len(expression_names)] = [name.startswith("eye") for name in expression_names]
    is_eye[-_N_GAZE:] = True
    is_eye &= ~mouth.is_mouth
    return {"mouth": mouth.is_mouth, "eyes": is_eye, "brows": ~mouth.is_mouth & ~is_eye}


def mix_regions(
    tracks: Tracks,
    driver: Tracks,
    driven: tuple[FaceRegion, ...],
    columns: Mapping[FaceRegion, NDArray[np.bool_]],
) -> Tracks:
    """Take the ``driven`` regions from ``driver`` and the others from ``tracks``. [T, ...]

    The head is not mixed here: what the face does depends on it, so it is chosen before.
    """
    face, theirs = coefficients_of(tracks), coefficients_of(driver)
    for region in driven:
        face[:, columns[region]] = theirs[:, columns[region]]
    return tracks | split_coefficients(face)


def adjust_regions(
    tracks: Tracks,
    shown: Tracks,
    mouth: Mouth,
    columns: Mapping[FaceRegion, NDArray[np.bool_]],
    *,
    gains: Mapping[FaceRegion, float],
    smoothing_s: Mapping[FaceRegion, float],
    fps: int,
) -> Tracks:
    """Calm regions, then scale them; the mouth stays in its range and its lips uncrossed.

    A mouth is scaled about its closed shape, so that what is closed stays closed; the upper face
    about the capture's median, the head about the median of its own pose.

    Args:
        tracks: The motion. [T, ...]
        shown: The avatar's training frames.
        mouth: Of the avatar.
        columns: Of ``region_columns``.
        gains: By region; 1 where there is none.
        smoothing_s: Deviation of the smoothing in seconds; 0 where there is none.
        fps: Frames per second.
    """
    face = coefficients_of(tracks)
    usual = np.median(coefficients_of(shown), axis=0)
    for region, of_region in columns.items():
        if smoothing_s.get(region):
            face[:, of_region] = smooth(face[:, of_region], fps, smoothing_s[region])
        middle = mouth.closed if region == "mouth" else usual
        scaled = middle + gains.get(region, 1.0) * (face - middle)
        face = np.where(of_region, scaled, face).astype(np.float32)
    if "mouth" in gains or "mouth" in smoothing_s:
        face = limit_mouth(mouth, face)
    adjusted = tracks | split_coefficients(face)
    for name in HEAD_TRACKS:
        track = tracks[name]
        if smoothing_s.get("head"):
            track = smooth(track, fps, smoothing_s["head"])
        middle = np.median(track, axis=0)
        adjusted[name] = (middle + gains.get("head", 1.0) * (track - middle)).astype(np.float32)
    return adjusted
