"""Operators' weight files: as published they load, with a single entry changed they do not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from services.evaluator.networks import arcface, s3fd, syncnet
from services.evaluator.networks.arcface import ArcFace
from services.evaluator.networks.perceptual import LAYOUTS, load_perceptual
from services.evaluator.networks.s3fd import S3FD
from services.evaluator.networks.syncnet import SyncNet
from services.evaluator.networks.weight_file import load_network
from shared.errors import InvalidInput, MissingModel
from shared.model_files import LEDGER
from tests.published_parameters import random_state, save_state, small_state

NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "syncnet_v2": (SyncNet, syncnet.FILE),
    "s3fd": (S3FD, s3fd.FILE),
    "arcface_r50": (ArcFace, arcface.FILE),
}


@pytest.mark.parametrize("name", ["syncnet_v2", "s3fd"])
def test_random_values_of_the_published_layout_are_loaded(name: str, tmp_path: Path) -> None:
    """Every value arrives under its name."""
    build, file = NETWORKS[name]
    state = random_state(name)

    loaded = load_network(build(), save_state(tmp_path, file, state), file).state_dict()

    for key, value in state.items():
        assert torch.equal(value, loaded[key])


def test_a_large_network_of_the_published_layout_is_loaded(tmp_path: Path) -> None:
    """ArcFace's 44 million values, from one per parameter."""
    state = small_state("arcface_r50")

    network = load_network(ArcFace(), save_state(tmp_path, arcface.FILE, state), arcface.FILE)

    assert torch.equal(
        state["layer3.13.conv2.weight"], network.state_dict()["layer3.13.conv2.weight"]
    )
    assert not network.training


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_renamed_entry_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Both the name that is missing and the one that is unknown."""
    build, file = NETWORKS[name]
    state = small_state(name)
    key = sorted(state)[len(state) // 2]
    state[f"{key}_x"] = state.pop(key)

    with pytest.raises(InvalidInput) as refusal:
        load_network(build(), save_state(tmp_path, file, state), file)

    assert "bad_model_file" == refusal.value.code
    assert f"{key} is missing" in refusal.value.message
    assert f"{key}_x is unknown" in refusal.value.message


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_reshaped_entry_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """With both shapes."""
    build, file = NETWORKS[name]
    state = small_state(name)
    key = sorted(state)[len(state) // 2]
    state[key] = state[key][..., None]

    with pytest.raises(InvalidInput) as refusal:
        load_network(build(), save_state(tmp_path, file, state), file)

    assert f"{key} is {list(state[key].shape)}, expected" in refusal.value.message


@pytest.mark.parametrize(
    ("backbone", "listed"), [("alexnet", "lpips_alex"), ("vgg16", "lpips_vgg")]
)
def test_lpips_reads_its_backbone_and_its_weights(
    backbone: str, listed: str, tmp_path: Path
) -> None:
    """The classifier of the published backbone is there and not needed; other strays are named."""
    layout = LAYOUTS[backbone]  # type: ignore[index]  # one of its keys
    save_state(tmp_path, layout.backbone_file, small_state(backbone))
    save_state(tmp_path, layout.weights_file, small_state(listed))

    assert load_perceptual(tmp_path, backbone)  # type: ignore[arg-type]  # the same

    weights = small_state(listed)
    weights["lin2.model.0.weight"] = weights.pop("lin2.model.1.weight")
    save_state(tmp_path, layout.weights_file, weights)
    with pytest.raises(InvalidInput, match=r"lin2\.model\.1\.weight is missing"):
        load_perceptual(tmp_path, backbone)  # type: ignore[arg-type]  # the same


def test_training_counters_may_be_there_or_not(tmp_path: Path) -> None:
    """Files of older torch lack them."""
    state = small_state("syncnet_v2")
    state["netcnnaud.1.num_batches_tracked"] = torch.tensor(7)

    network = load_network(SyncNet(), save_state(tmp_path, syncnet.FILE, state), syncnet.FILE)

    assert 7 == network.state_dict()["netcnnaud.1.num_batches_tracked"].item()


def test_an_absent_file_says_where_to_get_it(tmp_path: Path) -> None:
    """The ledger knows its owner."""
    with pytest.raises(MissingModel) as refusal:
        load_network(SyncNet(), tmp_path, syncnet.FILE)

    assert "missing_model_file" == refusal.value.code
    assert "www.robots.ox.ac.uk" in refusal.value.message


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04torn"])
def test_a_torn_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever torch says of it."""
    (tmp_path / syncnet.FILE).write_bytes(content)

    with pytest.raises(InvalidInput) as refusal:
        load_network(SyncNet(), tmp_path, syncnet.FILE)

    assert "bad_model_file" == refusal.value.code


def test_a_file_with_code_is_not_run(tmp_path: Path) -> None:
    """A pickled object is refused, whoever made it."""
    torch.save({"weight": Path("x")}, tmp_path / syncnet.FILE)

    with pytest.raises(InvalidInput) as refusal:
        load_network(SyncNet(), tmp_path, syncnet.FILE)

    assert "bad_model_file" == refusal.value.code


def test_every_weight_file_has_its_row_in_the_ledger() -> None:
    """So that ``talksplat models`` tells of it."""
    files = {file for _, file in NETWORKS.values()}
    for layout in LAYOUTS.values():
        files |= {layout.backbone_file, layout.weights_file}

    assert files <= {row.name for row in LEDGER if row.read_by}
