#!/usr/bin/env bash
# Makes .venv in the repository's root with the SCIM server and the conformance tester that the interop tests use.
# Safe to run again: what is there in the right version stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check scim2-server==0.8.3 scim2-cli==0.6.0 prometheus-client==0.26.0
.venv/bin/python -m pip list --disable-pip-version-check 2>/dev/null | grep -E '^scim2-(server|cli) |^prometheus.client '
