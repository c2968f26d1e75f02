"""The frame loop: pose, rasterize, composite and encode, each a few frames ahead of the next."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.renderer.artefacts import (
    Artefacts,
    canonical_lengths,
    count_artefacts,
    face_outlines,
)
from services.renderer.camera_path import usual_pose
from services.renderer.compositing import Window, border_weights, paint
from services.renderer.encode import VideoWriter
from services.renderer.run_ahead import run_ahead
from services.renderer.shot import Shot
from shared.gaussians import Gaussians
from shared.progress import Progress
from shared.rasterizer import Rasterizer, Rendered

F32 = NDArray[np.float32]

N_AHEAD = 3
"""Frames that a stage may be ahead of the next."""


class Drawn(NamedTuple):
    """One frame after the rasterizer."""

    window: Window
    picture: Rendered
    artefacts: Artefacts


def film(
    shot: Shot, rasterizer: Rasterizer, writer: VideoWriter, progress: Progress
) -> list[Artefacts]:
    """Draw every frame and hand it to ``writer``; memory does not grow with the length."""
    n_frames = len(shot.motion.expr)
    frame = np.zeros((shot.height, shot.width, 4 if shot.plate is None else 3), np.uint8)
    found: list[Artefacts] = []
    weights: dict[tuple[int, int, int], F32] = {}
    with ExitStack() as stack:
        stack.enter_context(one_torch_thread())
        posed = stack.enter_context(run_ahead(pose_frames(shot), N_AHEAD))
        drawn = stack.enter_context(run_ahead(draw_frames(shot, rasterizer, posed), N_AHEAD))
        for each in drawn:
            place = (each.window.left, each.window.top, each.window.side)
            if place not in weights:
                # The window has moved: what it leaves is background again.
                weights = {place: border_weights(each.window, shot.width, shot.height)}
                frame[:] = 0 if shot.plate is None else shot.plate
            picture = (each.picture.colors, each.picture.alpha)
            paint(frame, shot.plate, each.window, weights[place], picture)
            writer.write(frame)
            found.append(each.artefacts)
            progress(len(found) / n_frames, "rendering")
    return found


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch to one thread: its idle ones spin, on cores that rasterizer and encoder need."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def pose_frames(shot: Shot) -> Generator[Gaussians, None, None]:
    """Posed Gaussians of each frame."""
    # Torch's grad mode belongs to the thread that runs the generator.
    with torch.inference_mode():
        for row in shot.model.condition(shot.motion):
            yield choose(shot.model.pose(row), shot.shown)


def choose(gaussians: Gaussians, shown: Tensor | None) -> Gaussians:
    """Some Gaussians by number; None takes all."""
    if shown is None:
        return gaussians
    return Gaussians(*(values.index_select(0, shown) for values in gaussians))


def draw_frames(
    shot: Shot, rasterizer: Rasterizer, posed: Generator[Gaussians, None, None]
) -> Generator[Drawn, None, None]:
    """Rasterize each frame and count its artefacts."""
    with torch.inference_mode():
        canonical = canonical_lengths(shot.model, usual_pose(shot.subject.training_pose))
        if shot.shown is not None:
            canonical = canonical[shot.shown]
        outlines = face_outlines(shot.subject, shot.motion)
        for index, gaussians in enumerate(posed):
            window = shot.windows[index if len(shot.windows) > 1 else 0]
            view = shot.viewmats[index]
            side = window.render_side
            picture = rasterizer.rasterize(gaussians, view, window.K, side, side)
            artefacts = count_artefacts(
                gaussians, canonical, picture.alpha, outlines[index], (view, window.K)
            )
            yield Drawn(window, picture, artefacts)
