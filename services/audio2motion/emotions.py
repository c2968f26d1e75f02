"""Emotions over time: a table of when, which and how strong, as labels and as directions.

A tracked dataset is labelled by ``emotions.csv`` in its folder; ``animate --emotion`` takes a table
of the same form. The words are the user's own; ``neutral`` is the face without any.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput

F32 = NDArray[np.float32]

EMOTIONS_FILE = "emotions.csv"
COLUMNS = ("seconds", "emotion", "intensity")
NEUTRAL = "neutral"
_WORD = re.compile(r"[a-z][a-z_]{0,31}")
_MAX_KEYFRAMES = 100_000


class EmotionKeyframe(NamedTuple):
    """From here the intensity goes in a line to the next keyframe's."""

    seconds: float
    emotion: str
    intensity: float
    """0 none, 1 full."""


def read_emotions(path: Path) -> tuple[EmotionKeyframe, ...]:
    """Rows of COLUMNS, in order of time.

    Raises:
        InvalidInput: ``bad_emotions``.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            names = [name.strip().lower() for name in table.fieldnames or []]
            if sorted(names) != sorted(COLUMNS):
                raise _refusal(path, f"its columns are {names}, expected {list(COLUMNS)}")
            table.fieldnames = names
            keyframes = tuple(
                EmotionKeyframe(
                    float(row["seconds"]), row["emotion"].strip().lower(), float(row["intensity"])
                )
                for row in table
            )
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, TypeError, AttributeError) as error:
        raise _refusal(path, str(error)) from error
    if not 0 < len(keyframes) <= _MAX_KEYFRAMES:
        raise _refusal(path, f"it has {len(keyframes)} rows")
    if any(_WORD.fullmatch(each.emotion) is None for each in keyframes):
        raise _refusal(path, "an emotion is one word of small letters")
    if any(not 0 <= each.intensity <= 1 for each in keyframes):
        raise _refusal(path, "an intensity is a number from 0 to 1")
    seconds = np.array([each.seconds for each in keyframes])
    if not np.isfinite(seconds).all() or (np.diff(seconds) <= 0).any():
        raise _refusal(path, "its seconds must be numbers that increase")
    return keyframes


def emotions_of(keyframes: Sequence[EmotionKeyframe]) -> set[str]:
    """Emotions that are felt at some time; neutral is none."""
    return {each.emotion for each in keyframes if each.intensity > 0} - {NEUTRAL}


def emotion_weights(
    keyframes: Sequence[EmotionKeyframe], names: Sequence[str], times_s: NDArray[np.float64]
) -> F32:
    """Intensity of each of ``names`` at each time, linear between keyframes; the ends hold.

    From a keyframe of one emotion to one of another, the first fades as the second grows.
    [T] -> [T, E] in 0..1
    """
    weights = np.zeros((len(times_s), len(names)), np.float32)
    if keyframes:
        seconds = [each.seconds for each in keyframes]
        for column, name in enumerate(names):
            felt = [each.intensity if each.emotion == name else 0.0 for each in keyframes]
            weights[:, column] = np.interp(times_s, seconds, felt)
    return weights


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput("bad_emotions", f"{path} is no table of emotions: {reason}")
