"""Do all extras resolve together for another Python version? Usage: resolve.py 3.12

pip resolves for that version without having it (``--dry-run --python-version``), which reads
the metadata of every package. Torch alone weighs gigabytes with its CUDA libraries and is built
per Python version, so a stand-in wheel without content takes its place: it has the pinned version
and the requirements of the torch installed here, less the CUDA libraries, which torch pins exactly
and nothing else asks for.
"""

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
CUDA = re.compile(r"^(nvidia|triton|cuda)", re.IGNORECASE)


def all_requirements(pyproject: Path) -> list[str]:
    """Requirements of the project and all its extras, without references to itself."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return sorted({name for names in lists for name in names if not name.startswith("talksplat")})


def write_torch_stand_in(folder: Path, version: str, requirements: list[str]) -> None:
    """Write an empty wheel that says it is torch."""
    info = f"torch-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: torch\nVersion: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in requirements if not CUDA.match(line)]
    wheel = "Wheel-Version: 1.0\nGenerator: talksplat\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")


def main(python_version: str) -> int:
    """Resolve and return pip's exit code."""
    requirements = all_requirements(REPOSITORY / "pyproject.toml")
    torch = next(line.removeprefix("torch==") for line in requirements if line.startswith("torch="))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # A local version sorts above the plain one, so pip prefers the stand-in.
        torch_requirements = importlib.metadata.requires("torch") or []
        write_torch_stand_in(folder, f"{torch}+zz.stand.in", torch_requirements)
        (folder / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"),
            *("--dry-run", "--ignore-installed", "--only-binary=:all:"),
            *("--python-version", python_version, "--target", str(folder / "target")),
            *("--find-links", str(folder), "--constraint", str(REPOSITORY / "constraints.txt")),
            *("--report", str(folder / "report.json"), "-r", str(folder / "requirements.txt")),
        ]
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - pip, our own words
        n_packages = 0 if code else (folder / "report.json").read_text().count('"download_info"')
    found = f"{n_packages} packages" if not code else "it does not"
    print(f"resolves for Python {python_version}: {found}")  # noqa: T201 - a command
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
