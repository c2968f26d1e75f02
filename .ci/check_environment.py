"""Is the environment whole? ``pip check``, knowing that OpenCV is the headless build."""

import re
import subprocess
import sys

EXPECTED = re.compile(r"mediapipe \S+ requires opencv-contrib-python, which is not installed\.")
"""The set-up replaces that package by its headless twin, which provides the same module."""


def main() -> int:
    """Print what is missing or contradictory and return the exit code."""
    check = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        check=False,
        capture_output=True,
        text=True,
    )
    lines = (check.stdout + check.stderr).splitlines()
    problems = [line for line in lines if line and not EXPECTED.fullmatch(line)]
    if check.returncode == 0 or not problems:
        print("The environment is whole.")  # noqa: T201 - a command
        return 0
    print("\n".join(problems))  # noqa: T201 - a command
    return 1


if __name__ == "__main__":
    sys.exit(main())
