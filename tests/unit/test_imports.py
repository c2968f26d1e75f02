"""What others have measured is taken into a tracked dataset, or refused before anything changes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.preprocess.action_units import import_action_units
from services.preprocess.teeth_masks import INSIDE, TEETH, import_teeth
from shared.contracts.artifact import MANIFEST, read_manifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.dataset_reader import open_dataset, read_regions, read_upper_face
from shared.errors import InvalidInput
from shared.media.image import write_png
from tests.tracked_person import SIDE, write_tracked_dataset

N_FRAMES = 31
HEADER = "frame, face_id, timestamp, confidence, success, AU01_r, AU02_r, AU04_r, AU45_r"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A small dataset."""
    return write_tracked_dataset(tmp_path / "dataset")


def write_table(
    path: Path, n_rows: int = N_FRAMES, fps: float = 25.0, header: str = HEADER
) -> Path:
    """OpenFace's table of brows that rise and an eye that closes in the middle."""
    lines = [header]
    for row in range(n_rows):
        blink = 3.0 if row == n_rows // 2 else 0.0
        lines.append(f"{row + 1}, 0, {row / fps:.3f}, 0.98, 1, {row / n_rows}, 1.0, 2.5, {blink}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def state_of(dataset: Path) -> tuple[str, set[str]]:
    """Everything a refusal must leave as it is."""
    manifest = (dataset / MANIFEST).read_text(encoding="utf-8")
    return manifest, {path.relative_to(dataset).as_posix() for path in dataset.rglob("*")}


def test_action_units_fill_the_seven_numbers(dataset: Path, tmp_path: Path) -> None:
    """Intensities of 5 are whole; a blink of 2 and more is a closed eye."""
    import_action_units(write_table(tmp_path / "au.csv"), dataset)

    found = read_upper_face(open_dataset(dataset))
    assert found is not None
    assert (N_FRAMES, 7) == found.shape
    np.testing.assert_allclose(found[0], [0.5, 0.5, 0, 0.2, 0.2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found[N_FRAMES // 2, 5:], 1.0)
    assert "upper_face.npz" in read_manifest(dataset, TrackedDatasetManifest).files


def test_time_stamps_tell_which_row_a_frame_takes(dataset: Path, tmp_path: Path) -> None:
    """A capture of 50 frames per second has two rows per frame."""
    table = write_table(tmp_path / "au.csv", n_rows=2 * N_FRAMES, fps=50.0)

    import_action_units(table, dataset)

    found = read_upper_face(open_dataset(dataset))
    assert found is not None
    np.testing.assert_allclose(found[:, 2], np.arange(N_FRAMES) / N_FRAMES / 5, atol=1e-5)


def replace(old: str, new: str) -> Callable[[Path], None]:
    """A change of the table's text, once."""
    return lambda path: (
        path.write_text(path.read_text("utf-8").replace(old, new, 1), encoding="utf-8"),
        None,
    )[1]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (replace("AU45_r", "AU46_r"), "AU45_r"),
        (replace("2.5", "much"), "much"),
        (replace("2.5", "nan"), "no numbers"),
        (replace("\n2, 0,", "\n2, 1,"), "several faces"),
        (replace("\n3, 0, 0.080,", "\n3, 0, 9.0,"), "rise"),
        (replace(", 2.5", ""), "values"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not a table"),
        (lambda path: write_table(path, n_rows=10), "cover"),
        (lambda path: write_table(path, 20, header=HEADER.replace("timestamp", "when")), "20 rows"),
        (
            lambda path: path.write_text(path.read_text("utf-8").replace("0.98, 1,", "0.98, 0,")),
            "saw a face in 0",
        ),
    ],
)
def test_tables_that_mean_nothing_are_refused(
    dataset: Path, tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    """The message says what was found; the dataset stays as it is."""
    table = write_table(tmp_path / "au.csv")
    spoil(table)
    before = state_of(dataset)

    with pytest.raises(InvalidInput, match=told) as refused:
        import_action_units(table, dataset)

    assert "bad_action_units" == refused.value.code
    assert before == state_of(dataset)


def write_masks(folder: Path, n_masks: int = N_FRAMES, side: int = SIDE) -> Path:
    """A mask per frame: a row of teeth in the middle."""
    folder.mkdir()
    mask = np.zeros((side, side), np.uint8)
    mask[side // 2, side // 4 : side // 2] = 255
    for frame in range(n_masks):
        write_png(folder / f"{frame}.png", mask)
    return folder


def test_masks_make_teeth_and_unmake_others(dataset: Path, tmp_path: Path) -> None:
    """White is teeth whatever it was; teeth elsewhere are the inside of the mouth."""
    tracked = open_dataset(dataset)
    before = [read_regions(tracked, frame) for frame in range(N_FRAMES)]

    import_teeth(write_masks(tmp_path / "masks"), dataset)

    after = read_regions(open_dataset(dataset), 3)
    is_teeth = np.zeros((SIDE, SIDE), bool)
    is_teeth[SIDE // 2, SIDE // 4 : SIDE // 2] = True
    assert bool((after[is_teeth] == TEETH).all())
    assert not (after[~is_teeth] == TEETH).any()
    was = (before[3] == TEETH) & ~is_teeth
    assert bool((after[was] == INSIDE).all())
    assert not (dataset / "regions.part").exists()


def grey(folder: Path) -> None:
    """A mask with shades."""
    write_png(folder / "7.png", np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "4.png").unlink(), "4.png"),
        (lambda folder: (folder / "4.png").rename(folder / "99.png"), "4.png"),
        (lambda folder: write_png(folder / "31.png", np.zeros((SIDE, SIDE), np.uint8)), "frame 31"),
        (lambda folder: write_png(folder / "2.png", np.zeros((9, 9), np.uint8)), "9x9"),
        (lambda folder: write_png(folder / "2.png", np.full((SIDE, SIDE), 255, np.uint8)), "100%"),
        (grey, "two values"),
    ],
)
def test_masks_that_are_none_are_refused(
    dataset: Path, tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    """The message says which; no region is changed."""
    masks = write_masks(tmp_path / "masks")
    spoil(masks)
    before = state_of(dataset), read_regions(open_dataset(dataset), 0).tobytes()

    with pytest.raises(InvalidInput, match=told) as refused:
        import_teeth(masks, dataset)

    assert "bad_teeth_masks" == refused.value.code
    assert before == (state_of(dataset), read_regions(open_dataset(dataset), 0).tobytes())
