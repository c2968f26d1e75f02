"""RAFT-small's network, on files of the published layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.preprocess.optical_flow import RAFT_FILE, open_flow
from services.preprocess.raft_small import RaftSmall, correlate, look_up
from shared.errors import InvalidInput

N_PARAMETERS = 990_162
"""Of torchvision's raft_small, as its documentation says."""


def make_picture(shift: int = 0) -> NDArray[np.uint8]:
    """Soft blobs, moved to the right."""
    across = np.arange(144)[None] - shift
    wave = np.sin(across / 7) * np.cos(np.arange(136)[:, None] / 9)
    grey = (127 + 100 * wave).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_the_network_is_torchvision_s() -> None:
    """As many parameters, under the names of the published file."""
    names = RaftSmall().state_dict()

    assert N_PARAMETERS == sum(value.numel() for value in names.values())
    assert {
        "feature_encoder.convnormrelu.0.weight",
        "feature_encoder.layer2.0.downsample.0.bias",
        "context_encoder.layer3.1.convnormrelu3.0.weight",
        "update_block.motion_encoder.convcorr1.0.weight",
        "update_block.recurrent_block.convgru1.convq.bias",
        "update_block.flow_head.conv2.weight",
    } <= names.keys()


def test_weights_in_the_models_folder_are_used(tmp_path: Path) -> None:
    """Flow of the picture's own size, whatever it is."""
    torch.manual_seed(0)
    torch.save(RaftSmall().state_dict(), tmp_path / RAFT_FILE)

    engine = open_flow(tmp_path)
    flow = engine.find(make_picture()[:, :131], make_picture(3)[:, :131])

    assert "raft_small" == engine.name
    assert (136, 131, 2) == flow.shape
    assert np.isfinite(flow).all()


def test_without_weights_flow_is_opencv_s(tmp_path: Path) -> None:
    """And it finds a shift."""
    engine = open_flow(tmp_path)
    flow = engine.find(make_picture(), make_picture(3))

    assert "dis" == engine.name
    assert 3 == pytest.approx(float(np.median(flow[20:-20, 20:-20, 0])), abs=0.2)


@pytest.mark.parametrize("content", [b"torn", None])
def test_a_file_of_other_weights_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Torn, or of another network: never DIS in its place."""
    if content is None:
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / RAFT_FILE)
    else:
        (tmp_path / RAFT_FILE).write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        open_flow(tmp_path)

    assert "bad_flow_model" == refused.value.code


def test_correlations_peak_where_features_are_alike() -> None:
    """Looking from the right place, the middle of the finest square is the largest."""
    torch.manual_seed(1)
    features = torch.randn(1, 64, 24, 24)
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    places = torch.stack([columns, rows])[None].float()

    seen = look_up(
        correlate(features, features.roll(2, dims=3)),
        places + torch.tensor([2.0, 0])[None, :, None, None],
    )

    assert (1, 4 * 49, 24, 24) == tuple(seen.shape)
    assert bool((seen[0, :49, 8:16, 8:16].argmax(0) == 24).all())
    beside = look_up(correlate(features, features.roll(2, dims=3)), places)
    # Two to the right is the sixth column, and columns are the outer loop.
    assert bool((beside[0, :49, 8:16, 8:16].argmax(0) == 5 * 7 + 3).all())
