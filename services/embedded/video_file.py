"""A video as one file, where people want it; the rest of its artifact lies beside it."""

import shutil
from pathlib import Path

from services.renderer.render import render_video
from services.renderer.shot import RenderOptions
from shared.contracts.artifact import Manifest
from shared.progress import Progress


def render_to_file(
    avatar: Path, motion: Path, options: RenderOptions, out: Path, progress: Progress
) -> Manifest:
    """Render into ``out`` (a file) and keep the artifact in the folder named after it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_suffix("")
    manifest = render_video(avatar, motion, options, folder, progress)
    shutil.copyfile(folder / manifest.file, out)
    if options.attention:
        maps = folder / "attention.mp4"
        shutil.copyfile(maps, out.with_name(f"{out.stem}_attention.mp4"))
    return manifest
