"""What the render benchmark measures."""

from pathlib import Path

import numpy as np
import torch

from services.embedded.bench_render import (
    PARTS,
    RenderTiming,
    stretch_motion,
    time_parts,
    time_whole,
)
from services.renderer.compositing import place_window
from services.renderer.shot import Shot
from shared.avatar_method import Performance
from shared.rasterizers import cpu
from tests.fakes import FAKE_CROP_SIZE, FakeAvatarModel, fake_motion, fake_subject


def fake_shot(n_frames: int) -> Shot:
    """The fake avatar over a black plate."""
    subject = fake_subject()
    side = FAKE_CROP_SIZE
    return Shot(
        model=FakeAvatarModel(),
        subject=subject,
        performance=Performance(fake_motion(n_frames)),
        viewmats=subject.viewmat.expand(n_frames, 4, 4),
        windows=[place_window((0.0, 0.0, float(side)), subject.K, side, 1.0)],
        width=side,
        height=side,
        plate=np.zeros((side, side, 3), np.uint8),
    )


def test_every_part_takes_some_time(tmp_path: Path) -> None:
    """No stage is left out of the sum."""
    parts = time_parts(fake_shot(3), cpu, tmp_path / "v.mp4")

    assert set(PARTS) == set(parts)
    assert min(parts.values()) > 0


def test_the_whole_writes_the_video(tmp_path: Path) -> None:
    """What is timed is the real thing."""
    assert time_whole(fake_shot(3), cpu, tmp_path / "v.mp4") > 0
    assert (tmp_path / "v.mp4").stat().st_size > 0


def test_short_motion_is_played_back_and_forth() -> None:
    """No jump where it turns."""
    motion = fake_motion(4)

    longer = stretch_motion(Performance(motion), 11).pose

    order = torch.tensor([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2])
    torch.testing.assert_close(longer.translation, motion.translation[order])


def test_speed_is_given_against_real_time() -> None:
    """Ten milliseconds a frame are four times 25 frames per second."""
    timing = RenderTiming(250, 30_000, 512, 512, 10.0, {}, None)

    assert (100.0, 4.0) == (timing.fps, timing.times_real_time)
