"""Dockerfiles hold to the rules of images; no engine is needed to read them."""

import re
from pathlib import Path

import pytest

from shared.messaging.routes import SERVICES
from tests.architecture.repository import ROOT

GPU_SERVICES = ("trainer", "renderer")
DOCKERFILES = {
    "gateway": ROOT / "api" / "Dockerfile",
    **{name: ROOT / "services" / name / "Dockerfile" for name in SERVICES},
}
_USER = re.compile(r"^USER (.+)$", re.MULTILINE)
_TOOLS = re.compile(r"\b(gcc|g\+\+|build-essential|cmake|ninja|nvcc|git|cuda)\b", re.IGNORECASE)


class Stage:
    """One FROM with what follows."""

    def __init__(self, text: str) -> None:
        head, _, self.body = text.partition("\n")
        self.base, _, self.name = head.partition(" AS ")


@pytest.fixture(params=DOCKERFILES, name="image")
def image_name(request: pytest.FixtureRequest) -> str:
    """Each in turn."""
    name: str = request.param
    return name


def _read(image: str) -> str:
    return DOCKERFILES[image].read_text(encoding="utf-8")


def _stages(image: str) -> dict[str, Stage]:
    parts = re.split(r"^FROM ", _read(image), flags=re.MULTILINE)[1:]
    stages = [Stage(part) for part in parts]
    return {stage.name: stage for stage in stages}


def _targets(image: str) -> dict[str, list[Stage]]:
    """Stages that each final image is made of."""
    stages = _stages(image)
    found: dict[str, list[Stage]] = {}
    for name in ("cpu", "cuda"):
        if name in stages:
            chain = [stages[name]]
            while chain[-1].base in stages:
                chain.append(stages[chain[-1].base])
            found[name] = chain
    return found


def test_each_deployable_has_an_image_and_trainer_and_renderer_have_two() -> None:
    """CUDA where something is computed on a GPU."""
    expected = {name: {"cpu", "cuda"} if name in GPU_SERVICES else {"cpu"} for name in DOCKERFILES}

    assert expected == {name: set(_targets(name)) for name in DOCKERFILES}


def test_bases_are_pinned_by_tag(image: str) -> None:
    """A number, never latest; an argument's default counts."""
    text = _read(image)
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    stages = _stages(image)
    for stage in stages.values():
        if stage.base in stages:
            continue
        base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], stage.base)
        tag = base.partition(":")[2]

        assert re.match(r"\d+\.\d+\.\d+-", tag), base


def test_it_does_not_run_as_root(image: str) -> None:
    """By number, so that Kubernetes can see it; nothing after it is done as somebody else."""
    for chain in _targets(image).values():
        users = [user for stage in chain for user in re.findall(_USER, stage.body)]

        assert ["10001:10001"] == users


def test_the_final_image_has_no_compiler(image: str) -> None:
    """What is compiled is compiled in stages that are left behind."""
    for chain in _targets(image).values():
        installed = [
            words
            for stage in chain
            for words in re.findall(r"install --yes --no-install-recommends ([^&]+)", stage.body)
        ]

        assert not _TOOLS.search(" ".join(installed))
        assert all("devel" not in stage.base for stage in chain)


def test_it_has_its_own_extra_only(image: str) -> None:
    """The service's and the workers', and gpu in the CUDA variant."""
    own = ["api"] if image == "gateway" else [f"{image},worker"]
    expected = [*own, *([f"{image},worker,gpu"] if image in GPU_SERVICES else [])]

    assert expected == re.findall(r"'\.\[([a-z0-9,]+)\]'", _read(image))


def test_it_tells_whether_it_is_well_and_what_it_runs(image: str) -> None:
    """A health command, and an entry point that is the product's own command."""
    for chain in _targets(image).values():
        text = "\n".join(stage.body for stage in chain)
        entry = ["talksplat"] if image == "gateway" else ["talksplat", "worker", image]

        assert "/healthz" in text.split("HEALTHCHECK")[1]
        assert f"ENTRYPOINT {str(entry).replace(chr(39), chr(34))}" in text


@pytest.mark.parametrize("service", GPU_SERVICES)
def test_kernels_are_built_ahead(service: str) -> None:
    """For named compute capabilities, and the build fails where they are missing."""
    stages = _stages(service)

    assert re.search(r'^ARG CUDA_CAPABILITIES="\d', stages["kernels"].body, re.MULTILINE)
    assert "--no-binary gsplat" in stages["kernels"].body
    assert "gsplat/csrc*.so" in stages["packages-cuda"].body
    assert "devel" not in stages["cuda"].base


def test_the_builder_gets_only_what_setup_needs() -> None:
    """No history, no tests, no environment of this machine."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert "*" in lines
    assert {"api", "services", "shared", "pyproject.toml", "constraints.txt"} <= kept
    assert all(Path(ROOT / name).exists() for name in kept)
