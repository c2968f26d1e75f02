"""What the architecture tests look at: the tracked files and their syntax trees."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ("api", "services", "shared")


def tracked_files() -> list[Path]:
    """Files that git knows or would add; all files where this is no git checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file()]
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def python_files(*folders: str) -> list[Path]:
    """Tracked Python files below ``folders``."""
    roots = [ROOT / folder for folder in folders]
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)
    ]


def parse(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    """Path inside the repository."""
    return path.relative_to(ROOT).as_posix()
