"""schemathesis over the whole OpenAPI document against a running gateway.

TALKSPLAT_TEST_EXAMPLES sets how many requests are drawn for each operation besides those that its
schema's edges give.
"""

import os
import subprocess
import sys
from pathlib import Path

from api.db.records import KeyScope
from tests.integration.databases import migrate_template
from tests.integration.live_gateway import LiveGateway, Places

# Left out is what a schema cannot say: that a cursor was made by us, that a plug-in is installed,
# that a moment is to come (positive_data_acceptance).
EXCLUDED = "positive_data_acceptance"
PLENTY = "1000000"


def test_the_whole_document_holds(
    database_url: str, broker_url: str, store_url: str, tmp_path: Path
) -> None:
    """No 5xx, no undocumented status, no other body than promised, for whatever is sent."""
    gateway = LiveGateway(
        Places(migrate_template(database_url), broker_url, store_url),
        tmp_path / "gateway.log",
        TALKSPLAT_REQUESTS_PER_MINUTE=PLENTY,
        TALKSPLAT_SUBMISSIONS_PER_MINUTE=PLENTY,
    )
    gateway.start()
    try:
        key = gateway.add_account(KeyScope.operator).token
        tried = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis",
                "run",
                f"{gateway.address}/openapi.json",
                f"--header=Authorization: Bearer {key}",
                "--checks=all",
                f"--exclude-checks={EXCLUDED}",
                "--phases=examples,coverage,fuzzing",
                f"--max-examples={os.environ.get('TALKSPLAT_TEST_EXAMPLES', '3')}",
                "--generation-database=none",
                "--seed=1",
                "--workers=2",
                "--warnings=off",
                "--request-timeout=30",
                "--continue-on-failure",
                "--no-color",
            ],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        gateway.kill()
        gateway.database.dispose()

    assert 0 == tried.returncode, tried.stdout[-8000:] + tried.stderr[-2000:]
    assert "request_failed" not in gateway.log_text()
