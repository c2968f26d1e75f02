"""What the documents say exists, and what exists is said."""

import ast
import re

from shared.settings import Settings
from tests.architecture.repository import PRODUCT, ROOT, name_of, parse, python_files

_ERRORS = {"InvalidInput", "MissingModel", "Refused", "Unavailable"}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_commands_of_the_documents_are_targets_of_the_makefile() -> None:
    """Whoever follows the documents finds the targets."""
    targets = set(re.findall(r"^([a-z0-9-]+):", _read("Makefile"), re.MULTILINE))
    documents = "".join(map(_read, ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", documents, re.MULTILINE))
    named |= set(re.findall(r"^step ([a-z0-9-]+)", _read(".ci/run"), re.MULTILINE))

    assert named
    assert set() == named - targets


def test_the_readme_starts_with_two_commands() -> None:
    """Make demo and make test, and nothing to be done before them."""
    quick_start = _read("README.md").split("## Start")[1].split("\n## ")[0]

    commands = re.findall(r"^(make .+?)(?: +#.*)?$", quick_start, re.MULTILINE)
    assert ["make demo", "make test"] == commands


def test_every_makefile_target_explains_itself() -> None:
    """Make prints a line for each."""
    targets = re.findall(r"^([a-z0-9-]+):(.*)$", _read("Makefile"), re.MULTILINE)

    assert [] == [name for name, rest in targets if "## " not in rest]


def test_every_setting_is_documented() -> None:
    """The variable stands in the field's own text and in the README."""
    readme = _read("README.md")

    for name, field in Settings.model_fields.items():
        variable = re.match(r"(TALKSPLAT_[A-Z_]+): ", field.description or "")
        assert variable, name
        assert variable[1] in readme, name


def test_error_codes_are_listed_once() -> None:
    """docs/errors.md names every code that the product raises, each in one row."""
    listed = re.findall(r"^\| `([a-z_]+)` \|", _read("docs/errors.md"), re.MULTILINE)

    assert sorted(set(listed)) == listed
    assert _raised_codes() == set(listed)


def test_error_codes_are_written_out_where_they_are_raised() -> None:
    """A code is a literal, so that it can be searched for."""
    unclear = [
        f"{name_of(path)}:{call.lineno}"
        for path in python_files(*PRODUCT)
        for call in _error_calls(parse(path))
        if not (call.args and isinstance(call.args[0], ast.Constant))
    ]

    assert [] == unclear


def test_options_and_manifests_document_every_field() -> None:
    """The text under a field becomes its description in schemas and help."""
    silent = [
        f"{name_of(path)}: {node.name}.{field.target.id}"
        for path in python_files(*PRODUCT)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and _is_model(node)
        for field, below in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and field.target.id not in {"model_config", "kind"}
        and not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant))
    ]

    assert [] == silent


def _is_model(node: ast.ClassDef) -> bool:
    names = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return bool(names & {"BaseModel", "Manifest"})


def _raised_codes() -> set[str]:
    return {
        str(call.args[0].value)
        for path in python_files(*PRODUCT)
        for call in _error_calls(parse(path))
        if call.args and isinstance(call.args[0], ast.Constant)
    }


def _error_calls(tree: ast.Module) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _ERRORS
    ]
