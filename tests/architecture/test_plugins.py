"""Folders of plug-ins hold nothing but plug-ins."""

import ast
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, name_of, parse, python_files

KINDS = (
    "services/audio2motion/motion_model.py",
    "services/evaluator/metric.py",
    "shared/audio_encoder.py",
    "shared/avatar_method.py",
    "shared/head_model.py",
    "shared/object_store.py",
    "shared/rasterizer.py",
    "shared/tracker.py",
)
"""The contracts; the folder of a kind is its contract's plural."""


PROTOCOLS = {"shared/head_model.py": "HeadSource"}
"""Contracts whose protocol is not named like the file; a head model is also what they build."""
TIED = {
    (
        "services/audio2motion/motion_models/speaker_regressor.py",
        "shared.audio_encoders.mel",
    ): "its windows are cut to this encoder's rows",
}
"""Modules that work with one plug-in only, and why."""


def _folder(contract: str) -> Path:
    return ROOT / (contract.removesuffix(".py") + "s")


@pytest.mark.parametrize("contract", KINDS)
def test_a_kind_has_its_contract_beside_its_folder(contract: str) -> None:
    """The singular file says what the plural folder holds, and there is at least one."""
    implementations = [p for p in _folder(contract).glob("*.py") if p.stem != "__init__"]

    assert (ROOT / contract).is_file()
    assert implementations


@pytest.mark.parametrize("contract", KINDS)
def test_every_file_of_a_kind_offers_what_the_contract_asks(contract: str) -> None:
    """No module of another sort hides in the folder."""
    title = "".join(word.title() for word in Path(contract).stem.split("_"))
    protocol = PROTOCOLS.get(contract, title)
    asked = _members(parse(ROOT / contract), protocol)

    for path in _folder(contract).glob("*.py"):
        if path.stem != "__init__":
            assert set() == asked - _module_names(parse(path)), name_of(path)


@pytest.mark.parametrize("contract", KINDS)
def test_a_kind_has_no_folders_inside(contract: str) -> None:
    """One plug-in is one file."""
    folders = [p.name for p in _folder(contract).iterdir() if p.is_dir()]

    assert {"__pycache__"} >= set(folders)


def test_nobody_imports_a_plugin_by_name() -> None:
    """Plug-ins are found by the loader, so that adding one edits nothing."""
    folders = {name_of(_folder(contract)).replace("/", ".") for contract in KINDS}
    importing = [
        (name_of(path), module)
        for path in python_files("services", "shared")
        for module in _imported(parse(path))
        if any(module.startswith(folder + ".") for folder in folders)
    ]

    assert [] == [pair for pair in importing if pair not in TIED]


def _members(tree: ast.Module, protocol: str) -> set[str]:
    """Names that a protocol class of this name declares; none where there is no such class."""
    for node in tree.body:
        is_protocol = isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
        )
        if isinstance(node, ast.ClassDef) and is_protocol and node.name == protocol:
            return {
                *(item.name for item in node.body if isinstance(item, ast.FunctionDef)),
                *(
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                ),
            }
    return set()


def _module_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _imported(tree: ast.Module) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return modules
