"""How the puppet moves while it speaks: lips by the script, blinks, head and torso by the seed."""

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from services.embedded.puppet.babble import Spoken
from services.embedded.puppet.face_rig import Pose
from services.embedded.puppet.phonemes import PHONEMES

F64 = NDArray[np.float64]

_FINE_RATE = 200  # Hz, of the tracks before they are sampled at the frame rate
_LEAD_SECONDS = 0.02  # lips move before they are heard
_BLINK_SECONDS = 0.26
_LIP_GLIDE = (0.045, 0.050, 0.024, 0.024)  # s, of jaw, width, press and tuck


def perform(
    script: tuple[Spoken, ...], n_frames: int, fps: int, seed: int
) -> tuple[list[Pose], F64]:
    """Poses of the head and shift of the torso [T, 2] px, frame by frame."""
    random = np.random.default_rng(seed)
    times = np.arange(n_frames) / fps
    lips = _lips(script, times)  # [T, 4]
    sway = _head_sway(random, times, lips[:, 0])  # [T, 6]
    blinks = _blinks(random, times)
    brows = np.clip(_wander(random, times, 0.35) - 0.2, 0, 1) * 0.8
    poses = [
        Pose(
            jaw=float(lip[0]),
            width=float(lip[1]),
            press=float(lip[2]),
            tuck=float(lip[3]),
            blink=float(blink),
            brows=float(brow),
            rotation=(float(move[0]), float(move[1]), float(move[2])),
            translation=(float(move[3]), float(move[4]), float(move[5])),
        )
        for lip, blink, brow, move in zip(lips, blinks, brows, sway, strict=True)
    ]
    return poses, _torso_sway(random, times, sway)


def _lips(script: tuple[Spoken, ...], times: F64) -> F64:
    """Jaw, width, press and tuck. -> [T, 4]

    Each sound holds its aim while it lasts; smoothing makes neighbours colour one another, less
    so for contacts, which must be reached.
    """
    start = script[0].start
    n = round((script[-1].start + script[-1].seconds - start) * _FINE_RATE) + 1
    aims = np.zeros((n, 4))
    for spoken in script:
        first = round((spoken.start - start) * _FINE_RATE)
        last = round((spoken.start - start + spoken.seconds) * _FINE_RATE) + 1
        jaw, width, press, tuck = PHONEMES[spoken.name].lips
        aims[first:last] = jaw * spoken.stress, width * min(spoken.stress, 1), press, tuck
    for column, seconds in enumerate(_LIP_GLIDE):
        aims[:, column] = scipy.ndimage.gaussian_filter1d(
            aims[:, column], seconds * _FINE_RATE, mode="nearest"
        )
    aims[:, 2:] = np.clip(1.25 * aims[:, 2:], 0, 1)
    fine = np.arange(n) / _FINE_RATE - _LEAD_SECONDS
    return np.stack([np.interp(times, fine, column) for column in aims.T], axis=1)


def _wander(random: np.random.Generator, times: F64, hertz: float) -> F64:
    """A slow track around 0, mostly within 1: three sines out of step."""
    tracks = [
        np.sin(2 * np.pi * (hertz * ratio * times + random.uniform()))
        for ratio in (0.47, 1.0, 1.71)
    ]
    return np.asarray(0.5 * tracks[0] + 0.4 * tracks[1] + 0.2 * tracks[2])


def _head_sway(random: np.random.Generator, times: F64, jaw: F64) -> F64:
    """Nod, turn, tilt (rad) and translation (px). -> [T, 6]"""
    emphasis = scipy.ndimage.gaussian_filter1d(jaw, 4.0)
    nod = 0.055 * _wander(random, times, 0.31) + 0.12 * (emphasis - emphasis.mean())
    turn = 0.12 * _wander(random, times, 0.23)
    tilt = 0.05 * _wander(random, times, 0.19)
    shift = [
        size * _wander(random, times, rate) for size, rate in ((9, 0.21), (5, 0.27), (20, 0.17))
    ]
    return np.stack([nod, turn, tilt, *shift], axis=1)


def _torso_sway(random: np.random.Generator, times: F64, sway: F64) -> F64:
    """The torso follows the head late and little, and breathes. -> [T, 2] px"""
    late = scipy.ndimage.shift(sway[:, 3:5], (6, 0), order=1, mode="nearest")
    follow = scipy.ndimage.gaussian_filter1d(late, 8.0, axis=0) * 0.35
    breath = np.sin(2 * np.pi * 0.26 * times + random.uniform(0, 6))
    follow[:, 1] += 1.6 * breath
    follow[:, 0] += 2.0 * _wander(random, times, 0.13)
    return np.asarray(follow)


def _blinks(random: np.random.Generator, times: F64) -> F64:
    """Shut fast, open slower, every few seconds. -> [T] 0..1"""
    shut = np.zeros_like(times)
    at = float(random.uniform(0.8, 1.6))
    while at < times[-1] + 1:
        phase = (times - at) / _BLINK_SECONDS
        lid = np.minimum(phase / 0.35, (1 - phase) / 0.65)
        shut = np.maximum(shut, np.clip(1.2 * lid, 0, 1))
        at += float(random.uniform(1.6, 3.4))
    return shut
