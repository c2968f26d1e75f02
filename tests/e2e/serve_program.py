"""``talksplat serve`` as a process that a test may kill."""

import json
from pathlib import Path

from tests.load.programs import Program, free_port


class Serve:
    """``talksplat serve`` that is started again whenever it ends."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.data_dir = folder / "data"
        self.address = f"http://127.0.0.1:{port}"
        arguments = ["serve", "--json", "--port", str(port), "--data-dir", str(self.data_dir)]
        self.program = Program("serve", arguments, {}, folder)

    def api_keys(self) -> list[str | None]:
        """What each start so far has shown."""
        lines = self.program.log_tail(10_000_000).splitlines()
        told = [json.loads(line) for line in lines if line.startswith('{"url":')]
        return [line["api_key"] for line in told]

    def first_key(self) -> str:
        """The key that only the first start shows."""
        key = self.api_keys()[0]
        assert key is not None
        return key
