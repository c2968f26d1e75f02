"""The folder and the memory store keep the rules of every object store."""

import secrets
from pathlib import Path

import pytest

from shared.object_store import Store, open_store
from tests.object_store_rules import ObjectStoreRules


class TestFileStore(ObjectStoreRules):
    """``file://``."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """An empty folder."""
        opened = open_store(f"file://{tmp_path}/store")
        opened.prepare()
        return opened


class TestMemoryStore(ObjectStoreRules):
    """``memory://``."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty memory."""
        return open_store(f"memory://{secrets.token_hex(8)}")
