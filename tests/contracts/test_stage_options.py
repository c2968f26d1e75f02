"""What the gateway sends as options of a stage is what the services take."""

import pytest

from api.catalog import PRESETS, read_catalog
from api.schemas.avatars import AvatarOptions
from api.schemas.videos import VideoOptions
from api.settings import GatewaySettings
from api.stage_options import avatar_stage_options, video_stage_options
from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.fit import FitMotionOptions
from services.preprocess.options import PrepareOptions
from services.renderer.shot import RenderOptions
from services.trainer.options import BUDGETS, TrainOptions
from shared.errors import InvalidInput

CATALOG = read_catalog(GatewaySettings())


@pytest.mark.parametrize("preset", PRESETS)
def test_options_of_an_avatar_are_taken_by_its_stages(preset: str) -> None:
    """Names, types and ranges agree."""
    chosen = AvatarOptions.model_validate(
        {
            "preset": preset,
            "max_steps": 300,
            "holdout_seconds": 3.0,
            "rasterizer": "cpu",
            "seed": 7,
        }
    )
    options = avatar_stage_options(chosen, CATALOG)

    assert 3.0 == PrepareOptions.model_validate(options["preprocess"]).holdout_seconds
    train = TrainOptions.model_validate(options["train"])
    assert (preset, 300) == (train.preset, train.max_steps)
    assert 7 == FitMotionOptions.model_validate(options["fit_motion"]).seed
    assert "cpu" == RenderOptions.model_validate(options["render_heldout"]).rasterizer


@pytest.mark.parametrize("camera", ["capture", "fixed", "orbit"])
@pytest.mark.parametrize("background", ["plate", "alpha", "#00ff00"])
def test_options_of_a_video_are_taken_by_its_stages(camera: str, background: str) -> None:
    """Names, types and ranges agree."""
    chosen = VideoOptions.model_validate(
        {"camera": camera, "background": background, "height": 64, "articulation": 0.5}
    )
    options = video_stage_options(chosen, CATALOG)

    assert 0.5 == AnimateOptions.model_validate(options["animate"]).articulation
    assert 64 == RenderOptions.model_validate(options["render"]).height


def test_presets_are_those_of_the_trainer() -> None:
    """The catalog explains each."""
    assert list(BUDGETS) == list(PRESETS)


def test_unknown_plugins_are_refused() -> None:
    """Before anything is queued."""
    with pytest.raises(InvalidInput) as refusal:
        avatar_stage_options(AvatarOptions(rasterizer="abacus"), CATALOG)

    assert "unknown_plugin" == refusal.value.code
