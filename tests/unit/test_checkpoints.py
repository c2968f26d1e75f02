"""Checkpoints survive a kill at any moment."""

from pathlib import Path

import torch

from shared.training_checkpoints import Checkpoint, load_checkpoint, save_checkpoint


def make_checkpoint(step: int) -> Checkpoint:
    """A state that tells its step."""
    return Checkpoint(
        step=step,
        model={"local": torch.full((3, 2), float(step)), "binding": torch.arange(3)},
        optimizer={"local.exp_avg": torch.full((3, 2), step / 7), "local.step": torch.tensor(2.0)},
        curve=[{"step": float(step), "psnr_db": 20.125}],
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Every bit of it."""
    saved = make_checkpoint(40)
    save_checkpoint(tmp_path / "c", "key", saved)

    loaded = load_checkpoint(tmp_path / "c", "key")

    assert loaded is not None
    assert (saved.step, saved.curve) == (loaded.step, loaded.curve)
    for expected, actual in ((saved.model, loaded.model), (saved.optimizer, loaded.optimizer)):
        assert expected.keys() == actual.keys()
        assert all(torch.equal(tensor, actual[name]) for name, tensor in expected.items())


def test_another_training_is_not_continued(tmp_path: Path) -> None:
    """A checkpoint of other options or of another dataset is left alone."""
    save_checkpoint(tmp_path, "key", make_checkpoint(40))

    assert load_checkpoint(tmp_path, "other key") is None


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    """A training starts at the beginning then."""
    assert load_checkpoint(tmp_path / "nowhere", "key") is None


def test_only_the_last_one_is_kept(tmp_path: Path) -> None:
    """A long training does not fill the disk."""
    for step in (40, 80):
        save_checkpoint(tmp_path, "key", make_checkpoint(step))

    loaded = load_checkpoint(tmp_path, "key")
    assert loaded is not None
    assert 80 == loaded.step
    expected = {"latest.json", "0000080.model.safetensors", "0000080.optimizer.safetensors"}
    assert expected == {path.name for path in tmp_path.iterdir()}


def test_a_kill_while_saving_leaves_the_one_before(tmp_path: Path) -> None:
    """Tensors without an index do not count, be they whole or not."""
    save_checkpoint(tmp_path, "key", make_checkpoint(40))
    (tmp_path / "0000080.model.safetensors").write_bytes(b"half")
    (tmp_path / "0000080.optimizer.part").write_bytes(b"half")
    (tmp_path / "latest.json.part").write_text('{"step": 8', encoding="utf-8")

    loaded = load_checkpoint(tmp_path, "key")

    assert loaded is not None
    assert 40 == loaded.step
