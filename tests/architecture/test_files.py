"""Files are small, in their place, and tell nothing of the machine they were written on."""

import ast
import re
from pathlib import Path

from tests.architecture.repository import PRODUCT, name_of, parse, python_files, tracked_files

MAX_LINES = 500
EXPLAIN_ABOVE = 300
LONG_FILES = {
    "tests/deletion_rules.py": "one class of rules, run on both databases",
    "tests/engine_rules.py": "one class of rules, run on both databases",
    "tests/unit/test_render.py": "all that a renderer writes and refuses, with one fake avatar",
    "tests/unit/test_state_machine.py": "every transition, one test each",
    "api/jobs/use_cases.py": "all that tenants can do with jobs, in one place",
    "api/jobs/state_machine.py": "every transition of a job, in one place",
    "api/db/tables.py": "the tables side by side, to be read beside each other",
    "services/preprocess/face_bundle.py": "one solver, read straight down",
    "shared/avatar_methods/rigged_gaussians.py": "a method is one file; its parts are in rigging",
    "shared/avatar_methods/speaker_blendshapes.py": "a method is one file, its parts in rigging",
    "shared/object_stores/s3.py": "one store, one file; two dozen lines of them read its URL",
    "shared/raster_kernels/projection.py": "a compiled kernel and its derivative, side by side",
}
"""Files over EXPLAIN_ABOVE lines, and why."""


def test_no_file_is_over_the_limit() -> None:
    """500 lines fail, whatever the reason."""
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in _all_python()}

    assert {} == {name: n for name, n in lengths.items() if n > MAX_LINES}


def test_long_files_give_a_reason() -> None:
    """Over 300 lines a file is listed above with its reason, and only then."""
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in _all_python()}

    long_files = {name for name, n in lengths.items() if n > EXPLAIN_ABOVE}
    assert set(LONG_FILES) == long_files


def test_package_files_are_empty() -> None:
    """Importing a package runs nothing."""
    packages = [p for p in python_files(*PRODUCT) if p.name == "__init__.py"]

    assert packages
    assert [] == [name_of(p) for p in packages if p.read_text("utf-8").strip()]


def test_every_module_says_what_it_is_for() -> None:
    """The first thing in a file is its docstring."""
    modules = [p for p in python_files(*PRODUCT, "tests") if p.name != "__init__.py"]

    assert [] == [name_of(p) for p in modules if not ast.get_docstring(parse(p))]


def test_no_meaningless_names() -> None:
    """A file is named for what it holds."""
    forbidden = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager|base)(_|$)|_v\d$|^new_")

    assert [] == [name_of(p) for p in _all_python() if forbidden.search(p.stem)]


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    """A clone works anywhere: no package host, no developer's folder."""
    hosts = ("pypi" + ".org", "python" + "hosted", "download.py" + "torch")
    folders = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/opt/" + "wheels")
    pattern = re.compile("|".join(map(re.escape, (*hosts, *folders))).encode())

    found = [name_of(p) for p in tracked_files() if pattern.search(p.read_bytes())]
    assert [] == found


def test_no_tracked_file_is_large() -> None:
    """Weights, footage and datasets do not belong here."""
    assert [] == [name_of(p) for p in tracked_files() if p.stat().st_size > 300_000]


def _all_python() -> list[Path]:
    return python_files(*PRODUCT, "tests")
