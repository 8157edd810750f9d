#!/usr/bin/env bash
# Installs what is missing, builds, runs every test but the long ones (ctest --test-dir build/dev -L long), and says what took how
# long. Under CI=true it also fails where all of it takes longer than CI may; a slow machine of a user's is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."
budget_s=2400

began=$SECONDS
bash cmake/packages.sh test
cmake --preset dev
cmake --build --preset dev
built=$SECONDS
export FATHOM_ALL_TESTS=1  # tests/python/needs.py: a missing package is a failure, not a skip
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
ctest --test-dir build/dev -LE long --output-on-failure --no-tests=error | tee "$log" || failed=$?
took=$((SECONDS - began))
echo "Seconds of each test, slowest first:"
sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .* ([0-9.]+) sec.*/\2 \1/p' "$log" | sort -rn | awk '{printf "%8.1f  %s\n", $1, $2}'
echo "build $((built - began)) s, tests $((SECONDS - built)) s, together $took s"
[ "$failed" -eq 0 ] || exit "$failed"
if [ "${CI:-}" = true ] && [ "$took" -gt "$budget_s" ]; then
  echo "run.sh: over CI's time budget of $budget_s s" >&2
  exit 1
fi
