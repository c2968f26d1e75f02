"""Can this machine do the work? One line per thing that a stage needs."""

import importlib
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Literal

from services.embedded.doctor_gpu import judge_gpus, read_gpu_facts
from services.embedded.doctor_servers import examine_servers
from services.embedded.finding import Finding
from shared.errors import MissingModel
from shared.model_files import find_model_files
from shared.plugins import load_plugin, plugin_names
from shared.rasterizer_choice import open_rasterizer
from shared.settings import Settings
from shared.threads import available_cores

_LIBRARIES = ("numpy", "torch", "numba", "mediapipe", "cv2", "av", "scipy", "safetensors")
_PLUGIN_KINDS = (
    "shared.trackers",
    "shared.head_models",
    "shared.avatar_methods",
    "shared.audio_encoders",
    "services.audio2motion.motion_models",
    "services.evaluator.metrics",
)
_NEEDED_GB = 2.0
_GB = 1e9


Part = Literal["all", "gateway", "preprocess", "trainer", "audio2motion", "renderer", "evaluator"]
"""What the machine is to be: everything, or one deployable with the libraries of its extra."""
_LIBRARIES_OF = {
    "gateway": ("fastapi", "sqlalchemy", "psycopg2", "alembic", "kombu", "minio"),
    "preprocess": ("numpy", "torch", "numba", "mediapipe", "cv2", "av", "scipy", "celery"),
    "trainer": ("numpy", "torch", "numba", "av", "scipy", "safetensors", "celery"),
    "audio2motion": ("numpy", "torch", "av", "scipy", "safetensors", "celery"),
    "renderer": ("numpy", "torch", "numba", "av", "scipy", "safetensors", "celery"),
    "evaluator": ("numpy", "torch", "mediapipe", "av", "scipy", "celery"),
}
_KINDS_OF = {
    "preprocess": ("shared.trackers", "shared.head_models"),
    "trainer": ("shared.avatar_methods", "shared.head_models", "shared.audio_encoders"),
    "audio2motion": ("services.audio2motion.motion_models", "shared.audio_encoders"),
    "renderer": ("shared.avatar_methods",),
    "evaluator": ("services.evaluator.metrics", "shared.trackers"),
}
_DRAWING = {"all", "preprocess", "trainer", "renderer"}


def examine(settings: Settings, folder: Path, part: Part = "all") -> list[Finding]:
    """Look at Python, libraries, codecs, plug-ins, memory, disks, GPUs, models and servers.

    Args:
        settings: Of the process: they name servers and folders.
        folder: Where files will be written.
        part: Leaves out what this deployable does without.
    """
    findings = [
        Finding("python", is_well=True, text=f"{platform.python_version()} on {platform.machine()}")
    ]
    findings += [_library(name) for name in _LIBRARIES_OF.get(part, _LIBRARIES)]
    findings += [_threads(settings), _memory(), _disk("disk", folder)]
    if part != "gateway":
        findings += [_codecs(), _disk("work_dir", _existing(settings.work_dir))]
        kinds = _KINDS_OF.get(part, _PLUGIN_KINDS)
        findings += [_plugin(kind, name) for kind in kinds for name in plugin_names(kind)]
        findings.append(_models(settings))
    if part in _DRAWING:
        findings += [_rasterizer(name) for name in plugin_names("shared.rasterizers")]
        findings += judge_gpus(read_gpu_facts())
    return findings + examine_servers(settings, needs_database=part in {"all", "gateway"})


def _library(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        # MediaPipe's OpenCV with windows fails here on servers: libGL.so.1.
        return Finding(
            name, is_well=False, text=f"{error}; run make setup, or pip install -e '.[all]'"
        )
    return Finding(name, is_well=True, text=str(getattr(module, "__version__", "present")))


def _codecs() -> Finding:
    try:
        from av.codec import Codec
    except ImportError as error:
        return Finding("codecs", is_well=False, text=str(error))
    names = ("libx264", "aac", "libvpx-vp9", "libopus")
    missing = []
    for name in names:
        try:
            Codec(name, "w")
        except ValueError:
            missing.append(name)
    text = f"cannot encode {', '.join(missing)}" if missing else ", ".join(names)
    return Finding("codecs", is_well=not missing, text=text)


def _threads(settings: Settings) -> Finding:
    chosen = settings.n_threads or available_cores()
    return Finding(
        "threads", is_well=True, text=f"{chosen} of {available_cores()} cores (TALKSPLAT_THREADS)"
    )


def _memory() -> Finding:
    lines = Path("/proc/meminfo")
    if not lines.is_file():
        return Finding("memory", is_well=True, text="unknown on this system")
    fields = dict(line.split(":", 1) for line in lines.read_text("ascii").splitlines())
    free = 1024 * int(fields["MemAvailable"].split()[0]) / _GB
    return Finding(
        "memory", is_well=free >= _NEEDED_GB, text=f"{free:.1f} GB free, {_NEEDED_GB:.0f} GB needed"
    )


def _disk(subject: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / _GB
    text = f"{free:.1f} GB free in {folder}"
    if free < _NEEDED_GB:
        text += f"; {_NEEDED_GB:.0f} GB are needed: make room, or choose another folder"
    elif not os.access(folder, os.W_OK):
        return Finding(subject, is_well=False, text=f"{folder} cannot be written to")
    return Finding(subject, is_well=free >= _NEEDED_GB, text=text)


def _existing(folder: Path) -> Path:
    """The folder, or what it would be made in."""
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


def _plugin(kind: str, name: str) -> Finding:
    subject = f"{kind.rsplit('.', 1)[1]}/{name}"
    try:
        load_plugin(kind, name)
    except MissingModel as error:
        return Finding(subject, is_well=False, text=error.message)
    return Finding(subject, is_well=True, text="ready")


def _rasterizer(name: str) -> Finding:
    """The CPU's must work; another is looked at, and a machine without a GPU is well."""
    try:
        open_rasterizer(name)
    except MissingModel as error:
        return Finding(f"rasterizers/{name}", is_well=name != "cpu", text=error.message)
    return Finding(f"rasterizers/{name}", is_well=True, text="ready")


def _models(settings: Settings) -> Finding:
    found = find_model_files(settings.models_dir)
    altered = [row.file.name for row in found if row.presence == "altered"]
    if altered:
        text = f"{', '.join(altered)} differ from what their owners publish; fetch them again"
        return Finding("models", is_well=False, text=text)
    n_present = sum(row.presence == "present" for row in found)
    return Finding(
        "models",
        is_well=True,
        text=f"{n_present} of {len(found)} optional files (talksplat models)",
    )
