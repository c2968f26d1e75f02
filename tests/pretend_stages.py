"""Stages under the product's own names that make nothing but facts: jobs end within seconds.

Workers are given this module's name in place of their service's entries.
"""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from shared.errors import InvalidInput
from shared.progress import Progress
from shared.worker.heartbeat import ENTRIES as HEARTBEAT
from shared.worker.stage_entry import Facts, StageEntry

MODULE = "tests.pretend_stages"
REFUSED = b"no face here"
"""An upload with these bytes is refused."""
SLOW = b"slow"
"""One with these takes a minute."""
FACTS: dict[str, Facts] = {
    "preprocess.prepare": {"n_frames": 250},
    "trainer.train": {"n_gaussians": 1000},
    "audio2motion.fit": {"n_frames": 250},
    "audio2motion.animate": {"n_frames": 250, "fps": 25},
    "audio2motion.respeak": {"n_frames": 75, "fps": 25},
    "renderer.render": {"n_frames": 250, "fps": 25, "rasterizer": "cpu"},
    "evaluator.evaluate": {
        "n_frames": 75,
        "psnr": 31.5,
        "ssim": 0.93,
        "lmd": 1.8,
        "opening_corr": -0.25,
        "av_offset": -0.04,
        "jitter": 0.4,
        "fps": 60.0,
    },
}


def pretend(
    facts: Facts, inputs: Path, _options: dict[str, Any], out: Path, progress: Progress
) -> Facts:
    """Write a manifest with ``facts``."""
    assert list(inputs.rglob("*")), "inputs came"
    (out / "manifest.json").write_text(json.dumps({"kind": "pretended", "facts": facts}))
    progress(1.0, "pretended")
    return facts


def verify(inputs: Path, _options: dict[str, Any], out: Path, _progress: Progress) -> Facts:
    """Refuse what says so, and take long where it says so."""
    time.sleep(60 if (inputs / "upload").read_bytes() == SLOW else 0)
    if (inputs / "upload").read_bytes() == REFUSED:
        raise InvalidInput("no_face", "no face was found; film the head facing the camera")
    (out / "manifest.json").write_text("{}")
    return {"has_audio": True, "duration_seconds": 10.0}


ENTRIES = {
    **{name: StageEntry(partial(pretend, facts)) for name, facts in FACTS.items()},
    "preprocess.verify_upload": StageEntry(verify),
    **HEARTBEAT,
}
