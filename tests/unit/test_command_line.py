"""The command line: exit codes, where output goes, and what is refused before work begins."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from services.embedded.cli import run_command
from services.embedded.commands.running import read_method_options
from services.renderer.encode import Encoding, VideoWriter
from tests.tracked_person import write_tracked_dataset


@pytest.fixture
def silent_capture(tmp_path: Path) -> Path:
    """A readable video without sound."""
    path = tmp_path / "silent.mp4"
    with VideoWriter(path, Encoding(64, 64, 25, "ultrafast", 20, has_alpha=False), None) as video:
        for _ in range(5):
            video.write(np.full((64, 64, 3), 128, np.uint8))
    return path


def test_help_lists_every_command_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per command."""
    code = run_command(["--help"])

    told = capsys.readouterr().out
    assert 0 == code
    for command in (
        *("demo", "run", "preprocess", "train", "fit-motion", "animate", "render", "evaluate"),
        *("models", "doctor", "import"),
    ):
        assert f"\n  {command} " in told


def test_help_imports_nothing_heavy() -> None:
    """Typing --help does not wait for torch."""
    probe = (
        "import sys; from services.embedded.cli import run_command; run_command(['run', '--help']);"
        "print(sorted({'torch', 'numba', 'mediapipe', 'cv2', 'av'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert "[]" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["run", "--capture", "nowhere.mp4", "--out", "x"],
        ["preprocess", __file__, "-o", "x", "--holdout", "-1"],
        ["preprocess", __file__, "-o", "x", "--from", "write", "--to", "track"],
        ["run", "--capture", __file__, "--out", "x"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout, the reason on stderr."""
    code = run_command(arguments)

    told = capsys.readouterr()
    assert 2 == code
    assert "" == told.out
    assert told.err


def test_a_refusal_exits_with_1_and_names_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text file is no capture."""
    letter = tmp_path / "letter.mp4"
    letter.write_text("dear sir")

    code = run_command(["run", "--capture", str(letter), "--holdout", "1", "--out", str(tmp_path)])

    told = capsys.readouterr()
    assert 1 == code
    assert "" == told.out
    assert "error[unreadable_media]" in told.err


def test_a_capture_without_sound_is_refused_before_training(
    silent_capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the motion model of another capture is named."""
    out = tmp_path / "out"

    code = run_command(
        ["run", "--capture", str(silent_capture), "--holdout", "1", "--out", str(out)]
    )

    assert 1 == code
    assert "error[no_audio]" in capsys.readouterr().err
    assert not out.exists()


def test_models_as_json_lists_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there, what is not, and what is not what it says."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    (tmp_path / "syncnet_v2.model").write_bytes(b"weights")
    (tmp_path / "face_landmarker.task").write_bytes(b"not what Google published")

    code = run_command(["models", "--json"])

    rows = {row["name"]: row["presence"] for row in json.loads(capsys.readouterr().out)["files"]}
    assert 0 == code
    assert "present" == rows["syncnet_v2.model"]
    assert "altered" == rows["face_landmarker.task"]
    assert "missing" == rows["flame2023.pkl"]


def test_a_video_goes_to_a_file_of_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Transparent pictures need webm."""
    folder = str(tmp_path)

    code = run_command(["render", folder, folder, "-o", "x.mp4", "--background", "alpha"])

    assert 2 == code
    assert ".webm" in capsys.readouterr().err


def test_a_video_does_not_start_before_its_motion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--ss counts from the start."""
    folder = str(tmp_path)

    code = run_command(["render", folder, folder, "-o", "x.mp4", "--ss", "-1"])

    assert 2 == code
    told = capsys.readouterr().err
    assert "--ss" in told
    assert "greater than or equal to 0" in told


def test_a_part_that_there_is_not_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--part is an option of the method, which says what it may be."""
    dataset, out = write_tracked_dataset(tmp_path / "dataset"), tmp_path / "avatar"

    code = run_command(
        ["train", str(dataset), "-o", str(out), "--method", "surfel_talker", "--part", "tail"]
    )

    assert 1 == code
    assert "error[bad_method_options]" in capsys.readouterr().err
    assert not out.exists()


def test_a_gpu_is_not_pretended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--device cuda is refused where no GPU rasterizer works."""
    folder = str(tmp_path)

    code = run_command(["render", folder, folder, "-o", "x.mp4", "--device", "cuda"])

    assert 1 == code
    assert "error[no_gpu]" in capsys.readouterr().err


def test_options_of_a_method_are_numbers_words_and_switches() -> None:
    """As the method's own defaults are typed."""
    choices = ["attention=false", "n=3", "share=0.5", "audio_encoder=mel"]

    options = read_method_options(choices)

    assert {"attention": False, "n": 3, "share": 0.5, "audio_encoder": "mel"} == options
    assert [bool, int, float, str] == [type(value) for value in options.values()]


@pytest.mark.parametrize("choice", ["attention", "=3"])
def test_an_option_of_a_method_without_a_name_or_a_value_is_refused(choice: str) -> None:
    """Before any work is done."""
    with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
        read_method_options([choice])
