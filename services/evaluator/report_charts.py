"""The report's charts: over time, and over the shift between sound and lips."""

from services.evaluator.charts import Band, Line, Point, curve_chart, line_chart
from services.evaluator.curves import Curves, sync_shifts_ms
from services.evaluator.strips import Cell
from shared.contracts.tracked_dataset import FPS


def mouth_chart(curves: Curves) -> str:
    """Mouth opening against the sound's energy, the capture's beside it."""
    lines = [Line("avatar", curves.opening, "video")]
    if curves.reference_opening is not None:
        lines.insert(0, Line("capture", curves.reference_opening, "reference"))
    chart = line_chart(lines, FPS, area=curves.loudness, floor=0.0)
    if not chart:
        return ""
    return (
        "<h2>Mouth opening</h2><p>Distance of the inner lips over the distance of the outer eye "
        f"corners, frame by frame.</p>{chart}"
    )


def offset_charts(curves: Curves) -> str:
    """How well mouth and sound agree when the sound is shifted, by our measure and by SyncNet."""
    page = ""
    if curves.offset is not None:
        lines = [Line("avatar", curves.offset.correlation, "video")]
        if curves.reference_offset is not None:
            truth = curves.reference_offset.correlation
            lines.insert(0, Line("capture under the same sound", truth, "reference"))
        best = Point(curves.offset.best_ms, curves.offset.best, f"{curves.offset.best_ms:.0f} ms")
        page += (
            "<h2>Sound against lips</h2><p>Correlation of the mouth's opening with the sound, were "
            "the sound so much later (right) or earlier (left); the peak is the offset.</p>"
            + curve_chart(lines, curves.offset.offsets_ms, "ms", mark=best)
        )
    if curves.sync_distance is not None:
        lines = [Line("avatar", curves.sync_distance, "video")]
        if curves.reference_sync_distance is not None:
            truth = curves.reference_sync_distance
            lines.insert(0, Line("capture under the same sound", truth, "reference"))
        shifts = sync_shifts_ms()
        least = int(curves.sync_distance.argmin())
        at = Point(float(shifts[least]), float(curves.sync_distance[least]), "LSE-D")
        page += (
            "<p>SyncNet's mean distance of lips and sound at the same shifts; the lowest point is "
            "LSE-D, its depth below the median LSE-C.</p>"
            + curve_chart(lines, shifts, "ms", mark=at)
        )
    return page


def picture_chart(curves: Curves, worst: list[Cell]) -> str:
    """PSNR over time where there is a capture, else how the face shakes."""
    band = Band(worst[0].frame / FPS, worst[-1].frame / FPS, "worst second") if worst else None
    if curves.psnr is not None and curves.psnr.size:
        line = Line("PSNR in dB", curves.psnr, "video")
        return f"<h2>Picture, frame by frame</h2>{line_chart([line], FPS, band=band)}"
    line = Line("jitter in px at 512 px height", curves.shaking, "video")
    chart = line_chart([line], FPS, band=band, floor=0.0)
    return f"<h2>Steadiness, frame by frame</h2>{chart}" if chart else ""
