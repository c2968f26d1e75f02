"""fit-motion and animate: from how somebody speaks to a motion that says something."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from services.embedded.commands.running import do_stage, read_choices
from services.embedded.commands.words import ExistingFile, ExistingFolder, JsonOption, SeedOption
from shared.contracts.artifact import Manifest
from shared.progress import Progress


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

    emotional needs labels: emotions.csv in each dataset, with the columns seconds, emotion (a word
    of yours, or neutral) and intensity (0 to 1), in a line between rows.

    Frames that the datasets hold out are not learned from; heldout.json tells how well the model
    speaks them. Interrupted, a training resumes from its last checkpoint.

    \b
    talksplat fit-motion dataset -o avatar/motion_model
    talksplat fit-motion may obama -o model --motion-model speaker_translator
    talksplat fit-motion calm glad -o model --motion-model emotional
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
    emotion: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Emotions over time, from a CSV."),
    ] = None,
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
    talksplat animate avatar hello.wav -o motion --motion-model model --emotion feelings.csv
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
            "emotions": emotion,
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
