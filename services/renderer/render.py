"""Avatar + motion -> video."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

from services.renderer.artefacts import Artefacts
from services.renderer.encode import Encoding, Speech, VideoWriter
from services.renderer.film import attention_of, film
from services.renderer.shot import (
    Actor,
    RenderOptions,
    Shot,
    cut_motion,
    heldout_windows,
    plan_shot,
    read_motion,
)
from shared.avatar_store import load_avatar
from shared.contracts.artifact import TIMING, write_manifest
from shared.contracts.video import VideoManifest
from shared.progress import Progress
from shared.rasterizer_choice import open_rasterizer


def render_video(
    avatar: Path,
    motion: Path,
    options: RenderOptions,
    out: Path,
    progress: Progress,
    *,
    dataset: Path | None = None,
) -> VideoManifest:
    """Render ``motion`` with ``avatar`` and write the video artifact into ``out``.

    Args:
        avatar: Avatar artifact.
        motion: Motion artifact.
        options: Choices for this video.
        out: Folder of the new artifact.
        progress: Told about each frame.
        dataset: Tracked dataset whose held-out part the motion re-speaks: each frame is drawn in
            that frame's own crop.

    Raises:
        InvalidInput: ``motion_incompatible`` names what the avatar needs and the motion lacks;
            ``motion_too_short`` when nothing is left after ``start_seconds``.
    """
    actor = Actor(avatar, *load_avatar(avatar))
    return render_actor(actor, motion, options, out, progress, dataset=dataset)


def render_actor(
    actor: Actor,
    motion: Path,
    options: RenderOptions,
    out: Path,
    progress: Progress,
    *,
    dataset: Path | None = None,
) -> VideoManifest:
    """``render_video`` with the avatar already in memory, for several motions in a row."""
    performance, spoken = read_motion(motion, actor.manifest)
    first = round(options.start_seconds * spoken.fps)
    shot = plan_shot(actor, cut_motion(performance, first, options, spoken.fps), options)
    if dataset is not None and options.camera == "capture":
        shot = shot._replace(windows=heldout_windows(dataset, actor.manifest, shot, first))
    rasterizer_name, rasterizer = open_rasterizer(options.rasterizer)
    encoding = Encoding(
        width=shot.width,
        height=shot.height,
        fps=spoken.fps,
        preset=options.encoder_preset,
        crf=options.encoder_crf,
        has_alpha=shot.plate is None,
    )
    wave = motion / "audio.wav"
    speech = Speech(wave, first / spoken.fps) if wave.is_file() else None
    out.mkdir(parents=True, exist_ok=True)
    name = "video.webm" if encoding.has_alpha else "video.mp4"
    started = time.perf_counter()
    with ExitStack() as files:
        writer = files.enter_context(VideoWriter(out / name, encoding, speech))
        maps = None
        if options.attention:
            maps = files.enter_context(open_attention(out, shot, encoding))
        artefacts = film(shot, rasterizer, writer, progress, attention_writer=maps)
        width, height = writer.size
    timing = {"render_seconds": time.perf_counter() - started, "n_frames": len(artefacts)}
    (out / TIMING).write_text(json.dumps(timing) + "\n", encoding="utf-8")
    write_artefacts(out / "artefacts.json", artefacts)
    manifest = VideoManifest(
        file=name,
        width=width,
        height=height,
        fps=encoding.fps,
        n_frames=len(artefacts),
        codec="vp9" if encoding.has_alpha else "h264",
        encoder_preset=options.encoder_preset,
        encoder_crf=options.encoder_crf,
        rasterizer=rasterizer_name,
        background=options.background,
    )
    write_manifest(out, manifest)
    return manifest


def open_attention(out: Path, shot: Shot, encoding: Encoding) -> VideoWriter:
    """The video of what the avatar attends to, two maps beside each other and without sound.

    Raises:
        InvalidInput: ``no_attention`` when its method has none.
    """
    attention_of(shot.model)
    side = shot.windows[0].render_side
    n_tokens = len(getattr(shot.model, "ATTENTION_TOKENS", ()))
    grid = encoding._replace(width=2 * side, height=-(-n_tokens // 2) * side, has_alpha=False)
    return VideoWriter(out / "attention.mp4", grid, None)


def write_artefacts(path: Path, artefacts: list[Artefacts]) -> None:
    """Store the counts of every frame, lists by name."""
    columns = zip(*artefacts, strict=True)
    table = {
        name: [round(float(value), 4) for value in column]
        for name, column in zip(Artefacts._fields, columns, strict=True)
    }
    path.write_text(json.dumps(table) + "\n", encoding="utf-8")
