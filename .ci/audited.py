"""What pip-audit found, in a few lines: audited.py LOCK RESULT. Exit status 1 for a known vulnerability."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(lock: str, result: Path) -> int:
    """Print what is vulnerable, and what could not be looked up."""
    try:
        dependencies = json.loads(result.read_text())["dependencies"]
    except (ValueError, KeyError):
        print(f"{lock}: not audited, the advisory service cannot be reached")
        return 0
    if all("skip_reason" in one for one in dependencies):
        print(f"{lock}: not audited, the advisory service has nothing on any of {len(dependencies)} packages")
        return 0
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    vulnerable = [one for one in dependencies if one.get("vulns")]
    for one in vulnerable:
        known = ", ".join(f"{vuln['id']} (mended in {', '.join(vuln['fix_versions']) or '-'})" for vuln in one["vulns"])
        print(f"{lock}: {one['name']} {one['version']}: {known}")
    told = "" if not skipped else f"; not audited, for the service does not know them: {len(skipped)}"
    print(f"{lock}: {len(dependencies) - len(skipped)} audited, {len(vulnerable)} vulnerable{told}")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
