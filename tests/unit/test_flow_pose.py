"""Head poses steadied by optical flow."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.flow_bundle import Followed, HeadPoses, adjust_poses, project
from services.preprocess.flow_points import choose_candidates, choose_points, restlessness
from services.preprocess.flow_pose import FlowReport, bridge, run_flow
from services.preprocess.options import PrepareOptions
from services.preprocess.workspace import (
    CaptureReport,
    Job,
    Workspace,
    load_report,
    save_fit,
    save_report,
    save_step,
)
from shared.contracts.artifact import read_arrays
from shared.contracts.tracked_dataset import FLOW_POSE_TABLE
from shared.dataset_reader import open_dataset, read_flow_pose
from shared.errors import InvalidInput
from shared.media.image import write_jpeg, write_png
from shared.progress import silent
from tests.tracked_person import make_fit, take_picture, write_tracked_dataset

N_FRAMES, N_TRAIN = 60, 45


def make_truth() -> tuple[Followed, HeadPoses, NDArray[np.float64]]:
    """A head that nods and sways, and its points as a camera sees them without error."""
    rng = np.random.default_rng(4)
    points = rng.uniform([-0.06, -0.06, 0.06], [0.06, 0.08, 0.1], (80, 3))
    time = np.arange(N_FRAMES) / 12
    turns = np.stack([0.08 * np.sin(time), 0.1 * np.sin(0.7 * time), 0.03 * np.cos(time)], 1)
    places = np.stack([0.01 * np.sin(0.5 * time), 0.005 * np.cos(time), 0 * time], 1)
    poses = HeadPoses(Rotation.from_rotvec(turns).as_matrix(), places)
    viewmat = np.diag([1.0, -1.0, -1.0, 1.0])
    viewmat[2, 3] = 0.8
    K = np.array([[900.0, 0, 128], [0, 900, 128], [0, 0, 1]])
    blank = Followed(np.zeros((N_FRAMES, 80, 2)), np.tile(K, (N_FRAMES, 1, 1)), viewmat)
    return blank._replace(pixels=project(blank, poses, points)), poses, points


def turns_off(found: HeadPoses, truth: HeadPoses) -> NDArray[np.float64]:
    """Angles between, without what is common to all frames. [T] rad"""
    apart = Rotation.from_matrix(found.turn @ truth.turn.transpose(0, 2, 1)).as_rotvec()
    return np.asarray(np.linalg.norm(apart - np.median(apart, 0), axis=1))


def wobble(truth: HeadPoses) -> HeadPoses:
    """Tracking that nods with every syllable."""
    time = np.arange(N_FRAMES)
    nod = np.stack([0.012 * np.sin(time * 1.3), 0.008 * np.cos(time * 0.9), 0 * time], 1)
    return HeadPoses(Rotation.from_rotvec(nod).as_matrix() @ truth.turn, truth.place)


def test_flow_takes_a_wobble_out_of_tracking() -> None:
    """What remains is a tenth, with points that the mesh has a millimetre off."""
    seen, truth, points = make_truth()
    tracked = wobble(truth)
    mesh = points + np.random.default_rng(1).normal(0, 1e-3, points.shape)

    found, error = adjust_poses(seen, tracked, mesh, np.ones(N_FRAMES, np.bool_), N_TRAIN)

    assert turns_off(found, truth).mean() < 0.15 * turns_off(tracked, truth).mean()
    assert error.max() < 0.2


def test_wild_points_hardly_count() -> None:
    """A tenth of them follow the lips instead."""
    seen, truth, points = make_truth()
    pixels = seen.pixels.copy()
    pixels[:, ::10] += 12 * np.sin(np.arange(N_FRAMES))[:, None, None]
    valid = np.ones(N_FRAMES, np.bool_)

    found, _ = adjust_poses(seen._replace(pixels=pixels), wobble(truth), points, valid, N_TRAIN)

    assert turns_off(found, truth).mean() < 0.3 * turns_off(wobble(truth), truth).mean()


def test_heldout_frames_place_no_points() -> None:
    """Whatever flow says of them, training poses stay to the last bit."""
    seen, truth, points = make_truth()
    other = seen.pixels.copy()
    other[N_TRAIN:] += 3
    valid = np.ones(N_FRAMES, np.bool_)

    one, _ = adjust_poses(seen, wobble(truth), points, valid, N_TRAIN)
    two, _ = adjust_poses(seen._replace(pixels=other), wobble(truth), points, valid, N_TRAIN)

    np.testing.assert_array_equal(one.turn[:N_TRAIN], two.turn[:N_TRAIN])
    assert not np.array_equal(one.turn[N_TRAIN:], two.turn[N_TRAIN:])


def test_lost_frames_change_as_their_neighbours_do() -> None:
    """Between them in the middle, like the nearest at an end, by nothing where all are lost."""
    _, tracked, _ = make_truth()
    offset = np.linspace(0, 0.01, N_FRAMES)[:, None] * np.ones(3)
    is_lost = np.zeros(N_FRAMES, np.bool_)
    is_lost[10:14] = is_lost[:2] = is_lost[N_TRAIN:] = True
    spoiled = offset + is_lost[:, None]

    found = bridge(tracked._replace(place=tracked.place + spoiled), tracked, is_lost, N_TRAIN)

    change = found.place - tracked.place
    np.testing.assert_allclose(offset[2:N_TRAIN], change[2:N_TRAIN], atol=1e-9)
    np.testing.assert_allclose(offset[[2, 2]], change[:2], atol=1e-9)
    np.testing.assert_allclose(0, change[N_TRAIN:], atol=1e-9)


def test_candidates_lie_on_a_lattice_where_they_may() -> None:
    """Every fifth pixel of what is allowed."""
    allowed = np.zeros((20, 20), np.bool_)
    allowed[:, :10] = True

    places = choose_candidates(allowed, 5)

    assert 8 == len(places)
    assert {2, 7} == set(places[:, 0].tolist())


def test_restless_points_are_left_out_in_every_cell() -> None:
    """Steady ones that pan fast are not restless; a jump of all points is nobody's fault."""
    rng = np.random.default_rng(0)
    places = choose_candidates(np.ones((100, 100), np.bool_), 5)
    flows = np.zeros((40, len(places), 2), np.float32)
    flows += np.arange(40)[:, None, None]
    flows[20:] += 30
    is_lip = np.arange(len(places)) % 3 == 0
    flows[:, is_lip] += 2 * rng.standard_normal((40, int(is_lip.sum()), 2)).astype(np.float32)

    chosen = choose_points(places, restlessness(flows))

    assert not (chosen & is_lip).any()
    assert (chosen | is_lip).all()


def test_the_step_leaves_poses_beside_the_tracked_ones(tmp_path: Path) -> None:
    """A rejected frame counts as lost; the report names the engine."""
    space = Workspace(tmp_path)
    for name in ("work", "frames", "regions"):
        (tmp_path / name).mkdir()
    fit = make_fit(30)
    for frame in range(30):
        picture = take_picture(fit, frame)
        write_jpeg(space.frame(frame), picture.image)
        write_png(space.regions(frame), picture.regions)
    is_valid = np.arange(30) != 7
    save_step(space, "crop", {"is_valid": is_valid})
    save_fit(space, fit)
    facts = CaptureReport(
        sha256="0" * 64,
        width=64,
        height=64,
        start_s=0.0,
        n_frames=30,
        n_train=25,
        tracker="mediapipe_mesh",
        warnings={},
    )
    save_report(space, "track", facts)

    run_flow(Job(tmp_path / "a.mp4", PrepareOptions(), space, None), silent)

    found = read_arrays(tmp_path / "flow_pose.npz", FLOW_POSE_TABLE)
    report = load_report(space, "flow", FlowReport)
    assert ("dis", True) == (report.engine, 7 in report.lost)
    assert (30, 3) == found["translation"].shape
    assert np.abs(found["rotation"] - fit.rotation.numpy()).max() < 0.2


@pytest.mark.parametrize(("spoil", "code"), [("absent", "no_flow_pose"), ("short", "bad_arrays")])
def test_poses_that_are_not_there_are_refused(tmp_path: Path, spoil: str, code: str) -> None:
    """With what to do; the plain tracked pose never takes their place unsaid."""
    folder = write_tracked_dataset(tmp_path / "dataset")
    path = folder / "flow_pose.npz"
    if spoil == "absent":
        path.unlink()
    else:
        np.savez(path, **{name: np.zeros((3, 3), np.float32) for name in FLOW_POSE_TABLE})

    with pytest.raises(InvalidInput, match="flow") as refused:
        read_flow_pose(open_dataset(folder))

    assert code == refused.value.code
