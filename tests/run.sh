#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test but the long ones (log=$(mktemp)
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
