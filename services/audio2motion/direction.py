"""Follows a user's directions: another performance, head poses, gains and smoothing."""

from pathlib import Path
from typing import NamedTuple

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.controls import (
    HEAD_TRACKS,
    adjust_regions,
    mix_regions,
    region_columns,
)
from services.audio2motion.driver import driver_tracks
from services.audio2motion.idle import Clock
from services.audio2motion.mouth import Mouth
from services.audio2motion.pose_keyframes import pose_from_keyframes, read_keyframes
from services.audio2motion.retarget import target_face
from services.audio2motion.tracks import Tracks
from shared.contracts.avatar import AvatarManifest


class Direction(NamedTuple):
    """What is known before anything is predicted."""

    head: Tracks
    """Head pose as directed; empty where it is the capture's or held still."""
    driver: Tracks | None


def direct(
    options: AnimateOptions, avatar: Path, about: AvatarManifest, shown: Tracks, clock: Clock
) -> Direction:
    """Read keyframes and driver.

    Raises:
        InvalidInput: as ``read_keyframes`` and ``driver_tracks``.
    """
    driver = None
    if options.driver is not None:
        driver = driver_tracks(options.driver, about, target_face(avatar), shown, clock)
    if options.pose_keyframes is not None:
        keyframes = read_keyframes(options.pose_keyframes)
        head = pose_from_keyframes(keyframes, shown, fps=clock.fps, n_frames=clock.n_frames)
        return Direction(head, driver)
    if options.pose_source == "driver" and driver is not None:
        return Direction({name: driver[name] for name in HEAD_TRACKS}, driver)
    return Direction({}, driver)


def follow(
    direction: Direction,
    options: AnimateOptions,
    tracks: Tracks,
    shown: Tracks,
    mouth: Mouth,
    *,
    expression_names: list[str],
    fps: int,
) -> Tracks:
    """Mix in the driver, then smooth and scale region by region. [T, ...]"""
    columns = region_columns(mouth, expression_names)
    if direction.driver is not None:
        tracks = mix_regions(tracks, direction.driver, options.driven, columns)
    return adjust_regions(
        tracks,
        shown,
        mouth,
        columns,
        gains=options.gains,
        smoothing_s=options.smoothing_s,
        fps=fps,
    )
