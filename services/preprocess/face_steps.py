"""The steps that look at the face: track, crop, fit, regions."""

import hashlib
import shutil
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from services.preprocess.decode import TrackedCapture, track_capture
from services.preprocess.fit_head import fit_head
from services.preprocess.frame_pool import map_frames
from services.preprocess.head_fit import HeadFit
from services.preprocess.photometric import refine_photometrically
from services.preprocess.projection import landmark_errors, project_head
from services.preprocess.regions import RegionSample, label_regions, learn_regions
from services.preprocess.screening import (
    MIN_FACE_PX,
    check_split,
    face_too_small,
    screen_capture,
)
from services.preprocess.shell_fit import fit_shell
from services.preprocess.shot_cuts import find_cuts
from services.preprocess.stabilise import (
    REPEAT,
    Crops,
    choose_crops,
    face_heights,
    fill_gaps,
    reject_frames,
    to_crop,
)
from services.preprocess.workspace import (
    CaptureReport,
    CropReport,
    FitReport,
    Job,
    load_fit,
    load_report,
    load_step,
    save_fit,
    save_report,
    save_step,
)
from shared.contracts.tracked_dataset import FPS, RejectedFrame
from shared.errors import InvalidInput
from shared.head_model import HeadSource, MeanHead
from shared.landmarks import inter_ocular
from shared.media.image import read_gray, read_rgb, write_jpeg, write_png
from shared.media.video import VideoInfo, read_frames
from shared.plugins import load_plugin
from shared.progress import Progress, part_of
from shared.tracker import Tracker

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_MIN_TRACKED_SHARE = 0.5
_MIN_LIVELINESS = 0.002  # eye distances per frame; captures of people have 0.02 and more
_MIN_RATE = 12.0
_TRUNCATED_S = 0.5
_SHARE_OF_LANDMARK_FIT = 0.4
_N_SAMPLES = 24  # training frames that region colours are learnt from


def run_track(job: Job, progress: Progress) -> None:
    """Screen the capture, decode it once, track the face in every frame, find cuts."""
    for name in ("frames", "mattes", "regions", "work"):
        shutil.rmtree(job.space.folder / name, ignore_errors=True)
    job.space.work.mkdir(parents=True)
    tracker = cast("Tracker", load_plugin("shared.trackers", job.options.tracker))
    progress(0.0, "looking at the capture")
    info = screen_capture(job.capture, tracker)
    tracked = track_capture(job.capture, tracker, info, progress)
    n_frames = len(tracked.landmarks)
    n_train = check_split(n_frames, job.options.n_held_out())
    _check_tracked(tracked)
    save_step(job.space, "track", {"landmarks": tracked.landmarks, "late_s": tracked.late_s})
    report = CaptureReport(
        sha256=sha256_of(job.capture),
        width=info.width,
        height=info.height,
        start_s=info.start_s,
        n_frames=n_frames,
        n_train=n_train,
        tracker=job.options.tracker,
        warnings=_truncated(info, n_frames),
    )
    save_report(job.space, "track", report)


def run_crop(job: Job, progress: Progress) -> None:
    """Reject frames, place the crop, write the cropped frames."""
    facts = load_report(job.space, "track", CaptureReport)
    tracked = load_step(job.space, "track")
    landmarks = tracked["landmarks"].astype(np.float32)
    capture_size = (facts.width, facts.height)
    rejected = reject_frames(landmarks, tracked["late_s"].astype(np.float32), capture_size)
    is_valid = np.ones(facts.n_frames, dtype=np.bool_)
    is_valid[[entry.frame for entry in rejected]] = False
    _check_valid(is_valid, rejected, facts.n_train)
    filled = fill_gaps(landmarks, is_valid, facts.n_train)
    height = float(np.median(face_heights(filled[: facts.n_train])))
    if height < MIN_FACE_PX:
        raise face_too_small(height)
    crops = choose_crops(filled, facts.n_train, capture_size, job.options.scale)
    _write_crops(job, crops, facts.n_frames, progress)
    arrays = {"boxes": crops.boxes, "landmarks": to_crop(filled, crops), "is_valid": is_valid}
    save_step(job.space, "crop", arrays)
    report = CropReport(
        size=crops.size,
        is_moving=crops.is_moving,
        face_height_px=round(height, 1),
        rejected=rejected,
        warnings=_moving_warning(crops),
    )
    save_report(job.space, "crop", report)


def run_fit(job: Job, progress: Progress) -> None:
    """Fit the head model to the person and to every frame."""
    facts = load_report(job.space, "track", CaptureReport)
    crop = load_report(job.space, "crop", CropReport)
    arrays = load_step(job.space, "crop")
    landmarks = arrays["landmarks"].astype(np.float32)
    is_valid = arrays["is_valid"].astype(np.bool_)
    progress(0.0, "fitting the head")
    fit = fit_head(landmarks, is_valid, facts.n_train, crop.size, load_head(job))
    fit = fit_shell(fit, lambda index: read_gray(job.space.matte(index)), facts.n_train, is_valid)
    fit = refine_photometrically(
        fit,
        lambda index: read_rgb(job.space.frame(index)),
        facts.n_train,
        is_valid,
        part_of(progress, _SHARE_OF_LANDMARK_FIT, 1.0),
    )
    save_fit(job.space, fit)
    report = _fit_report(fit, landmarks, is_valid, facts.n_train)
    save_report(job.space, "fit", report.model_copy(update={"head_model": job.options.head_model}))


def load_head(job: Job) -> MeanHead:
    """The chosen head model of the mean person."""
    source = cast("HeadSource", load_plugin("shared.head_models", job.options.head_model))
    return source.mean_head(job.models_dir)


def run_regions(job: Job, progress: Progress) -> None:
    """Label the regions of every frame."""
    facts = load_report(job.space, "track", CaptureReport)
    landmarks = load_step(job.space, "crop")["landmarks"].astype(np.float32)
    fit = load_fit(job.space)

    def sample(index: int) -> RegionSample:
        return RegionSample(
            frame=read_rgb(job.space.frame(index)),
            matte=read_gray(job.space.matte(index)),
            landmarks=landmarks[index],
            mesh=project_head(fit, index).mesh,
        )

    (job.space.folder / "regions").mkdir(exist_ok=True)
    progress(0.0, "learning the colours of regions")
    model = learn_regions([sample(index) for index in spread_over(facts.n_train, _N_SAMPLES)])

    def label(index: int) -> int:
        write_png(job.space.regions(index), label_regions(sample(index), model))
        return index

    for index in map_frames(label, range(facts.n_frames)):
        progress((index + 1) / facts.n_frames, f"labelling regions, frame {index}")


def spread_over(n_frames: int, n_wanted: int) -> list[int]:
    """Up to ``n_wanted`` frame numbers, evenly spread over ``n_frames``."""
    n_chosen = min(n_frames, n_wanted)
    return [int(index) for index in np.linspace(0, n_frames - 1, n_chosen)]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_tracked(tracked: TrackedCapture) -> None:
    """Raise what only the whole capture can tell."""
    cuts = find_cuts(tracked.thumbnails)
    if cuts:
        times = ", ".join(f"{cut / FPS:.2f} s" for cut in cuts[:10])
        raise InvalidInput(
            "shot_cut",
            f"the picture cuts to another shot at {times}; upload one uncut shot of the person",
        )
    found = ~np.isnan(tracked.landmarks[:, 0, 0])
    if found.mean() < _MIN_TRACKED_SHARE:
        raise InvalidInput(
            "no_face",
            f"a face in {found.sum()} of {found.size} frames; "
            "film the head facing the camera, in good light",
        )
    if _liveliness(tracked.landmarks[found]) < _MIN_LIVELINESS:
        raise InvalidInput(
            "still_image",
            "the face never moves: this is a still picture; film the person speaking",
        )


def _liveliness(landmarks: F32) -> float:
    """Movement of the face between frames in its livelier moments, in eye distances."""
    steps = np.linalg.norm(np.diff(landmarks[..., :2], axis=0), axis=-1).mean(axis=-1)
    return float(np.percentile(steps / np.maximum(inter_ocular(landmarks[1:]), 1.0), 90))


def _check_valid(is_valid: NDArray[np.bool_], rejected: list[RejectedFrame], n_train: int) -> None:
    n_repeats = sum(entry.reason.startswith(REPEAT) for entry in rejected)
    rate = FPS * (1 - n_repeats / is_valid.size)
    if rate < _MIN_RATE:
        raise InvalidInput(
            "frame_rate_too_low",
            f"the capture has {rate:.0f} pictures a second, at least {_MIN_RATE:.0f} are needed, "
            "25 and more give good results",
        )
    is_tracked = is_valid.copy()
    is_tracked[[entry.frame for entry in rejected if entry.reason.startswith(REPEAT)]] = True
    for side, part in (("training", is_tracked[:n_train]), ("held-out", is_tracked[n_train:])):
        if part.size and part.mean() < _MIN_TRACKED_SHARE:
            raise InvalidInput(
                "too_many_rejected",
                f"{(~part).sum()} of {part.size} {side} frames cannot be used; "
                "keep the face in view and the camera still",
            )


def _truncated(info: VideoInfo, n_frames: int) -> dict[str, str]:
    missing = info.duration_s - n_frames / FPS
    if missing < _TRUNCATED_S:
        return {}
    return {
        "truncated": f"the file announces {info.duration_s:.2f} s but only "
        f"{n_frames / FPS:.2f} s can be decoded"
    }


def _moving_warning(crops: Crops) -> dict[str, str]:
    if not crops.is_moving:
        return {}
    return {
        "moving_crop": "the head leaves a still crop, so the crop follows it; "
        "the background behind a moving crop is less certain"
    }


def _write_crops(job: Job, crops: Crops, n_frames: int, progress: Progress) -> None:
    """Decode again and write each frame's crop."""
    (job.space.folder / "frames").mkdir(exist_ok=True)

    def write(item: tuple[int, U8]) -> int:
        index, frame = item
        left, top, side = (int(value) for value in crops.boxes[index])
        part = frame[top : top + side, left : left + side]
        if side != crops.size:
            part = cv2.resize(part, (crops.size, crops.size), interpolation=cv2.INTER_AREA)
        write_jpeg(job.space.frame(index), np.ascontiguousarray(part, dtype=np.uint8))
        return index

    for index in map_frames(write, enumerate(read_frames(job.capture, FPS))):
        progress((index + 1) / n_frames, f"cropping frame {index}")


def _fit_report(
    fit: HeadFit, landmarks: F32, is_valid: NDArray[np.bool_], n_train: int
) -> FitReport:
    errors = np.where(is_valid, landmark_errors(fit, landmarks), 0.0)
    is_train = np.arange(len(errors)) < n_train
    held_out = errors[is_valid & ~is_train]
    return FitReport(
        error_px_train=round(float(np.median(errors[is_valid & is_train])), 3),
        error_px_held_out=round(float(np.median(held_out)), 3) if held_out.size else None,
        error_px_worst=round(float(errors.max()), 3),
        worst_frame=int(errors.argmax()),
    )
