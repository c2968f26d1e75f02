"""Every avatar method on real footage, and what one part of each is worth: make methods-table.

Each subject is tracked once. Each trial is then what ``talksplat run`` does after tracking, in a
process of its own whose memory is taken. What is done is not done again, unless code or options
have changed. TALKSPLAT_TEST_DATA names the footage.
"""

import argparse
import os
import shutil
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from pydantic import BaseModel

from services.embedded.run_flow import Flow, RunOptions, run_flow
from services.embedded.run_result import RunResult
from services.embedded.step import Step, StepRunner
from services.embedded.terminal import open_terminal, progress_bar
from services.preprocess.options import PrepareOptions
from services.preprocess.prepare import prepare_dataset
from shared.compute import prepare_compute
from shared.plugins import plugin_names
from shared.settings import read_settings
from tests.quality.methods_page import Trial, write_page

MethodOptions = dict[str, int | float | str | bool]

HELD_OUT_S = {"may_13s_512": 3.3, "obama_wh_30s_256_av": 6.0}
ABLATIONS: dict[str, MethodOptions] = {
    "gaussian_talker": {"attention": False},
    "speaker_blendshapes": {"n_residuals": 0},
    "surfel_talker": {"poses": "tracked"},
    "talking_gaussian": {"mouth": False},
}
"""One part of each method taken away."""


class Outcome(BaseModel):
    """What a process tells of its trial."""

    result: RunResult
    memory_mib: float


def main() -> None:
    """Do what is not done yet, then write the tables and the page."""
    parser = argparse.ArgumentParser(description="Train, score and compare every avatar method.")
    parser.add_argument("--out", type=Path, default=Path("methods_output"))
    parser.add_argument("--preset", choices=["draft", "standard", "high"], default="standard")
    parser.add_argument("--subjects", nargs="*", default=list(HELD_OUT_S), choices=HELD_OUT_S)
    methods = plugin_names("shared.avatar_methods")
    parser.add_argument("--methods", nargs="*", default=methods, choices=methods)
    parser.add_argument("--without-ablations", action="store_true")
    told = parser.parse_args()
    captures = Path(os.environ["TALKSPLAT_TEST_DATA"]).resolve() / "captures"
    trials: list[Trial] = []
    for subject in told.subjects:
        for method in told.methods:
            ablation = None if told.without_ablations else ABLATIONS.get(method)
            for options in [{}] if ablation is None else [{}, ablation]:
                chosen = RunOptions(
                    method=method,
                    method_options=options,
                    preset=told.preset,
                    holdout_seconds=HELD_OUT_S[subject],
                )
                trials.append(try_method(captures / f"{subject}.mp4", chosen, told.out / subject))
                write_page(told.out, trials)


def try_method(capture: Path, options: RunOptions, folder: Path) -> Trial:
    """One trial, in a process of its own."""
    words = [f"{name}={value}" for name, value in options.method_options.items()]
    label = " ".join([options.method, *words])
    out = folder / label.replace(" ", "_").replace("=", "_")
    track(capture, options, folder)
    record = out / "memory.json"
    if not record.is_file():
        # Of a trial that was stopped neither time nor memory would be known.
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        shutil.copytree(folder / "dataset", out / "dataset", copy_function=os.link)
        shutil.copytree(folder / ".talksplat", out / ".talksplat")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        outcome = processes.apply(run_measured, (capture, options, out, f"{capture.stem} {label}"))
    if not record.is_file() or outcome.memory_mib > float(record.read_text("utf-8")):
        # A trial that was done before is only read, and takes less.
        record.write_text(f"{outcome.memory_mib:.0f}\n", "utf-8")
    return Trial(
        capture=capture,
        label=label,
        folder=out,
        result=outcome.result,
        memory_mib=float(record.read_text("utf-8")),
    )


def track(capture: Path, options: RunOptions, folder: Path) -> None:
    """The step ``preprocess`` of ``talksplat run``, for all trials of a subject."""
    prepare_compute(read_settings(os.environ))
    prepare = PrepareOptions(
        holdout_seconds=options.holdout_seconds, head_model=options.head_model, seed=options.seed
    )
    out = folder / "dataset"
    run = partial(prepare_dataset, capture, prepare, out)
    code = ("services/preprocess", "shared")
    runner = StepRunner(folder, partial(progress_bar, open_terminal(is_json=False)))
    runner.do(Step("preprocess", code, out, (capture,), prepare, run))


def run_measured(capture: Path, options: RunOptions, out: Path, title: str) -> Outcome:
    """The rest of ``talksplat run``, and its peak memory above that of the imports."""
    prepare_compute(read_settings(os.environ))
    for stage in ("trainer.train", "audio2motion.predict", "renderer.render", "evaluator.evaluate"):
        import_module(f"services.{stage}")
    before = read_memory_mib("VmRSS")
    terminal = open_terminal(is_json=False)
    runner = StepRunner(out, lambda step: progress_bar(terminal, f"{title}: {step}"))
    result = run_flow(Flow(capture, None, options, out), runner)
    return Outcome(result=result, memory_mib=read_memory_mib("VmHWM") - before)


def read_memory_mib(field: str) -> float:
    """``VmRSS`` now, or ``VmHWM``, the most there has been, of this process."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return float(value.split()[0]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    main()
