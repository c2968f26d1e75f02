"""A film of the face alone, the capture's beside it: what viewers look at, without the rest."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from services.evaluator.face_crop import Square, cut_square, face_square
from shared.contracts.tracked_dataset import FPS
from shared.media.audio import SAMPLE_RATE

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

FILE = "face.mp4"
FACE_PX = 256
MARGIN = 1.6
"""Side of the picture over the face's larger side."""
_STEADY_FRAMES = 8.0
"""Deviation of the filter over the face's place: follows the head, not the jaw."""
_CRF = "20"
_HOP = SAMPLE_RATE // FPS

Pair = tuple[U8, U8 | None]
"""A frame of the video, and of its reference where there is one. RGB [H, W, 3]"""


class Sides(NamedTuple):
    """Where the face is in each frame."""

    video: list[Square]
    reference: list[Square] | None


def follow_face(landmarks: F32) -> list[Square] | None:
    """Squares of one size that follow the face; None when no frame has one. [T, 478, 3] px"""
    still = face_square(landmarks, MARGIN)
    if still is None:
        return None
    points = landmarks[..., :2]
    middles = (points.min(axis=1) + points.max(axis=1)) / 2  # [T, 2]
    seen = np.isfinite(middles).all(axis=1)
    frames = np.arange(len(middles))
    steady = [
        gaussian_filter1d(np.interp(frames, frames[seen], axis[seen]), _STEADY_FRAMES)
        for axis in middles.T
    ]
    half = still.side / 2
    return [
        Square(float(x) - half, float(y) - half, still.side) for x, y in zip(*steady, strict=True)
    ]


class FaceFilm:
    """The open file; a context manager that films pairs of frames as they pass."""

    def __init__(self, path: Path, sides: Sides, audio: F32 | None) -> None:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        self._sides = sides
        self._container = av.open(str(path), mode="w", format="mp4", options=options)
        self._video = self._container.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "crf": _CRF}
        )
        self._video.pix_fmt = "yuv420p"
        self._video.width = FACE_PX * (1 if sides.reference is None else 2)
        self._video.height = FACE_PX
        self._video.codec_context.flags |= Flags.bitexact
        self._video.codec_context.thread_count = 1  # x264 writes the number into the stream
        self._sound = (
            None if audio is None else np.round(audio.clip(-1, 1) * 32767).astype(np.int16)
        )
        self._audio = None
        if self._sound is not None:
            self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            self._audio.codec_context.flags |= Flags.bitexact
        self._n_written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    def watch(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Hand frames on and film their faces; ends with the shorter side."""
        for pair in pairs:
            index = self._n_written
            sides = (self._sides.video, self._sides.reference)
            if all(squares is None or index < len(squares) for squares in sides):
                self._write(pair, index)
            yield pair

    def _write(self, pair: Pair, index: int) -> None:
        faces = [cut_square(pair[0], self._sides.video[index], FACE_PX)]
        if self._sides.reference is not None:
            if pair[1] is None:
                return
            faces.insert(0, cut_square(pair[1], self._sides.reference[index], FACE_PX))
        picture = av.VideoFrame.from_ndarray(np.concatenate(faces, axis=1), format="rgb24")
        picture.pts, picture.time_base = index, Fraction(1, FPS)
        self._container.mux(self._video.encode(picture))
        if self._audio is not None and self._sound is not None:
            samples = np.zeros(_HOP, np.int16)
            found = self._sound[index * _HOP : (index + 1) * _HOP]
            samples[: found.size] = found
            sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts = SAMPLE_RATE, index * _HOP
            sound.time_base = Fraction(1, SAMPLE_RATE)
            self._container.mux(self._audio.encode(sound))
        self._n_written += 1
