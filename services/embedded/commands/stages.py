"""One command per stage."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.embedded.commands.running import (
    choose_rasterizer,
    do_stage,
    read_bars,
    read_choices,
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


def fit_motion(
    datasets: Annotated[list[Path], ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion model.")],
    motion_model: Annotated[str, typer.Option(help="Kind of motion model.")] = "speaker_regressor",
    audio_encoder: Annotated[
        str | None, typer.Option(help='Audio encoders to listen through, joined by "+".')
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=0, help="Optimizer steps, for models that are trained so.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn from tracked datasets, of one subject or many, how they move when speaking.

    Frames that the datasets hold out are not learned from; heldout.json tells how well the model
    speaks them. Interrupted, a training resumes from its last checkpoint.

    \b
    talksplat fit-motion dataset -o avatar/motion_model
    talksplat fit-motion may obama -o model --motion-model speaker_translator
    talksplat animate avatar hello.wav --motion-model model -o motion
    """

    def stage(progress: Progress) -> Manifest:
        from services.audio2motion.fit import FitMotionOptions, fit_on_datasets

        options = FitMotionOptions(
            motion_model=motion_model,
            audio_encoder=audio_encoder,
            max_steps=max_steps,
            seed=seed,
        )
        return fit_on_datasets(datasets, options, out, progress)

    do_stage("fit-motion", stage, out, is_json=as_json)


def animate(
    avatar: Annotated[Path, ExistingFolder],
    audio: Annotated[Path, ExistingFile],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion.")],
    motion_model: Annotated[
        str | None,
        typer.Option(help="Folder of another motion model, or the name of a published one."),
    ] = None,
    speaker_style: Annotated[
        int | None, typer.Option(help="For unitalker: whose style, 0 to 934; nobody's if absent.")
    ] = None,
    speaker_output: Annotated[
        str | None, typer.Option(help="For unitalker: D0 to D7; what suits the head if absent.")
    ] = None,
    pose: Annotated[
        Literal["capture", "fixed", "driver"],
        typer.Option(help="Head pose: the capture's, still, or the driver's."),
    ] = "capture",
    pose_keyframes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Head pose from a CSV of keyframes."),
    ] = None,
    driver: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Tracked dataset or motion to follow."),
    ] = None,
    driven: Annotated[
        list[str], typer.Option(metavar="REGION", help="mouth, brows or eyes follow the driver.")
    ] = [],  # noqa: B006 - Typer reads it once
    gain: Annotated[
        list[str], typer.Option(metavar="REGION=X", help="How far a region moves, 1 as predicted.")
    ] = [],  # noqa: B006 - same
    smooth: Annotated[
        list[str], typer.Option(metavar="REGION=SECONDS", help="Smoothing of a region.")
    ] = [],  # noqa: B006 - same
    blinks: Annotated[
        float | None, typer.Option(help="Blinks per minute; as in the capture if absent.")
    ] = None,
    articulation: Annotated[float, typer.Option(help="Gain on the mouth's motion.")] = 1.0,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Predict the motion of an avatar saying a recording.

    The regions are mouth, brows, eyes (lids and gaze) and head. Any of them may follow another
    performance instead of the sound: preprocess any video of anybody and name it as the driver.

    \b
    talksplat animate avatar hello.wav -o motion
    talksplat animate avatar hello.wav -o motion --motion-model other/avatar/motion_model
    talksplat animate avatar hello.wav -o motion --motion-model unitalker --speaker-style 17
    talksplat animate avatar hello.wav -o motion --driver actor --driven brows --driven eyes
    talksplat animate avatar hello.wav -o motion --pose-keyframes nod.csv --gain brows=1.5
    """
    from services.audio2motion.animate_options import AnimateOptions

    options = AnimateOptions.model_validate(
        {
            "pose_source": pose if pose_keyframes is None else "keyframes",
            "pose_keyframes": pose_keyframes,
            "driver": driver,
            "driven": driven,
            "gains": read_choices("--gain", gain),
            "smoothing_s": read_choices("--smooth", smooth),
            "blinks_per_minute": blinks,
            "articulation": articulation,
            "seed": seed,
        }
    )

    def stage(progress: Progress) -> Manifest:
        from services.audio2motion.predict import animate_avatar
        from services.audio2motion.pretrained import SpeakerChoice, ready_motion_model

        choice = SpeakerChoice(speaker_style, speaker_output)
        with ready_motion_model(motion_model, avatar, choice) as folder:
            chosen = options.model_copy(update={"motion_model": folder})
            return animate_avatar(avatar, audio, chosen, out, progress)

    do_stage("animate", stage, out, is_json=as_json)


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
