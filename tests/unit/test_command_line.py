"""The command line: exit codes, where output goes, and what is refused before work begins."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from services.embedded.cli import run_command
from services.embedded.commands.running import parse_choices
from services.renderer.encode import Encoding, VideoWriter


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
        *("models", "doctor"),
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


def test_a_gpu_is_not_pretended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--device cuda is refused where no GPU rasterizer works."""
    folder = str(tmp_path)

    code = run_command(["render", folder, folder, "-o", "x.mp4", "--device", "cuda"])

    assert 1 == code
    assert "error[no_gpu]" in capsys.readouterr().err


def test_options_of_a_method_are_what_they_look_like() -> None:
    """Numbers, truth values and words; anything else stays text."""
    words = ["sh_degree=3", "position_weight=0.01", "tune_flame=true", "init=faces", "x=[1]"]

    chosen = parse_choices(words)

    assert [3, 0.01, True, "faces", "[1]"] == list(chosen.values())
    assert [int, float, bool, str, str] == [type(value) for value in chosen.values()]
    with pytest.raises(typer.BadParameter):
        parse_choices(["sh_degree"])
