"""What a head does whatever it says: pose, brows and blinks as the capture showed them."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.blinks import blink_channels, learn_blinks, make_blinks, open_eyes
from services.audio2motion.head_pose_loop import loop_places, loop_track
from services.audio2motion.smoothing import smooth
from services.audio2motion.tracks import Tracks

F32 = NDArray[np.float32]

_POSE_BLUR_S = 0.06
"""Tracked pose trembles; a head does not turn round within a tenth of a second."""


class Clock(NamedTuple):
    """Frames of the capture and frames wanted."""

    source_fps: int
    fps: int
    n_frames: int


def idle_tracks(
    shown: Tracks,
    expression_names: list[str],
    clock: Clock,
    *,
    pose_source: Literal["capture", "fixed"],
    blinks_per_minute: float | None = None,
    generator: np.random.Generator,
) -> Tracks:
    """All tracks of a head that says nothing.

    Args:
        shown: The capture's training frames.
        expression_names: Of the E coefficients.
        clock: Frame rates and length.
        pose_source: ``capture`` loops pose and brows; ``fixed`` holds their medians.
        blinks_per_minute: How often the eyes blink; None is as often as in the capture.
        generator: Decides where the loop begins and when the eyes blink.

    Returns:
        Tracks of ``clock.n_frames`` frames; gaze is steady.
    """
    start = float(generator.uniform())
    names = ["expr", "rotation", "neck_pose", "translation"] if pose_source == "capture" else []
    tracks = {
        name: np.repeat(np.median(track, axis=0, keepdims=True), clock.n_frames, axis=0)
        for name, track in shown.items()
    }
    places = loop_places(
        len(shown["expr"]),
        clock.n_frames,
        source_fps=clock.source_fps,
        fps=clock.fps,
        start=start,
    )
    for name in names:
        calm = smooth(shown[name], clock.source_fps, _POSE_BLUR_S)
        tracks[name] = loop_track(calm, places)
    channels = blink_channels(expression_names)
    _blink(
        tracks["expr"],
        shown["expr"],
        channels,
        clock,
        generator=generator,
        per_minute=blinks_per_minute,
    )
    return {name: track.astype(np.float32) for name, track in tracks.items()}


def _blink(
    expr: F32,
    shown: F32,
    channels: list[int],
    clock: Clock,
    *,
    generator: np.random.Generator,
    per_minute: float | None,
) -> None:
    """Overwrite the eyelid channels of ``expr`` with open eyes and blinks."""
    if not channels:
        return
    closure = shown[:, channels].mean(axis=1)
    style = learn_blinks(closure, clock.source_fps)
    if per_minute is not None:
        style = style._replace(rate_per_s=per_minute / 60)
    if per_minute == 0:
        style = style._replace(shape=style.shape[:0])
    blinks = make_blinks(
        style, clock.fps, clock.n_frames, source_fps=clock.source_fps, generator=generator
    )
    highest = np.maximum(shown[:, channels].max(axis=0), open_eyes(closure))
    lids = [open_eyes(shown[:, channel]) for channel in channels]
    expr[:, channels] = np.minimum(np.array(lids) + blinks[:, None], highest)
