"""The whole flow on one capture: preprocess, train, fit motion, animate, render, evaluate.

A step whose inputs and options have not changed is not done again (``step.py``), so an interrupted
run goes on where it stopped.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from services.embedded.run_result import RunResult, gather_results, selfdriven_notes
from services.embedded.step import Step, StepRunner
from services.trainer.options import Preset
from shared.contracts.artifact import read_manifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.errors import InvalidInput
from shared.settings import read_settings


class RunOptions(BaseModel):
    """Choices of ``talksplat run``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: str = "rigged_gaussians"
    """Registry name of the avatar method."""
    method_options: dict[str, int | float | str | bool] = {}
    """Structure of the method; each method names its own."""
    preset: Preset = "standard"
    """Effort of the training."""
    holdout_seconds: float = Field(default=0.0, ge=0)
    """Seconds at the end of the capture kept from training and re-spoken for the scores."""
    motion_model: Path | None = None
    """Folder of another capture's motion model, for a capture without sound."""
    head_model: str = "open_head"
    """Registry name of the head model."""
    rasterizer: str = "cpu"
    """Registry name of the rasterizer."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything random."""


class Flow(NamedTuple):
    """What a run works on."""

    capture: Path
    speech: Path | None
    options: RunOptions
    out: Path
    models_dir: Path | None = None

    @property
    def dataset(self) -> Path:
        """Tracked dataset."""
        return self.out / "dataset"

    @property
    def avatar(self) -> Path:
        """Avatar."""
        return self.out / "avatar"

    @property
    def heldout(self) -> Path:
        """Motions, videos and scores of the held-out part."""
        return self.out / "heldout"


def run_flow(flow: Flow, runner: StepRunner) -> RunResult:
    """Do what is not yet done and gather the results in ``flow.out``.

    Raises:
        InvalidInput: ``no_speech_given`` there is nothing to say; ``no_audio`` the capture has no
            sound and no other motion model is named; and the refusals of the stages.
    """
    _check_there_is_something_to_say(flow)
    for step in _avatar_steps(flow):
        runner.do(step)
    about = read_manifest(flow.dataset, TrackedDatasetManifest)
    for step in _video_steps(flow, has_audio=about.has_audio, runner=runner):
        runner.do(step)
    return gather_results(flow.out, runner.seconds)


def _check_there_is_something_to_say(flow: Flow) -> None:
    from shared.media.video import probe_video

    options = flow.options
    if flow.speech is None and not options.holdout_seconds:
        raise InvalidInput(
            "no_speech_given",
            "there is nothing to say: name a recording with --speech, or keep the last seconds of "
            "the capture with --holdout, whose own sound is then spoken again",
        )
    if options.motion_model is None and not probe_video(flow.capture).has_audio:
        raise InvalidInput(
            "no_audio",
            f"{flow.capture.name} has no sound to learn speaking from; capture with a microphone, "
            "or name the motion model of another capture with --motion-model",
        )


def _avatar_steps(flow: Flow) -> Iterator[Step]:
    """Capture to tracked dataset to avatar."""
    from services.preprocess.options import PrepareOptions
    from services.preprocess.prepare import prepare_dataset
    from services.trainer.options import TrainOptions
    from services.trainer.train import train_avatar

    chosen = flow.options
    prepare = PrepareOptions(
        holdout_seconds=chosen.holdout_seconds, head_model=chosen.head_model, seed=chosen.seed
    )
    run_prepare = partial(
        prepare_dataset, flow.capture, prepare, flow.dataset, models_dir=flow.models_dir
    )
    yield Step(
        "preprocess",
        ("services/preprocess", "shared"),
        flow.dataset,
        (flow.capture,),
        prepare,
        run_prepare,
    )
    train = TrainOptions(
        method=chosen.method,
        method_options=chosen.method_options,
        preset=chosen.preset,
        rasterizer=chosen.rasterizer,
        seed=chosen.seed,
    )
    run_train = partial(train_avatar, flow.dataset, train, flow.avatar)
    yield Step(
        "train", ("services/trainer", "shared"), flow.avatar, (flow.dataset,), train, run_train
    )


def _video_steps(flow: Flow, *, has_audio: bool, runner: StepRunner) -> Iterator[Step]:
    """Avatar to videos and scores."""
    from services.audio2motion.animate_options import AnimateOptions
    from services.audio2motion.fit import FitMotionOptions, fit_motion_model
    from services.audio2motion.predict import animate_avatar

    chosen = flow.options
    own_model = flow.avatar / "motion_model"
    if has_audio:
        fit = FitMotionOptions(seed=chosen.seed)
        run_fit = partial(fit_motion_model, flow.dataset, fit, own_model)
        yield Step(
            "fit-motion",
            ("services/audio2motion", "shared"),
            own_model,
            (flow.dataset,),
            fit,
            run_fit,
        )
    if chosen.holdout_seconds:
        for kind in ("selfdriven", "spoken") if has_audio else ("selfdriven",):
            yield from _heldout_steps(flow, kind, runner)
    speech = flow.speech or flow.heldout / "spoken_motion" / "audio.wav"
    motion = flow.out / "motion"
    animate = AnimateOptions(motion_model=chosen.motion_model, seed=chosen.seed)
    inputs = (flow.avatar, chosen.motion_model or own_model, speech)
    run_animate = partial(animate_avatar, flow.avatar, speech, animate, motion)
    yield Step("animate", ("services/audio2motion", "shared"), motion, inputs, animate, run_animate)
    yield _render_step(flow, "render", motion, flow.out / "video")
    yield _evaluate_step(flow, "video", flow.out / "video", runner)


def _heldout_steps(flow: Flow, kind: str, runner: StepRunner) -> Iterator[Step]:
    """Re-speak what was held out: from the sound alone, or with the tracked expression."""
    from services.audio2motion.predict import animate_heldout

    motion, video = flow.heldout / f"{kind}_motion", flow.heldout / f"{kind}_video"
    is_selfdriven = kind == "selfdriven"
    model = () if is_selfdriven else (flow.avatar / "motion_model",)
    inputs = (flow.avatar, flow.dataset, *model)
    run = partial(animate_heldout, flow.avatar, flow.dataset, is_selfdriven, motion)
    yield Step(
        f"animate {kind}", ("services/audio2motion", "shared"), motion, inputs, flow.options, run
    )
    yield _render_step(flow, f"render {kind}", motion, video, dataset=flow.dataset)
    yield _evaluate_step(flow, kind, video, runner)


def _render_step(
    flow: Flow, name: str, motion: Path, video: Path, dataset: Path | None = None
) -> Step:
    from services.renderer.render import render_video
    from services.renderer.shot import RenderOptions

    options = RenderOptions(rasterizer=flow.options.rasterizer)
    run = partial(render_video, flow.avatar, motion, options, video, dataset=dataset)
    inputs = (flow.avatar, motion) if dataset is None else (flow.avatar, motion, dataset)
    return Step(name, ("services/renderer", "shared"), video, inputs, options, run)


def _evaluate_step(flow: Flow, kind: str, video: Path, runner: StepRunner) -> Step:
    from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video

    is_heldout = kind != "video"
    scores = video.with_name(video.name.replace("video", "scores"))
    motion = video.with_name(video.name.replace("video", "motion")) if is_heldout else None
    judged = EvaluateInputs(
        video=video,
        reference=flow.capture if is_heldout else None,
        dataset=flow.dataset,
        motion=motion,
    )
    label = f"held-out part, {kind}" if is_heldout else "the speech"
    options = EvaluateOptions(label=label, models_dir=read_settings(os.environ).models_dir)
    notes = selfdriven_notes(flow.out) if kind == "spoken" else []
    told = options.model_copy(update={"stage_seconds": dict(runner.seconds), "notes": notes})
    run = partial(evaluate_video, judged, told, scores)
    inputs = (video, flow.dataset, *((flow.capture, motion) if motion else ()))
    return Step(f"evaluate {kind}", ("services/evaluator", "shared"), scores, inputs, options, run)
