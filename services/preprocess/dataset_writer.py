"""The last step: tracking arrays, quality report, overlay video, manifest."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.preprocess.frame_pool import map_frames
from services.preprocess.overlay import (
    TrackedFrame,
    draw_tracking,
    encode_overlay,
    region_palette,
)
from services.preprocess.projection import project_head
from services.preprocess.quality import write_quality
from services.preprocess.sound import SoundReport
from services.preprocess.workspace import (
    CaptureReport,
    CropReport,
    FitReport,
    Job,
    load_fit,
    load_report,
    load_step,
)
from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.motion import MOTION_TABLE
from shared.contracts.tracked_dataset import FPS, TRACKING_TABLE, TrackedDatasetManifest
from shared.media.image import read_gray, read_rgb
from shared.progress import Progress

U8 = NDArray[np.uint8]


def run_write(job: Job, progress: Progress) -> None:
    """Write what readers of the dataset need; the manifest comes last."""
    facts = load_report(job.space, "track", CaptureReport)
    crop = load_report(job.space, "crop", CropReport)
    sound = load_report(job.space, "sound", SoundReport)
    crops = load_step(job.space, "crop")
    fit = load_fit(job.space)
    arrays = {
        name: getattr(fit, name).numpy() for name in (*MOTION_TABLE, "shape", "Ks", "viewmat")
    }
    arrays |= {
        "landmarks": crops["landmarks"].astype(np.float32),
        "crops": crops["boxes"].astype(np.float32),
        "is_valid": crops["is_valid"],
    }
    write_arrays(job.space.folder / "tracking.npz", arrays, TRACKING_TABLE)
    warnings = write_quality(job.space)
    reasons = {entry.frame: entry.reason for entry in crop.rejected}

    palette = region_palette()

    def draw(index: int) -> U8:
        tracked = TrackedFrame(
            frame=read_rgb(job.space.frame(index)),
            matte=read_gray(job.space.matte(index)),
            regions=read_gray(job.space.regions(index)),
            head=project_head(fit, index),
            reason=reasons.get(index, ""),
        )
        return draw_tracking(tracked, palette)

    def drawn() -> Iterator[U8]:
        for index, picture in enumerate(map_frames(draw, range(facts.n_frames))):
            progress(index / facts.n_frames, f"drawing the tracking, frame {index}")
            yield picture

    encode_overlay(job.space.folder / "tracking.mp4", drawn(), FPS)
    manifest = TrackedDatasetManifest(
        n_frames=facts.n_frames,
        n_train=facts.n_train,
        capture_sha256=facts.sha256,
        capture_width=facts.width,
        capture_height=facts.height,
        crop_size=crop.size,
        head_model=load_report(job.space, "fit", FitReport).head_model,
        expression_names=list(fit.head_model.expression_names),
        tracker=facts.tracker,
        has_audio=sound.has_audio,
        audio_offset_ms=sound.offset_ms,
        audio_correction_ms=sound.correction_ms,
        warnings=warnings,
        rejected=crop.rejected,
    )
    write_manifest(job.space.folder, manifest)
