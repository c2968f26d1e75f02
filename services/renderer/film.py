"""The frame loop: pose, rasterize, composite and encode, each a few frames ahead of the next."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from services.renderer.artefacts import (
    Artefacts,
    canonical_lengths,
    count_artefacts,
    face_outlines,
)
from services.renderer.camera_path import usual_pose
from services.renderer.compositing import Window, border_weights, paint
from services.renderer.encode import VideoWriter
from services.renderer.feather import feather
from services.renderer.run_ahead import run_ahead
from services.renderer.shot import Shot
from shared.avatar_abilities import Feathered
from shared.avatar_method import Attentive, AvatarModel
from shared.errors import InvalidInput
from shared.layers import Layers, Picture, choose_rows, draw_layers
from shared.progress import Progress
from shared.rasterizer import Rasterizer

F32 = NDArray[np.float32]

N_AHEAD = 3
"""Frames that a stage may be ahead of the next."""


class Drawn(NamedTuple):
    """One frame after the rasterizer."""

    window: Window
    picture: Picture
    attention: Tensor | None  # [S, S, M]
    artefacts: Artefacts


def film(
    shot: Shot,
    rasterizer: Rasterizer,
    writer: VideoWriter,
    progress: Progress,
    *,
    attention_writer: VideoWriter | None = None,
) -> list[Artefacts]:
    """Draw every frame and hand it to ``writer``; memory does not grow with the length.

    Args:
        shot: What to draw.
        rasterizer: Draws it.
        writer: Of the video.
        progress: Told about each frame.
        attention_writer: Of the maps of attention, for a shot that shows them.
    """
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
            if attention_writer and each.attention is not None:
                attention_writer.write(tile_maps(each.attention, shot.windows[0].render_side))
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


def pose_frames(shot: Shot) -> Generator[Layers, None, None]:
    """Posed Gaussians of each frame.

    Raises:
        InvalidInput: ``no_attention`` when attention is to be shown and the method has none.
    """
    pose = attention_of(shot.model) if shot.shows_attention else shot.model.pose
    # Torch's grad mode belongs to the thread that runs the generator.
    with torch.inference_mode():
        for row in shot.model.condition(shot.performance):
            yield choose(pose(row), shot.shown)


def choose(layers: Layers, shown: Tensor | None) -> Layers:
    """Some Gaussians by number, counted over all layers; None takes all."""
    if shown is None:
        return layers
    chosen, first = [], 0
    for layer in layers:
        n = len(layer.means)
        rows = shown[(shown >= first) & (shown < first + n)] - first
        chosen.append(choose_rows(layer, rows))
        first += n
    return tuple(chosen)


def attention_of(model: AvatarModel) -> Callable[[Tensor], Layers]:
    """How the model poses its attention."""
    if not isinstance(model, Attentive):
        raise InvalidInput(
            "no_attention",
            "the avatar's method has no attention to show; gaussian_talker and surfel_talker have",
        )
    return model.pose_attention


def tile_maps(maps: Tensor, side: int) -> NDArray[np.uint8]:
    """Grey pictures of some size, two beside each other. [S, S, M] -> [ceil(M / 2) side, ..., 3]"""
    if maps.shape[0] != side:
        planes = maps.permute(2, 0, 1)[None]
        maps = interpolate(planes, size=(side, side), mode="bilinear")[0].permute(1, 2, 0)
    n_maps = maps.shape[2]
    rows = -(-n_maps // 2)
    grid = torch.zeros(rows, side, 2, side)
    for index in range(n_maps):
        grid[index // 2, :, index % 2] = maps[..., index].clamp(0, 1)
    grey = (255 * grid.view(rows * side, 2 * side)).round().byte().numpy()
    return np.repeat(grey[..., None], 3, axis=2)


def draw_frames(
    shot: Shot, rasterizer: Rasterizer, posed: Generator[Layers, None, None]
) -> Generator[Drawn, None, None]:
    """Rasterize each frame and count its artefacts."""
    with torch.inference_mode():
        usual = usual_pose(shot.subject.training_pose)
        canonical = canonical_lengths(shot.model, shot.performance, usual)
        if shot.shown is not None:
            canonical = canonical[shot.shown]
        outlines = face_outlines(shot.subject, shot.motion)
        for index, layers in enumerate(posed):
            window = shot.windows[index if len(shot.windows) > 1 else 0]
            view = shot.viewmats[index]
            side = window.render_side
            drawn = draw_layers(rasterizer, layers, (view, window.K), (side, side))
            picture, attention = drawn, None
            if shot.shows_attention:
                colors, attention = drawn.colors.split((3, drawn.colors.shape[2] - 3), dim=2)
                picture = drawn._replace(colors=colors.contiguous())
            artefacts = count_artefacts(
                layers, canonical, picture.alpha, outlines[index], (view, window.K)
            )
            if isinstance(shot.model, Feathered):
                picture = feather(picture, shot.model.edge_px * side / shot.subject.crop_size)
            yield Drawn(window, picture, attention, artefacts)
