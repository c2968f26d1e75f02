"""Installs each image's extra into a clean environment and imports what the image runs.

Usage: images.py FOLDER [DEPLOYABLE...]   (environments of up to a gigabyte, one at a time)

Stands for building the images where there is no container engine: the same pip commands as in the
Dockerfiles, without their base. What the base lacks is not seen here.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
OPENCV = "opencv-contrib-python"
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), package + "."):
        if found.name != "api.db.migrations.env":  # alembic alone can run it
            importlib.import_module(found.name)
assert not [name for name in ("pytest", "mypy") if importlib.util.find_spec(name)]
"""
"""Imports packages with all their modules, inside the environment."""


def dockerfiles() -> dict[str, Path]:
    """Dockerfile by image name."""
    found = {path.parent.name: path for path in sorted(REPOSITORY.glob("services/*/Dockerfile"))}
    return {"gateway": REPOSITORY / "api" / "Dockerfile", **found}


def extras_of(dockerfile: Path) -> str:
    """The extras that its first target installs, such as ``trainer,worker``."""
    found = re.search(r"'\.\[([a-z0-9,]+)\]'", dockerfile.read_text(encoding="utf-8"))
    assert found, dockerfile
    return found[1]


def packages_of(name: str) -> list[str]:
    """What the image's processes import."""
    if name == "gateway":
        return ["api", "services.embedded.commands.gateway", "services.embedded.commands.tenants"]
    workers = ["services.embedded.worker_process", "shared.worker", "shared.messaging"]
    return [f"services.{name}", *workers]


def copy_context(folder: Path) -> Path:
    """What .dockerignore lets through to the builder."""
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    folder.mkdir()
    for name in (line.removeprefix("!") for line in lines if line.startswith("!")):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def check_image(name: str, dockerfile: Path, folder: Path) -> None:
    """Install and import; raises where a command fails."""
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    python = str(folder / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input")
    constraints = REPOSITORY / "constraints.txt"
    wanted = f"{copy_context(folder / 'context')}[{extras_of(dockerfile)}]"
    _run(*pip, "install", "-qq", "--constraint", str(constraints), wanted)
    if f"uninstall --yes {OPENCV}" in dockerfile.read_text(encoding="utf-8"):
        pinned = re.search(rf"^{OPENCV}==(\S+)$", constraints.read_text("utf-8"), re.MULTILINE)
        assert pinned
        _run(*pip, "uninstall", "-qq", "--yes", OPENCV)
        _run(*pip, "install", "-qq", "--no-deps", f"{OPENCV}-headless=={pinned[1]}")
    _run(python, "-I", "-c", IMPORT_ALL, *packages_of(name), cwd=folder)
    command = ["migrate"] if name == "gateway" else ["worker", name, "--help"]
    _run(str(folder / "bin" / "talksplat"), *command, cwd=folder)


def _run(*command: str, cwd: Path = REPOSITORY) -> None:
    """Run a command that sees nothing of this environment's modules."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    settings = {"TALKSPLAT_DATABASE_URL": "sqlite:///migrated.db"}
    subprocess.run(  # noqa: S603 - our own words
        command, check=True, cwd=cwd, env={**others, **settings}, stdout=subprocess.DEVNULL
    )


def main(folder: Path, names: Sequence[str]) -> int:
    """Check the named images, or all; returns how many failed."""
    n_failed = 0
    for name, dockerfile in dockerfiles().items():
        if names and name not in names:
            continue
        began = time.monotonic()
        try:
            check_image(name, dockerfile, folder / name)
            told = "imports what it runs"
        except subprocess.CalledProcessError as error:
            n_failed += 1
            told = f"FAILED: {' '.join(map(str, error.cmd))[:200]}"
        shutil.rmtree(folder / name, ignore_errors=True)
        print(f"{name:13} {time.monotonic() - began:5.0f} s  {told}", flush=True)  # noqa: T201
    return min(n_failed, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
