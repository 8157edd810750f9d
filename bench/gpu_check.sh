#!/usr/bin/env bash
# Everything that only a GPU can tell, in one command:
#   bash bench/gpu_check.sh [--build DIR] [--out DIR] [--part NAME]... [--rehearse]
# Parts, all of them by default: conformance (each wrapper of PTX, its answers recorded), kernels, networks, golden
# (tests in float32 and halves), sanitizer (memcheck, racecheck, initcheck), timing (every network at batch 1, 8, 32).
# Takes the programs of --build DIR (default build/gpu); builds them there if they are missing (cmake --preset gpu). They
# need neither OpenCV nor oneDNN nor a network. --rehearse: the emulator stands in for the GPU (of build/dev), and only
# what it can do in a minute is run. Writes OUT/gpu_check.json, and each part's own log and JSON beside it.
set -uo pipefail
cd "$(dirname "$0")/.."
command_line="bash bench/gpu_check.sh $*"
build= out= rehearse= module= parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --part) parts+=("$2"); shift 2 ;;
    --rehearse) rehearse=1; shift ;;
    *) echo "gpu_check.sh: unknown argument '$1'" >&2; exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(conformance kernels networks golden sanitizer timing)
build=${build:-build/$([ "$rehearse" ] && echo dev || echo gpu)}
out=${out:-$build/gpu_check}
mkdir -p "$out"

if [ "$rehearse" ]; then
  conformance=$build/tests/emulator/conformance/emulator_conformance
  kernels=("$build/tests/kernels/cuda/cuda_kernels_plain") networks=("$build/tests/models/cuda/cuda_networks")
  module=$(cd "$build" && pwd)/libfathom_cuda_emulated.so  # for the programs; the tests have their own in them
  device="CUDA emulator (rehearsal)"
else
  [ -x "$build/tests/gpu/gpu_tests" ] || { cmake --preset gpu && cmake --build --preset gpu || exit 1; }
  conformance=$build/tests/emulator/gpu/gpu_conformance
  kernels=("$build/tests/gpu/gpu_tests") networks=("$build/tests/gpu/gpu_tests")
  device=$(nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,memory.total --format=csv,noheader 2>/dev/null | head -1)
  [ "$device" ] || { echo "gpu_check.sh: no GPU: nvidia-smi finds none" >&2; exit 1; }
fi
export FATHOM_GOLDEN=$PWD/tests/golden

results=()
failed=0
note() { results+=("$1|$2|$3"); echo "== $1: $2 ($3 s)"; }
# part NAME COMMAND...: runs, logs, notes passed or failed
part() {
  local name=$1 began=$SECONDS status=passed
  shift
  "$@" >"$out/$name.log" 2>&1 || { status=failed; failed=1; tail -20 "$out/$name.log"; }
  note "$name" "$status" $((SECONDS - began))
}

sanitizer() {  # of a small network, enqueued and repeated by a graph
  for tool in memcheck racecheck initcheck; do
    local began=$SECONDS
    [ "$rehearse" ] && { note "$tool" "not rehearsed" 0; continue; }
    command -v compute-sanitizer >/dev/null || { note "$tool" "tool refused here" 0; continue; }
    FATHOM_NETWORK=umich_squeezenet compute-sanitizer --tool "$tool" --error-exitcode 9 "${networks[@]}" \
      "networks of divided channels equal the reference" >"$out/$tool.log" 2>&1
    case $? in
      0) note "$tool" passed $((SECONDS - began)) ;;
      9) note "$tool" failed $((SECONDS - began)); failed=1; grep -m5 "=========" "$out/$tool.log" ;;
      *) note "$tool" "tool refused here" $((SECONDS - began)) ;;
    esac
  done
}

timing() {
  local all
  all=$("$build/weights_tools/fathom_weights" list --json | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' | paste -sd,)
  for precision in fp32 fp16; do
    local flags=(--model "$all" --batch 1,8,32 --seconds 0.3 --budget 100)
    [ "$rehearse" ] && flags=(--model mobile_baseline_1 --batch 1 --seconds 0.01 --size 32x32)
    part "timing_$precision" env ${module:+FATHOM_CUDA_MODULE=$module} "$build/bench/fathom_bench" fps --device cuda --precision "$precision" "${flags[@]}" --json "$out/timing_$precision.json"
    grep -v "^$" "$out/timing_$precision.log" | head -80
  done
}

for name in "${parts[@]}"; do
  case $name in
    conformance) part conformance "$conformance" --record "$out/ptx_conformance.txt" ;;
    kernels) [ "$rehearse" ] && part kernels "${kernels[@]}" "cuda: weights are packed once" || part kernels "${kernels[@]}" "[cuda]" ;;
    networks) part networks "${networks[@]}" "[networks]~[long],[sessions]"
      grep "error" "$out/networks.log"
      [ "$rehearse" ] || { part whole_networks "${networks[@]}" "[networks][long]"; grep "error" "$out/whole_networks.log"; } ;;
    golden) [ "$rehearse" ] && export FATHOM_NETWORK=mobile_baseline_1
      part golden "${networks[@]}" "[golden]"
      unset FATHOM_NETWORK
      grep "error" "$out/golden.log" ;;
    sanitizer) sanitizer ;;
    timing) timing ;;
    *) echo "gpu_check.sh: no part '$name'" >&2; exit 2 ;;
  esac
done

{
  printf '{\n "device": "%s",\n "date": "%s",\n "command": "%s",\n "commit": "%s",\n "parts": [\n' "$device" "$(date -u +%F)" "$command_line" \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
  for ((k = 0; k < ${#results[@]}; ++k)); do
    IFS='|' read -r name status seconds <<<"${results[k]}"
    printf '  {"name": "%s", "status": "%s", "seconds": %s}%s\n' "$name" "$status" "$seconds" "$([ $((k + 1)) -lt ${#results[@]} ] && echo ,)"
  done
  printf ' ]\n}\n'
} >"$out/gpu_check.json"
echo "results in $out"
exit $failed
