"""An image has its deployable's extra and nothing else: all that its code imports is in there.

Imports inside functions count. Plug-ins count with the contract that loads them. ``make
images-check`` proves the same with real environments.
"""

import importlib.metadata
import sys
import tomllib
from functools import cache

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.messaging.routes import SERVICES
from tests.architecture.repository import PRODUCT, ROOT

WORKER = (
    "services.embedded.worker_process",
    "shared.worker.celery_worker",
    "shared.worker.child",
    "shared.worker.loop",
)
GATEWAY = ("api.db.migrate", "api.gateway", "api.serving", "services.embedded.commands.gateway")
NOT_ASKED_FOR = {
    "numba": "shared/compute.py limits it only where it is imported already",
    "pynvml": "metrics of GPUs; of the extra gpu",
}
"""Imports that a deployable does without, and why."""
COMES_WITH = {"opencv-contrib-python-headless": "opencv-contrib-python"}
"""What the set-up and the images put in place of another package."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_worker_s_extra_holds_what_it_imports(service: str) -> None:
    """The service's own extra with that of all workers."""
    imported = _imported(frozenset((f"services.{service}.tasks", *WORKER)))

    assert set() == imported - _installed_by((service, "worker"))


def test_the_gateway_s_extra_holds_what_it_imports() -> None:
    """And so do migrations, which run from its image."""
    assert set() == _imported(frozenset(GATEWAY)) - _installed_by(("api",))


@pytest.mark.parametrize("extra", ["api", "worker"])
def test_gateway_and_workers_parent_need_no_torch(extra: str) -> None:
    """The gateway's image stays small."""
    assert not {"torch", "numba", "mediapipe"} & _installed_by((extra,))


def _imported(starts: frozenset[str]) -> set[str]:
    """Distributions that the code reachable from ``starts`` imports."""
    graph = _graph()
    todo, seen = set(starts), set[str]()
    while todo:
        module = todo.pop()
        seen.add(module)
        found = set(graph.find_modules_directly_imported_by(module))
        if f"{module}s" in graph.modules:  # a contract and the folder of its implementations
            found |= graph.find_children(f"{module}s")
        todo |= found - seen
    names = {module.split(".")[0] for module in seen} - set(PRODUCT) - sys.stdlib_module_names
    providers = importlib.metadata.packages_distributions()
    found_names = {
        str(canonicalize_name(providers.get(name, [name])[0]))
        for name in names
        if name not in NOT_ASKED_FOR
    }
    return {COMES_WITH.get(name, name) for name in found_names}


def _installed_by(extras: tuple[str, ...]) -> set[str]:
    """Distributions that ``pip install '.[extras]'`` brings, by what is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    todo = [Requirement(line) for line in project["dependencies"]]
    todo += [Requirement(f"talksplat[{','.join(extras)}]")]
    seen: set[str] = set()
    while todo:
        wanted = todo.pop()
        name = str(canonicalize_name(wanted.name))
        if name == "talksplat":
            lists = (project["optional-dependencies"][extra] for extra in wanted.extras)
            todo += [Requirement(line) for lines in lists for line in lines]
        elif name not in seen:
            seen.add(name)
            todo += _requirements(name, frozenset(wanted.extras))
    return seen


def _requirements(name: str, extras: frozenset[str]) -> list[Requirement]:
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # replaced by its twin, or of another platform
    found = [Requirement(line) for line in lines]
    return [
        each
        for each in found
        if each.marker is None
        or any(each.marker.evaluate({"extra": extra}) for extra in (extras or {""}))
    ]


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PRODUCT, include_external_packages=True, cache_dir=None)
