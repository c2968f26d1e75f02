"""The steps that tell the person from the scene: matte and plate."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from services.preprocess.face_steps import spread_over
from services.preprocess.frame_pool import map_frames
from services.preprocess.matte_prior import MattePrior, learn_prior, with_prior
from services.preprocess.matting import Background, refine_matte, segmenter
from services.preprocess.plate import MAX_SAMPLES, Plate, build_plate, clearance
from services.preprocess.workspace import (
    CaptureReport,
    CropReport,
    Job,
    MatteReport,
    PlateReport,
    load_report,
    load_step,
    save_report,
)
from shared.contracts.tracked_dataset import FPS
from shared.media.image import read_gray, read_rgb, write_png
from shared.media.video import read_frames
from shared.progress import Progress

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_MAX_SAMPLE_BYTES = 400_000_000
"""Memory for the pictures that the plate is made of."""
_N_ROUGH_SAMPLES = 64
_MIN_AGREEMENT = 0.8
"""Below it camera or background move, and the plate says nothing about the person's edge."""
_WELL_CLEAR = 3


def run_matte(job: Job, progress: Progress) -> None:
    """Segment the person in every frame, sharpened with a first guess of the background."""
    facts = load_report(job.space, "track", CaptureReport)
    crop = load_report(job.space, "crop", CropReport)
    (job.space.folder / "mattes").mkdir(exist_ok=True)
    landmarks = load_step(job.space, "crop")["landmarks"].astype(np.float32)
    with segmenter() as segment:
        progress(0.0, "looking at the background")
        prior, background = _first_look(job, segment, landmarks[: facts.n_train])
        if crop.is_moving:
            background = None

        def segmented() -> Iterator[tuple[int, U8, F32]]:
            for index in range(facts.n_frames):
                frame = read_rgb(job.space.frame(index))
                yield index, frame, segment(frame)

        def refine(item: tuple[int, U8, F32]) -> float:
            index, frame, probability = item
            probability = with_prior(probability, landmarks[index], prior)
            matte = refine_matte(frame, probability, background)
            write_png(job.space.matte(index), matte)
            return float(matte.mean()) / 255.0

        coverage = []
        for index, share in enumerate(map_frames(refine, segmented())):
            coverage.append(share)
            progress(0.2 + 0.8 * (index + 1) / facts.n_frames, f"cutting out frame {index}")
    report = MatteReport(
        coverage_min=round(min(coverage), 4),
        coverage_median=round(float(np.median(coverage)), 4),
        coverage_max=round(max(coverage), 4),
        is_background_known=background is not None,
    )
    save_report(job.space, "matte", report)


def run_plate(job: Job, progress: Progress) -> None:
    """Estimate the background at the capture's size from training frames.

    Where no crop reaches, the plate is what the camera usually sees there, the person included:
    a video is pasted into that, and shoulders must go on beyond the crop's edge.
    """
    facts = load_report(job.space, "track", CaptureReport)
    crop = load_report(job.space, "crop", CropReport)
    arrays = load_step(job.space, "crop")
    boxes = arrays["boxes"].astype(np.int64)
    usable = np.flatnonzero(arrays["is_valid"][: facts.n_train])
    n_samples = min(MAX_SAMPLES, _MAX_SAMPLE_BYTES // (3 * facts.width * facts.height))
    chosen = {int(usable[place]) for place in spread_over(len(usable), max(n_samples, 8))}
    is_cropped = np.zeros((facts.height, facts.width), dtype=np.bool_)
    for left, top, side in boxes[: facts.n_train]:
        is_cropped[top : top + side, left : left + side] = True
    frames: list[U8] = []
    clear: list[U8] = []
    for index, frame in enumerate(read_frames(job.capture, FPS)):
        if index in chosen:
            frames.append(frame)
            clear.append(_capture_clearance(job, index, boxes[index], is_cropped))
        progress(0.5 * (index + 1) / facts.n_train, f"looking behind the person, frame {index}")
        if index + 1 >= facts.n_train:
            break
    plate = build_plate(frames, clear)
    write_png(job.space.folder / "plate.png", plate.colour)
    report = PlateReport(
        seen=round(float(plate.is_seen[is_cropped].mean()), 4),
        noise_levels=round(plate.noise, 3),
        agreement=round(plate.agreement, 4),
        warnings=_plate_warnings(plate, is_moving=crop.is_moving),
    )
    save_report(job.space, "plate", report)


def _first_look(
    job: Job, segment: Callable[[U8], F32], landmarks: F32
) -> tuple[MattePrior, Background | None]:
    """Where the person usually is, and the background if it keeps still, from training frames."""
    chosen = spread_over(len(landmarks), _N_ROUGH_SAMPLES)
    frames = [read_rgb(job.space.frame(index)) for index in chosen]
    masks = [segment(frame) for frame in frames]
    prior = learn_prior(masks, landmarks[chosen])
    clear = [
        clearance(_to_levels(with_prior(mask, landmarks[index], prior)))
        for index, mask in zip(chosen, masks, strict=True)
    ]
    plate = build_plate(frames, clear)
    if plate.agreement < _MIN_AGREEMENT or not plate.is_seen.any():
        return prior, None
    return prior, Background(plate.colour, plate.is_seen, plate.noise)


def _capture_clearance(
    job: Job, index: int, box: NDArray[np.int64], is_cropped: NDArray[np.bool_]
) -> U8:
    """``plate.clearance`` of a frame at the capture's size. [H, W]"""
    level = np.where(is_cropped, 0, _WELL_CLEAR).astype(np.uint8)
    left, top, side = (int(value) for value in box)
    inside = clearance(read_gray(job.space.matte(index)))
    if inside.shape[0] != side:
        inside = cv2.resize(inside, (side, side), interpolation=cv2.INTER_NEAREST)
    level[top : top + side, left : left + side] = inside
    return level


def _plate_warnings(plate: Plate, *, is_moving: bool) -> dict[str, str]:
    if plate.agreement >= _MIN_AGREEMENT and not is_moving:
        return {}
    return {
        "moving_background": f"only {plate.agreement:.0%} of what the person uncovers agrees with "
        "one background picture: camera or background move; use a tripod"
    }


def _to_levels(probability: F32) -> U8:
    return np.clip(np.rint(probability * 255), 0, 255).astype(np.uint8)
