"""The step that steadies head poses by optical flow (SyncTalk's head-sync stabiliser).

Flow from one training frame to every other follows points of the skin that move with the skull;
bundle adjustment finds the poses that explain them best. The result lies beside the tracked poses,
and an avatar method chooses. Departures: the reference is the most usual training frame, not the
second; candidates are on the mesh, clear of the jaw; the adjustment is Gauss-Newton's; held-out
frames have no part in choosing and placing the points.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.flow_bundle import Followed, HeadPoses, adjust_poses
from services.preprocess.flow_points import (
    SPACING,
    choose_candidates,
    choose_points,
    restlessness,
)
from services.preprocess.frame_pool import map_frames
from services.preprocess.head_fit import HeadFit
from services.preprocess.optical_flow import FlowEngine, open_flow
from services.preprocess.projection import pose_of
from services.preprocess.workspace import (
    CaptureReport,
    Job,
    Report,
    load_fit,
    load_report,
    load_step,
    save_report,
)
from shared.contracts.artifact import write_arrays
from shared.contracts.tracked_dataset import FLOW_POSE_TABLE, REGIONS
from shared.head_model import neutral_vertices, pose_vertices
from shared.media.image import read_gray, read_rgb
from shared.progress import Progress, part_of
from shared.rigging.seeding import bind_pixels
from shared.rigging.triangle_frames import triangle_frames

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

STEADY = tuple(REGIONS.index(name) for name in ("face", "nose", "brows", "ears"))
JAW = 2
"""Joint that a steady point must not hang on."""
MAX_JAW_WEIGHT = 0.05
MARGIN = 1 / 100
"""Points keep this share of the picture's side from the border of their regions."""
MIN_POINTS = 12
MAX_ERROR = 1 / 256
"""Of the picture's side: in a frame whose points lie further off the flow has lost the head."""


class FlowReport(Report):
    """Left by ``flow``."""

    engine: str
    """``raft_small`` or ``dis``."""
    reference: int
    """Frame that flow starts from."""
    n_points: int
    error_px: float
    """Median distance of points to flow, median over training frames."""
    lost: list[int]
    """Frames whose pose is the tracked one, changed as their neighbours' are."""


def run_flow(job: Job, progress: Progress) -> None:
    """Write ``flow_pose.npz``."""
    facts = load_report(job.space, "track", CaptureReport)
    is_valid = load_step(job.space, "crop")["is_valid"].astype(np.bool_)
    fit = load_fit(job.space)
    engine = open_flow(job.models_dir)
    reference = usual_frame(fit, is_valid, facts.n_train)
    side = read_rgb(job.space.frame(reference)).shape[0]
    places = candidates_of(job, reference, side)
    flows = follow(job, engine, reference, places, part_of(progress, 0.0, 0.9))
    training = flows[: facts.n_train][is_valid[: facts.n_train]]
    chosen = choose_points(places, restlessness(training)) if len(places) else places[:, 0] > 0
    points, allowed = points_on_head(fit, reference, places[chosen], side)
    progress(0.9, "adjusting head poses to the flow")
    tracked = poses_of(fit)
    error = np.full(facts.n_frames, np.inf)
    poses = tracked
    if allowed.sum() >= MIN_POINTS:
        pixels = (places[chosen] + 0.5 + flows[:, chosen])[:, allowed].astype(np.float64)
        seen = Followed(pixels, fit.Ks.double().numpy(), fit.viewmat.double().numpy())
        poses, error = adjust_poses(seen, tracked, points[allowed], is_valid, facts.n_train)
    is_lost = ~is_valid | (error > MAX_ERROR * side)
    poses = bridge(poses, tracked, is_lost, facts.n_train)
    root = fit.head_model.joints[0].double().numpy()
    arrays = {
        "rotation": Rotation.from_matrix(poses.turn).as_rotvec().astype(np.float32),
        "translation": (poses.place - root).astype(np.float32),
    }
    write_arrays(job.space.folder / "flow_pose.npz", arrays, FLOW_POSE_TABLE)
    trained = error[: facts.n_train][~is_lost[: facts.n_train]]
    report = FlowReport(
        engine=engine.name,
        reference=reference,
        n_points=int(allowed.sum()),
        error_px=round(float(np.median(trained)), 3) if trained.size else 0.0,
        lost=np.flatnonzero(is_lost).tolist(),
    )
    save_report(job.space, "flow", report)


def bridge(poses: HeadPoses, tracked: HeadPoses, is_lost: Bools, n_train: int) -> HeadPoses:
    """Poses whose lost frames change the tracked pose as the frames before and after do."""
    apart = Rotation.from_matrix(poses.turn @ tracked.turn.transpose(0, 2, 1)).as_rotvec()
    change = np.concatenate([apart, poses.place - tracked.place], 1)
    frames = np.arange(len(change))
    for part in (frames[:n_train], frames[n_train:]):
        known = part[~is_lost[part]]
        for column in change.T:  # views
            column[part] = np.interp(part, known, column[known]) if len(known) else 0.0
    turn = Rotation.from_rotvec(change[:, :3]).as_matrix() @ tracked.turn
    return HeadPoses(turn, tracked.place + change[:, 3:])


def usual_frame(fit: HeadFit, is_valid: Bools, n_train: int) -> int:
    """The valid training frame nearest to the median pose."""
    frames = np.flatnonzero(is_valid[:n_train])
    pose = torch.cat([fit.rotation, fit.translation], 1).numpy()[frames]
    away = np.abs(pose - np.median(pose, 0)) / (pose.std(0) + 1e-6)
    return int(frames[away.sum(1).argmin()])


def candidates_of(job: Job, reference: int, side: int) -> NDArray[np.int64]:
    """Pixels of the reference frame that may be followed. [M, 2]"""
    allowed = np.isin(read_gray(job.space.regions(reference)), STEADY).astype(np.uint8)
    margin = 2 * round(MARGIN * side) + 1
    inner = cv2.erode(allowed, np.ones((margin, margin), np.uint8))
    return choose_candidates(inner > 0, max(1, round(SPACING * side)))


def follow(
    job: Job,
    engine: FlowEngine,
    reference: int,
    places: NDArray[np.int64],
    progress: Progress,
) -> F32:
    """Flow of the candidates from the reference to every frame. [T, M, 2]"""
    facts = load_report(job.space, "track", CaptureReport)
    first = read_rgb(job.space.frame(reference))
    flows = np.zeros((facts.n_frames, len(places), 2), np.float32)
    pictures = map_frames(lambda index: read_rgb(job.space.frame(index)), range(facts.n_frames))
    for index, picture in enumerate(pictures):
        flows[index] = engine.find(first, picture)[places[:, 1], places[:, 0]]
        progress(index / facts.n_frames, f"following the head, frame {index}")
    return flows


def points_on_head(
    fit: HeadFit, reference: int, places: NDArray[np.int64], side: int
) -> tuple[NDArray[np.float64], Bools]:
    """Where pixels of the reference lie on the head, about its root; which hang not on the jaw.

    Returns:
        Places [M, 3] m, and whether each is steady [M].
    """
    if not len(places):
        return np.zeros((0, 3)), np.zeros(0, np.bool_)
    model, pose = fit.head_model, pose_of(fit, reference)
    vertices = pose_vertices(model, neutral_vertices(model, fit.shape), pose)[0]
    bound = bind_pixels(
        torch.from_numpy(places).float() + 0.5,
        vertices,
        model.faces,
        torch.isin(model.face_regions, torch.tensor(STEADY, dtype=model.face_regions.dtype)),
        viewmat=fit.viewmat,
        K=fit.Ks[reference],
        crop_size=side,
    )
    frames = triangle_frames(vertices, model.faces)
    turned = (frames.rotations[bound.binding] @ bound.local[..., None])[..., 0]
    world = frames.centres[bound.binding] + turned * frames.sizes[bound.binding][:, None]
    poses = poses_of(fit)
    points = (world.double().numpy() - poses.place[reference]) @ poses.turn[reference]
    on_jaw = model.weights[model.faces[bound.binding], JAW].mean(1)
    return points, (on_jaw <= MAX_JAW_WEIGHT).numpy()


def poses_of(fit: HeadFit) -> HeadPoses:
    """Tracked head poses about the root joint."""
    turn = Rotation.from_rotvec(fit.rotation.double().numpy()).as_matrix()
    return HeadPoses(turn, (fit.translation + fit.head_model.joints[0]).double().numpy())
