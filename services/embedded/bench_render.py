"""Measures rendering: from pose to encoded mp4, in parts and as a whole.

The whole is what ``render_video`` does, stages overlapping; the parts are each stage alone, one
after the other. Medians of rounds, warm; the cold start, with Numba compiling, is measured in a
process of its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from services.renderer.artefacts import canonical_lengths, count_artefacts, face_outlines
from services.renderer.camera_path import usual_pose
from services.renderer.compositing import border_weights, paint
from services.renderer.encode import Encoding, VideoWriter
from services.renderer.film import film, one_torch_thread
from services.renderer.shot import Actor, RenderOptions, Shot, plan_shot, read_motion
from shared.avatar_method import Performance, each_track
from shared.avatar_store import load_avatar
from shared.layers import draw_layers
from shared.progress import silent
from shared.rasterizer import Rasterizer
from shared.rasterizer_choice import open_rasterizer

REAL_TIME_FPS = 25
PARTS = ("pose", "rasterize", "count artefacts", "composite", "encode")


class RenderTiming(NamedTuple):
    """Milliseconds per frame, medians over rounds."""

    n_frames: int
    n_gaussians: int
    width: int
    height: int
    whole_ms: float
    parts_ms: dict[str, float]
    """By PARTS, each alone; their sum is more than the whole, which overlaps them."""
    cold_seconds: float | None
    """One frame in a new process with nothing compiled; None when not asked for."""

    @property
    def fps(self) -> float:
        """Frames per second of the whole."""
        return 1000.0 / self.whole_ms

    @property
    def times_real_time(self) -> float:
        """Multiple of 25 frames per second."""
        return self.fps / REAL_TIME_FPS


def bench_render(
    avatar: Path, motion: Path, *, n_frames: int = 250, n_rounds: int = 5, with_cold: bool = True
) -> RenderTiming:
    """Time the rendering of ``motion`` with ``avatar``, default options.

    Args:
        avatar: Avatar artifact.
        motion: Motion artifact; played back and forth when it is shorter than ``n_frames``.
        n_frames: Frames per round.
        n_rounds: Rounds; whole and parts take turns.
        with_cold: Whether to measure the cold start too (about a minute).
    """
    actor, shot, rasterizer = prepare(avatar, motion, n_frames)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "video.mp4"
        time_whole(shot, rasterizer, file)  # warms up
        wholes: list[float] = []
        parts: list[dict[str, float]] = []
        for _ in range(n_rounds):
            wholes.append(time_whole(shot, rasterizer, file))
            parts.append(time_parts(shot, rasterizer, file))
    return RenderTiming(
        n_frames=n_frames,
        n_gaussians=actor.manifest.n_gaussians,
        width=shot.width,
        height=shot.height,
        whole_ms=median(wholes),
        parts_ms={name: median(each[name] for each in parts) for name in PARTS},
        cold_seconds=time_cold(avatar, motion) if with_cold else None,
    )


def prepare(avatar: Path, motion: Path, n_frames: int) -> tuple[Actor, Shot, Rasterizer]:
    """Load everything that a round needs."""
    options = RenderOptions()
    actor = Actor(avatar, *load_avatar(avatar))
    performance, _ = read_motion(motion, actor.manifest)
    shot = plan_shot(actor, stretch_motion(performance, n_frames), options)
    return actor, shot, open_rasterizer(options.rasterizer)[1]


def stretch_motion(performance: Performance, n_frames: int) -> Performance:
    """The motion back and forth until it has ``n_frames``."""
    length = len(performance.pose.expr)
    there_and_back = torch.cat([torch.arange(length), torch.arange(length - 2, 0, -1)])
    order = there_and_back.repeat(n_frames // len(there_and_back) + 1)[:n_frames]
    return each_track(performance, lambda track: track[order])


def time_whole(shot: Shot, rasterizer: Rasterizer, file: Path) -> float:
    """Render all frames as the stage does. -> milliseconds per frame"""
    started = time.perf_counter()
    with VideoWriter(file, encoding_of(shot), None) as writer:
        film(shot, rasterizer, writer, silent)
    return 1000 * (time.perf_counter() - started) / len(shot.motion.expr)


def time_parts(shot: Shot, rasterizer: Rasterizer, file: Path) -> dict[str, float]:
    """Run every stage alone, one after the other. -> milliseconds per frame, by PARTS"""
    window = shot.windows[0]
    view, side = shot.viewmats[0], window.render_side
    weights = border_weights(window, shot.width, shot.height)
    frame = np.zeros((shot.height, shot.width, 3), np.uint8)
    spent = dict.fromkeys(PARTS, 0.0)
    with (
        one_torch_thread(),
        torch.inference_mode(),
        VideoWriter(file, encoding_of(shot), None) as writer,
    ):
        condition = shot.model.condition(shot.performance)
        usual = usual_pose(shot.subject.training_pose)
        canonical = canonical_lengths(shot.model, shot.performance, usual)
        outlines = face_outlines(shot.subject, shot.motion)
        for row, outline in zip(condition, outlines, strict=True):
            clock = [time.perf_counter()]
            layers = shot.model.pose(row)
            clock.append(time.perf_counter())
            drawn = draw_layers(rasterizer, layers, (view, window.K), (side, side))
            clock.append(time.perf_counter())
            count_artefacts(layers, canonical, drawn.alpha, outline, (view, window.K))
            clock.append(time.perf_counter())
            paint(frame, shot.plate, window, weights, (drawn.colors, drawn.alpha))
            clock.append(time.perf_counter())
            writer.write(frame)
            clock.append(time.perf_counter())
            for name, start, end in zip(PARTS, clock, clock[1:], strict=False):
                spent[name] += 1000 * (end - start)
    return {name: value / len(outlines) for name, value in spent.items()}


def time_cold(avatar: Path, motion: Path) -> float:
    """Render one frame in a new process that has nothing compiled. -> seconds"""
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", "services.embedded.bench_render", str(avatar), str(motion)],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            check=True,
        )
        return time.perf_counter() - started


def encoding_of(shot: Shot) -> Encoding:
    """The renderer's default quality."""
    options = RenderOptions()
    return Encoding(
        width=shot.width,
        height=shot.height,
        fps=REAL_TIME_FPS,
        preset=options.encoder_preset,
        crf=options.encoder_crf,
        has_alpha=False,
    )


def render_one_frame(avatar: Path, motion: Path) -> None:
    """What the cold process does."""
    _, shot, rasterizer = prepare(avatar, motion, 1)
    with tempfile.TemporaryDirectory() as scratch:
        time_whole(shot, rasterizer, Path(scratch) / "video.mp4")


if __name__ == "__main__":
    render_one_frame(Path(sys.argv[1]), Path(sys.argv[2]))
