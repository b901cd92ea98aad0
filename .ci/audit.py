"""Fails when an installed package has a known vulnerability; says so when the advisory service cannot be asked."""

import importlib.util
import json
import subprocess
import sys

SERVICE_TIMEOUT_S = 120


def main() -> int:
    """Status 1 when there is something to mend, else 0."""
    if importlib.util.find_spec("pip_audit") is None:
        print("audit: pip-audit is not installed; nothing was audited (make sets it up: pip install -e '.[dev]')")
        return 1
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SERVICE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"audit: the advisory service did not answer within {SERVICE_TIMEOUT_S} s; nothing was audited")
        return 0
    if not answer.stdout.strip():
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"audit: the advisory service could not be asked, nothing was audited ({reason})")
        return 0
    packages = json.loads(answer.stdout)["dependencies"]
    audited = [package for package in packages if "vulns" in package]
    affected = [package for package in audited if package["vulns"]]
    for package in affected:
        for known in package["vulns"]:
            fixed_in = ", ".join(known["fix_versions"]) or "no version yet"
            print(f"audit: {package['name']} {package['version']}: {known['id']}, mended in {fixed_in}")
    if not audited:
        print(f"audit: the advisory service answered for none of {len(packages)} packages; nothing was audited")
    else:
        print(
            f"audit: {len(audited)} of {len(packages)} packages looked up, {len(affected)} with a known vulnerability"
        )
    return 1 if affected else 0


if __name__ == "__main__":
    sys.exit(main())
