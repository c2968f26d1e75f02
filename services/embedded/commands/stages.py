"""preprocess, train, render, evaluate: one command per stage."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.embedded.commands.running import (
    choose_rasterizer,
    do_stage,
    read_bars,
    read_method_options,
)
from services.embedded.commands.words import (
    DeviceOption,
    ExistingFile,
    ExistingFolder,
    HeadModelOption,
    JsonOption,
    MethodChoices,
    MethodOption,
    PresetOption,
    SeedOption,
)
from services.embedded.terminal import open_terminal
from shared.contracts.artifact import Manifest
from shared.progress import Progress
from shared.settings import read_settings


def preprocess(
    video: Annotated[Path, ExistingFile],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the tracked dataset.")],
    holdout: Annotated[
        float, typer.Option(min=0, help="Seconds at the end kept from training.")
    ] = 0.0,
    from_step: Annotated[
        str, typer.Option("--from", help="First step, after a correction by hand.")
    ] = "track",
    to_step: Annotated[str, typer.Option("--to", help="Last step.")] = "write",
    scale: Annotated[float, typer.Option(help="Widens the crop around the head.")] = 1.0,
    head_model: HeadModelOption = "open_head",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Track a capture: frames, masks, camera, head motion, sound.

    The steps in order: track crop matte plate fit regions flow sound write. Files of a step may be
    corrected by hand; continue with the next one. tracking.mp4 shows what was found.

    \b
    talksplat preprocess me.mp4 -o dataset --holdout 3
    talksplat preprocess me.mp4 -o dataset --from plate --to write
    talksplat preprocess me.mp4 -o dataset --head-model ict_face
    """
    from services.preprocess.options import PrepareOptions

    options = PrepareOptions.model_validate(
        {
            "holdout_seconds": holdout,
            "from_step": from_step,
            "to_step": to_step,
            "scale": scale,
            "head_model": head_model,
            "seed": seed,
        }
    )

    def stage(progress: Progress) -> Manifest | None:
        from services.preprocess.prepare import prepare_dataset

        models_dir = read_settings(os.environ).models_dir
        return prepare_dataset(video, options, out, progress, models_dir)

    do_stage("preprocess", stage, out, is_json=as_json)


def train(
    dataset: Annotated[Path, ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the avatar.")],
    method: MethodOption = "rigged_gaussians",
    method_option: MethodChoices = [],  # noqa: B006 - Typer reads it once
    part: Annotated[
        str | None, typer.Option(help="What surfel_talker moves: head, face or all.")
    ] = None,
    max_points: Annotated[
        int | None, typer.Option(min=100, help="Gaussians at most; the preset's if absent.")
    ] = None,
    preset: PresetOption = "standard",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train an avatar on a tracked dataset. Interrupted, it resumes from its last checkpoint.

    \b
    talksplat train dataset -o avatar --preset draft
    talksplat train dataset -o avatar --method gaussian_talker --method-option attention=false
    talksplat train dataset -o avatar --method surfel_talker --part face --max-points 20000
    talksplat train dataset -o avatar --method-option init=faces --method-option sh_degree=3
    """
    method_options = read_method_options(method_option)
    if part is not None:
        method_options["part"] = part

    def stage(progress: Progress) -> Manifest:
        from services.trainer.options import TrainOptions
        from services.trainer.train import train_avatar

        rasterizer = choose_rasterizer(open_terminal(is_json=as_json), device)
        options = TrainOptions(
            method=method,
            method_options=method_options,
            preset=preset,
            max_gaussians=max_points,
            rasterizer=rasterizer,
            seed=seed,
        )
        return train_avatar(dataset, options, out, progress)

    do_stage("train", stage, out, is_json=as_json)


def render(
    avatar: Annotated[Path, ExistingFolder],
    motion: Annotated[Path, ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Video file, .mp4 or .webm.")],
    background: Annotated[
        str, typer.Option(help="plate, alpha (webm), or a colour such as #00ff00.")
    ] = "plate",
    camera: Annotated[
        Literal["capture", "fixed", "orbit"], typer.Option(help="Path of the camera.")
    ] = "capture",
    height: Annotated[int | None, typer.Option(help="Pixels; the capture's if absent.")] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Write a video of what the avatar attends to, too.")
    ] = False,
    start: Annotated[
        float, typer.Option("--ss", min=0, help="Skip so many seconds of the motion.")
    ] = 0.0,
    regions: Annotated[
        str, typer.Option(help="Draw these face regions only, such as lips,teeth,nose.")
    ] = "",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Render a motion to a video file; its manifest and artefact counts lie beside it.

    \b
    talksplat render avatar motion -o hello.mp4
    talksplat render avatar motion -o hello.webm --background alpha
    talksplat render avatar motion -o end.mp4 --ss 12.5
    talksplat render avatar motion -o mouth.mp4 --regions lips,teeth --background "#808080"
    """
    wanted = ".webm" if background == "alpha" else ".mp4"
    if out.suffix != wanted:
        raise typer.BadParameter(f"--background {background} is written to a {wanted} file")
    rasterizer = choose_rasterizer(open_terminal(is_json=as_json), device)

    def stage(progress: Progress) -> Manifest:
        from services.embedded.video_file import render_to_file
        from services.renderer.shot import RenderOptions

        options = RenderOptions(
            background=background,
            camera=camera,
            height=height,
            start_seconds=start,
            regions=tuple(name.strip() for name in regions.split(",") if name.strip()),
            rasterizer=rasterizer,
            attention=attention,
        )
        return render_to_file(avatar, motion, options, out, progress)

    do_stage("render", stage, out, is_json=as_json)


def evaluate(
    video: Annotated[Path, typer.Argument(exists=True)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the scores.")],
    reference: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The capture.")
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The speech, if not the video's own sound."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Tells where the held-out part begins."),
    ] = None,
    motion: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="What drove the video; with --dataset."),
    ] = None,
    openface: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="CSV CSV",
            help="OpenFace's tables of the video and of the same frames of the capture.",
        ),
    ] = None,
    min_quality: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Fail below it, for example psnr=30; repeat."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a video, alone or against its capture, and write a report to read.

    \b
    talksplat evaluate hello.mp4 -o scores
    talksplat evaluate heldout.mp4 --reference me.mp4 --dataset dataset -o scores
    talksplat evaluate hello.mp4 --min-quality av_offset=80 -o scores
    """
    bars = read_bars(min_quality or [])

    def stage(progress: Progress) -> Manifest:
        from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video
        from services.evaluator.quality import require_quality

        tables = openface or (None, None)
        judged = EvaluateInputs(video, reference, audio, dataset, motion, *tables)
        models_dir = read_settings(os.environ).models_dir
        options = EvaluateOptions(label=video.name, models_dir=models_dir, min_quality=bars)
        manifest = evaluate_video(judged, options, out, progress)
        require_quality(manifest.scores, bars)
        return manifest

    do_stage("evaluate", stage, out, is_json=as_json)
