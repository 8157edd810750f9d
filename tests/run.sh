#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test but the long ones (ctest --test-dir build/dev -L long).
set -euo pipefail
cd "$(dirname "$0")/.."
budget_s=1800  # for all of it; CI has two slow cores

began=$SECONDS
bash cmake/packages.sh test
cmake --preset dev
cmake --build --preset dev
built=$SECONDS
ctest --test-dir build/dev -LE long --output-on-failure --no-tests=error
took=$((SECONDS - began))
echo "build $((built - began)) s, tests $((SECONDS - built)) s, of a budget of $budget_s s"
if [ "$took" -gt "$budget_s" ]; then
  echo "run.sh: over the time budget" >&2
  exit 1
fi
