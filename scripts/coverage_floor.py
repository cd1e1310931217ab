#!/usr/bin/env python3
"""Compare a coverage report (`coverage json`) with the floors: the shares that were once reached.

Usage: scripts/coverage_floor.py coverage.json
"""

import json
import sys
from pathlib import Path

# Percent. Set them to what a run of .ci/run prints, and lower them only with a reason.
LINES = 96.5
BRANCHES = 92.0


def main(file):
    totals = json.loads(Path(file).read_text())["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    print(f"lines {lines:.2f} % (floor {LINES}), branches {branches:.2f} % (floor {BRANCHES})")
    return int(lines < LINES or branches < BRANCHES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
