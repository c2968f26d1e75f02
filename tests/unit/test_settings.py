"""Settings come from the environment, once."""

from pathlib import Path

import pytest

from shared.errors import InvalidInput
from shared.settings import read_settings


def test_variables_become_settings() -> None:
    """Paths and numbers."""
    settings = read_settings({"TALKSPLAT_MODELS_DIR": "/models", "TALKSPLAT_THREADS": "3"})

    assert Path("/models") == settings.models_dir
    assert 3 == settings.n_threads


def test_an_empty_environment_gives_the_defaults() -> None:
    """An empty variable counts as not set."""
    assert read_settings({}) == read_settings({"TALKSPLAT_THREADS": ""})
    assert 0 == read_settings({}).n_threads


@pytest.mark.parametrize("text", ["two", "-1", "1.5"])
def test_a_value_that_makes_no_sense_is_refused_by_name(text: str) -> None:
    """The message names the variable."""
    with pytest.raises(InvalidInput) as refusal:
        read_settings({"TALKSPLAT_THREADS": text})

    assert "bad_setting" == refusal.value.code
    assert "TALKSPLAT_THREADS" in refusal.value.message
