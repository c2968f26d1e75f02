"""Figures from what somebody supplies: OpenFace's tables, a motion, a video's bars."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.evaluator.metric import Evidence, FaceTrack
from services.evaluator.metrics import aue, blendshape_error, identity, lse_c, lse_d, lve
from services.evaluator.quality import require_quality, shortfalls
from services.evaluator.supplied import (
    LOWER_UNITS,
    UPPER_UNITS,
    read_action_units,
    read_expressions,
)
from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.contracts.scores import Score
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.dataset_reader import TrackedDataset
from shared.errors import InvalidInput
from shared.head_model import save_head_model
from shared.head_models import open_head

F32 = NDArray[np.float32]

NOBODY = FaceTrack(np.full((3, 478, 3), np.nan, np.float32), 512)
NOTHING = Evidence(25, NOBODY, None, None, None, None)


def openface_table(path: Path, values: NDArray[np.float64], *, success: str = "1") -> Path:
    """A table as FeatureExtraction writes it: spaces behind commas, columns by number."""
    units = sorted(LOWER_UNITS + UPPER_UNITS)
    order = [(LOWER_UNITS + UPPER_UNITS).index(unit) for unit in units]
    header = ", ".join(["frame", "success", *(f"AU{unit:02d}_r" for unit in units), "AU45_c"])
    lines = [
        ", ".join([str(n), success, *(f"{row[place]:.3f}" for place in order), "0"])
        for n, row in enumerate(values, 1)
    ]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_aue_is_the_sum_of_the_units_mean_squares(tmp_path: Path) -> None:
    """One lower unit wrong by 2, one upper by 1, in half of the frames."""
    truth = np.ones((4, 17))
    judged = truth.copy()
    judged[:2, LOWER_UNITS.index(25)] += 2
    judged[:2, len(LOWER_UNITS) + UPPER_UNITS.index(45)] += 1
    pair = read_action_units(
        openface_table(tmp_path / "a.csv", judged), openface_table(tmp_path / "b.csv", truth)
    )

    score = aue.score(NOTHING._replace(action_units=pair))

    assert 2.5 == pytest.approx(score.value)
    assert {"lower": 2.0, "upper": 0.5} == pytest.approx(score.details)


def test_frames_without_a_face_do_not_count(tmp_path: Path) -> None:
    """OpenFace's success column."""
    table = openface_table(tmp_path / "a.csv", np.zeros((3, 17)), success="0")

    score = aue.score(NOTHING._replace(action_units=read_action_units(table, table)))

    assert score.value is None
    assert "no frame" in str(score.unavailable)


@pytest.mark.parametrize("text", ["", "frame, AU12_r\n1, 0.5\n", "PK\x03", "frame\n"])
def test_what_is_no_table_of_units_is_refused(text: str, tmp_path: Path) -> None:
    """With the name of the file."""
    good = openface_table(tmp_path / "good.csv", np.zeros((3, 17)))
    bad = tmp_path / "bad.csv"
    bad.write_text(text, encoding="utf-8")

    with pytest.raises(InvalidInput, match=r"bad\.csv") as refusal:
        read_action_units(good, bad)

    assert "bad_action_units" == refusal.value.code


def test_tables_of_other_frames_are_refused(tmp_path: Path) -> None:
    """Ten rows more are not the same frames."""
    tables = [openface_table(tmp_path / f"{n}.csv", np.zeros((n, 17))) for n in (30, 40)]

    with pytest.raises(InvalidInput, match="30 rows and"):
        read_action_units(*tables)


@pytest.fixture
def dataset(tmp_path: Path) -> TrackedDataset:
    """Five frames of the open head, the last three held out, the fourth rejected."""
    model = open_head.build()
    folder = tmp_path / "dataset"
    folder.mkdir()
    save_head_model(folder / "head_model.npz", model)
    names = list(model.expression_names)
    tracking = motion_arrays(5, len(names))
    tracking["shape"] = np.zeros(len(model.shape_basis), np.float32)
    tracking["is_valid"] = np.array([True, True, True, False, True])
    manifest = TrackedDatasetManifest(
        n_frames=5, n_train=2, capture_sha256="0" * 64, capture_width=64, capture_height=64,
        crop_size=64, head_model="open_head", expression_names=names, tracker="fake",
        has_audio=False, audio_offset_ms=None, warnings=[], rejected=[],
    )  # fmt: skip
    return TrackedDataset(folder, manifest, tracking)


def motion_arrays(n_frames: int, n_expressions: int) -> dict[str, NDArray[np.generic]]:
    """A head at rest."""
    sizes = {"expr": n_expressions, "eyes_pose": 6}
    return {name: np.zeros((n_frames, sizes.get(name, 3)), np.float32) for name in MOTION_TABLE}


def write_motion(folder: Path, jaw_rad: float, names: list[str]) -> Path:
    """Three frames with the jaw opened and one coefficient at a half."""
    arrays = motion_arrays(3, len(names))
    arrays["jaw_pose"][:, 0] = jaw_rad
    arrays["expr"][:, 0] = 0.5
    folder.mkdir()
    write_arrays(folder / "motion.npz", arrays, MOTION_TABLE)
    write_manifest(
        folder,
        MotionManifest(
            fps=25, n_frames=3, head_model="open_head", expression_names=names,
            motion_model="tracked", audio_encoder=None, pose_source="tracked",
        ),
    )  # fmt: skip
    return folder


def test_a_motion_is_compared_with_the_held_out_frames(
    dataset: TrackedDataset, tmp_path: Path
) -> None:
    """Rejected frames do not count; the jaw opens the lips by millimetres."""
    names = dataset.manifest.expression_names
    motion = write_motion(tmp_path / "motion", 0.1, names)

    pair = read_expressions(motion, dataset)

    assert (3, len(names)) == pair.driven.shape
    assert [False, True, False] == np.isnan(pair.tracked).all(axis=1).tolist()
    error = blendshape_error.score(NOTHING._replace(expressions=pair))
    assert 0.5 / len(names) == pytest.approx(error.value, abs=1e-6)
    assert 0.1 == pytest.approx(error.details["jaw_rad"], abs=1e-6)
    lips = lve.score(NOTHING._replace(expressions=pair))
    moved = np.square(1000 * (pair.driven_lips - pair.tracked_lips)[0]).sum(-1).max()
    assert float(moved) == pytest.approx(lips.value, rel=1e-4)
    assert 4 < float(moved) < 400  # 2 to 20 mm
    assert 0.0 == lips.baselines["mean"]


def test_a_motion_of_another_head_is_refused(dataset: TrackedDataset, tmp_path: Path) -> None:
    """Its coefficients mean something else."""
    motion = write_motion(tmp_path / "motion", 0.1, ["jawOpen"])

    with pytest.raises(InvalidInput) as refusal:
        read_expressions(motion, dataset)

    assert "motion_incompatible" == refusal.value.code


def test_lve_takes_the_worst_lip_of_each_frame() -> None:
    """One landmark off by 3 mm in one of two frames."""
    tracked = np.zeros((2, 40, 3), np.float32)
    driven = tracked.copy()
    driven[0, 7, 1] = 0.003

    assert [9.0, 0.0] == pytest.approx(lve.lip_vertex_error(driven, tracked).tolist(), rel=1e-5)


def test_identity_is_the_mean_similarity() -> None:
    """Of the frames in which both show a face."""
    found = identity.score(NOTHING._replace(identity=np.array([0.9, np.nan, 0.7])))

    assert 0.8 == pytest.approx(found.value)
    assert {"n_frames": 2.0} == found.details


@pytest.mark.parametrize("metric", [lse_c, lse_d], ids=["lse_c", "lse_d"])
def test_lse_without_weights_is_not_available(metric: object) -> None:
    """The reason is the one that was found, and no other figure stands in."""
    score = metric.score(NOTHING._replace(lip_sync="syncnet_v2.model is missing"))  # type: ignore[attr-defined]

    assert score.value is None
    assert "syncnet_v2.model is missing" == score.unavailable


SCORES = {
    "psnr": Score(value=31.0, unit="dB", higher_is_better=True),
    "lmd": Score(value=2.0, unit="px", higher_is_better=False),
    "av_offset": Score(value=-60.0, unit="ms", higher_is_better=None),
    "lse_c": Score(value=None, unit="1", higher_is_better=True, unavailable="no weights"),
}


@pytest.mark.parametrize(
    ("name", "bar", "said"),
    [
        ("psnr", 31.0, ""),
        ("psnr", 31.5, "psnr is 31 dB, at least 31.5 is wanted"),
        ("lmd", 2.0, ""),
        ("lmd", 1.5, "lmd is 2 px, at most 1.5 is wanted"),
        ("av_offset", 60.0, ""),
        ("av_offset", 40.0, "av_offset is -60 ms, at most 40 is wanted"),
        ("lse_c", 5.0, "lse_c is not available: no weights"),
        ("charm", 1.0, "there is no figure charm"),
    ],
)
def test_a_bar_is_reached_or_told(name: str, bar: float, said: str) -> None:
    """By the direction of the figure; what was not measured has not reached it."""
    assert ([said] if said else []) == shortfalls(SCORES, {name: bar})


def test_a_video_below_its_bars_is_refused() -> None:
    """All that is below in one message."""
    with pytest.raises(InvalidInput, match=r"psnr is 31 dB.*lmd is 2 px") as refusal:
        require_quality(SCORES, {"psnr": 40.0, "lmd": 1.0, "av_offset": 80.0})

    assert "quality_below" == refusal.value.code
