"""Every metric keeps the contract in ``services/evaluator/metric.py``."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from services.evaluator.lip_sync.distances import SyncDistances
from services.evaluator.lip_sync.measure import LipSync
from services.evaluator.metric import Evidence, FaceTrack
from services.evaluator.supplied import ActionUnitPair, ExpressionPair
from shared.contracts.scores import Score
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import MissingModel
from shared.plugins import load_plugin, plugin_names

PACKAGE = "services.evaluator.metrics"
NAMES = plugin_names(PACKAGE)
KIND_OF = {name: load_plugin(PACKAGE, name).KIND for name in NAMES}
PICTURE = [name for name in NAMES if KIND_OF[name] == "picture"]
REGION = [name for name in NAMES if KIND_OF[name] == "region"]
LEARNED = [name for name in NAMES if KIND_OF[name] == "learned"]
TRACK = [name for name in NAMES if KIND_OF[name] == "track"]


@pytest.fixture(params=NAMES)
def metric(request: pytest.FixtureRequest) -> ModuleType:
    """Each metric in turn."""
    return load_plugin(PACKAGE, request.param)


def talking_face(n_frames: int, seed: int) -> FaceTrack:
    """A random face, still but for its mouth, which opens and closes at random."""
    rng = np.random.default_rng(seed)
    rest = rng.uniform(100, 400, (478, 3))
    landmarks = np.repeat(rest[None], n_frames, 0) + rng.normal(0, 0.1, (n_frames, 478, 3))
    landmarks[:, 14, 1] += 10 * np.abs(rng.normal(size=n_frames))
    return FaceTrack(landmarks.astype(np.float32), 512)


def test_all_promised_metrics_are_there() -> None:
    """The metrics of the report exist."""
    promised = {
        *("psnr", "ssim", "lpips", "lmd", "opening_corr", "lse_c", "lse_d", "aue", "fps"),
        *("blendshape_error", "av_offset", "mouth_audio_corr", "identity", "jitter", "lve"),
    }

    assert promised <= set(NAMES)


def full_evidence() -> Evidence:
    """A run that has everything: sound, capture, SyncNet's figures, OpenFace's tables, a motion."""
    rng = np.random.default_rng(3)
    face = talking_face(80, seed=0)
    audio = rng.normal(0, 0.1, 80 * 640).astype(np.float32)
    distances = SyncDistances(3.0, 7.0, 1, np.ones(31), np.ones(70))
    sync = LipSync(distances, "S3FD", first_frame=0, n_frames=80, n_tracks=1)
    expr, jaw, lips = (
        rng.normal(size=(80, 5)),
        rng.normal(size=(80, 3)),
        rng.normal(size=(80, 40, 3)),
    )
    expressions = ExpressionPair(
        ("jawOpen", "mouthClose", "browDown_L", "eyeBlink_L", "cheekPuff"),
        *(values.astype(np.float32) for values in (expr, expr + 0.1, jaw, jaw, lips, lips + 0.01)),
    )
    return Evidence(
        fps=25,
        video=face,
        reference=face,
        training=talking_face(50, seed=0),
        audio=audio,
        render_seconds=1.0,
        lip_sync=sync,
        reference_lip_sync=sync,
        identity=np.array([0.9, np.nan, 0.8]),
        action_units=ActionUnitPair(rng.uniform(0, 5, (80, 17)), rng.uniform(0, 5, (80, 17))),
        expressions=expressions,
    )


def test_metric_states_what_it_is(metric: ModuleType) -> None:
    """Kind, unit, direction, range and source are constants of the module."""
    assert metric.KIND in {"picture", "learned", "region", "track"}
    assert metric.UNIT
    assert metric.HIGHER_IS_BETTER in {True, False, None}
    assert len(metric.SOURCE) > 5
    low, high = metric.RANGE
    assert low is None or high is None or low < high


@pytest.mark.parametrize("name", LEARNED)
def test_learned_metric_names_the_files_it_lacks(name: str, tmp_path: Path) -> None:
    """Without its weights it is nothing, and says which."""
    metric = load_plugin(PACKAGE, name)

    with pytest.raises(MissingModel, match=r"\.pth") as refusal:
        metric.load(tmp_path)

    assert "missing_model_file" == refusal.value.code


@pytest.mark.parametrize("name", PICTURE)
def test_picture_metric_gives_one_finite_figure_per_frame(name: str) -> None:
    """A batch of B pairs gives B finite figures, in order, the equal pair best."""
    metric = load_plugin(PACKAGE, name)
    target = torch.rand(3, 24, 32, 3, generator=torch.Generator().manual_seed(0))
    preds = target.clone()
    preds[1] = (preds[1] + 0.1).clamp(max=1)
    preds[2] = 1 - preds[2]

    values = metric.compare(preds, target)

    assert (3,) == tuple(values.shape)
    assert torch.isfinite(values).all()
    ordered = values if metric.HIGHER_IS_BETTER else -values
    assert ordered[0] > ordered[1] > ordered[2]


@pytest.mark.parametrize("name", PICTURE)
def test_picture_metric_does_not_depend_on_the_batch(name: str) -> None:
    """Frames one at a time give the figures of the batch."""
    metric = load_plugin(PACKAGE, name)
    generator = torch.Generator().manual_seed(1)
    preds, target = torch.rand(2, 3, 24, 32, 3, generator=generator)

    single = [metric.compare(preds[i : i + 1], target[i : i + 1]) for i in range(3)]

    torch.testing.assert_close(metric.compare(preds, target), torch.cat(single))


@pytest.mark.parametrize("name", REGION)
def test_region_metric_gives_one_figure_per_frame_and_region(name: str) -> None:
    """The person in the first place; NaN for regions that are not seen."""
    metric = load_plugin(PACKAGE, name)
    target = torch.rand(2, 24, 32, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 24, 32, dtype=torch.uint8)
    labels[0, :12] = 3
    labels[1, :12] = 5

    values = metric.compare_regions((target + 0.1).clamp(max=1), target, labels)

    assert (2, len(REGIONS)) == tuple(values.shape)
    seen = torch.zeros(2, len(REGIONS), dtype=torch.bool)
    seen[:, 0] = seen[0, 3] = seen[1, 5] = True
    assert torch.equal(seen, torch.isfinite(values))


@pytest.mark.parametrize("name", TRACK)
def test_track_metric_scores_full_evidence(name: str) -> None:
    """With everything there, the score has a value or says why not, in the module's unit."""
    metric = load_plugin(PACKAGE, name)

    score = metric.score(full_evidence())

    assert isinstance(score, Score)
    assert (score.value is None) == (score.unavailable is not None)
    assert metric.UNIT == score.unit
    assert metric.HIGHER_IS_BETTER is score.higher_is_better
    if score.value is not None:
        low, high = metric.RANGE
        assert low is None or low <= score.value
        assert high is None or score.value <= high


@pytest.mark.parametrize("name", sorted(set(TRACK) - {"av_offset"}))
def test_track_metric_has_a_value_where_everything_is_there(name: str) -> None:
    """Only the offset may say that noise tells nothing."""
    assert load_plugin(PACKAGE, name).score(full_evidence()).value is not None


@pytest.mark.parametrize("name", TRACK)
@pytest.mark.parametrize("n_frames", [1, 3, 80])
def test_track_metric_without_anything_says_why(name: str, n_frames: int) -> None:
    """No face, no reference, no sound: no figure is made up and nothing breaks."""
    metric = load_plugin(PACKAGE, name)
    nobody = FaceTrack(np.full((n_frames, 478, 3), np.nan, np.float32), 512)

    score = metric.score(Evidence(25, nobody, None, None, None, None))

    assert score.value is None
    assert score.unavailable


@pytest.mark.parametrize("name", TRACK)
def test_track_metric_survives_faces_missing_now_and_then(name: str) -> None:
    """Frames without a face are left out; the rest still counts."""
    metric = load_plugin(PACKAGE, name)
    face = talking_face(80, seed=0)
    landmarks = face.landmarks.copy()
    landmarks[[0, 20, 21, 79]] = np.nan
    audio = np.random.default_rng(2).normal(0, 0.1, 80 * 640).astype(np.float32)

    score = metric.score(
        Evidence(25, FaceTrack(landmarks, 512), face, FaceTrack(landmarks, 512), audio, 1.0)
    )

    assert (score.value is None) == (score.unavailable is not None)
    assert score.value is None or np.isfinite(score.value)
