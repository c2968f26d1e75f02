"""The page that people read."""

import re
from pathlib import Path

import numpy as np

from services.evaluator.charts import Band, Line, Point, curve_chart, line_chart, nice_ticks
from services.evaluator.curves import Curves
from services.evaluator.mouth_and_sound import OffsetCurve
from services.evaluator.report import MAX_EMBEDDED, Definition, Report, write_report
from services.evaluator.report_tables import number
from services.evaluator.showing import Shown
from services.evaluator.strips import Cell, Pictures
from shared.contracts.scores import Score, ScoresManifest

PICTURE = np.full((8, 8, 3), 120, np.uint8)


def report_page(
    tmp_path: Path,
    *,
    has_reference: bool = True,
    title: str = "heldout",
    n_film_bytes: int = 100,
) -> str:
    """A page of a short video."""
    film = tmp_path / "face.mp4"
    film.write_bytes(bytes(n_film_bytes))
    offset = OffsetCurve(np.arange(-500.0, 501.0, 10), np.linspace(0.1, 0.8, 101))
    curve = np.linspace(0, 0.3, 50)
    both = [PICTURE] if has_reference else []
    scores = {
        "psnr": Score(value=31.5, unit="dB", higher_is_better=True, worst=27.0)
        if has_reference
        else Score(value=None, unit="dB", higher_is_better=True, unavailable="no reference <b>"),
        "lmd": Score(
            value=1.9, unit="px", higher_is_better=False, baselines={"mean_mouth": 2.2, "late": 1.2}
        ),
        "lse_c": Score(
            value=6.5, unit="1", higher_is_better=True, baselines={"capture": 7.5}, method="by S3FD"
        ),
    }
    report = Report(
        title=title,
        notes=["a note"],
        size=(64, 48),
        manifest=ScoresManifest(video=title, n_frames=50, scores=scores),
        definitions={"lmd": Definition("LMD: what it is", (0.0, None), "Chen et al.")},
        curves=Curves(
            opening=curve,
            reference_opening=curve if has_reference else None,
            loudness=curve,
            psnr=30 + curve if has_reference else None,
            ssim=None,
            lip_distance=None,
            shaking=curve,
            offset=offset,
            reference_offset=offset if has_reference else None,
            sync_distance=np.linspace(9, 7, 31),
        ),
        shown=Shown({"speech": Pictures([Cell(3, "peak")], [PICTURE], both)}, film),
        stage_seconds={"trainer": 61.0},
    )
    write_report(tmp_path / "report.html", report)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    """No address, no script, every picture inside."""
    page = report_page(tmp_path)

    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page
    assert "<script" not in page
    assert "@import" not in page
    assert 2 == page.count("data:image/png;base64,")


def test_page_tells_figures_baselines_and_times(tmp_path: Path) -> None:
    """What a judge looks for is there; a beaten baseline is green, another red."""
    page = report_page(tmp_path)

    assert "31.50 <small>dB</small>" in page
    assert 'mean mouth <span class="better">2.20' in page
    assert 'truth, one frame late <span class="worse">1.20' in page
    assert "LMD: what it is From 0 up. Source: Chen et al.." in page
    assert "by S3FD." in page
    assert 'the capture itself <span class="worse">7.50' in page
    assert "61.0 s" in page


def test_page_without_reference_says_what_is_missing(tmp_path: Path) -> None:
    """The reason is shown and the avatar still is."""
    page = report_page(tmp_path, has_reference=False)

    assert "no capture to compare with" in page
    assert "no reference &lt;b&gt;" in page
    assert 1 == page.count("data:image/png;base64,")


def test_page_has_a_curve_of_each_kind(tmp_path: Path) -> None:
    """Mouth, offset and SyncNet's distance; the steadiness stands in where PSNR cannot."""
    page = report_page(tmp_path)
    alone = report_page(tmp_path, has_reference=False)

    for title in ("Mouth opening", "Sound against lips", "LSE-D", "Picture, frame by frame"):
        assert title in page
    assert "Steadiness, frame by frame" in alone
    assert "capture under the same sound" not in alone


def test_a_long_film_lies_beside_the_page(tmp_path: Path) -> None:
    """A short one is inside; the page says where the other is."""
    short, long = (report_page(tmp_path, n_film_bytes=n) for n in (100, MAX_EMBEDDED + 1))

    assert 'src="data:video/mp4;base64,' in short
    assert 'src="face.mp4"' in long
    assert "beside this page" in long


def test_the_mark_of_a_curve_stays_inside_the_chart() -> None:
    """A peak at the very top has its label at the foot of its line."""
    curve = np.array([0.0, 0.2, 1.0])

    chart = curve_chart(
        [Line("a", curve, "video")], np.array([-1.0, 0.0, 1.0]), "ms", mark=Point(1.0, 1.0, "here")
    )

    found = re.search(r'class="tick name" x="([\d.]+)" y="([\d.]+)"[^>]*>here', chart)
    assert found is not None
    assert float(found.group(2)) >= 12
    assert "-1 ms" in chart


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A file name cannot become markup."""
    page = report_page(tmp_path, title="<script>alert(1)</script>")

    assert "<script" not in page


def test_equal_reports_are_equal_bytes(tmp_path: Path) -> None:
    """No time stamp, no random name."""
    assert report_page(tmp_path) == report_page(tmp_path)


def test_chart_leaves_gaps_where_values_are_missing() -> None:
    """A missing face is no zero."""
    values = np.array([1.0, 2.0, np.nan, 2.0, 1.0])

    chart = line_chart([Line("a", values, "video")], 25, band=Band(0.0, 0.1, "here"))

    path = re.search(r'class="line video" d="([^"]+)"', chart)
    assert path is not None
    assert 2 == path.group(1).count("M")
    assert "nan" not in chart


def test_chart_of_nothing_is_nothing() -> None:
    """No empty axes."""
    assert "" == line_chart([Line("a", np.full(3, np.nan), "video")], 25)


def test_ticks_are_round() -> None:
    """One, two or five times a power of ten."""
    assert [0.0, 0.1, 0.2, 0.3] == nice_ticks(0.0, 0.31)
    assert [26.0, 28.0, 30.0, 32.0] == nice_ticks(25.3, 32.4)


def test_numbers_have_about_three_digits() -> None:
    """Readable beside each other."""
    assert ["0", "0.123", "2.35", "31.23", "123.5"] == [
        number(value) for value in (0.0, 0.12345, 2.3456, 31.234, 123.456)
    ]
