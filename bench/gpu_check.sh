#!/usr/bin/env bash
# Everything that only a GPU can tell, what matters most first:
#   bash bench/gpu_check.sh [--turn 1|2|3]... [--part NAME]... [--limit SECONDS] [--build DIR] [--out DIR] [--bundle FILE]
#   bash bench/gpu_check.sh --pack DIR [--build DIR]
#   bash bench/gpu_check.sh --rehearse ...
# Three turns, each meant for ten minutes of an H200 (--limit 560), all of them by default; --part names single parts:
#   1  is it right?   conformance (each wrapper of PTX, its answers recorded), golden (every network's official outputs,
#                     float32 and halves), glance (a time for each main network), networks (with sessions, streams,
#                     threads and recorded graphs), kernels (every op's table), memcheck (of small networks)
#   2  how fast?      timing_fp16 (main networks at batch 1, 8, 32), timing_tuned (batch 1, kernels chosen by timing), peers
#                     (beside PyTorch in halves, eager and recorded as a CUDA graph), timing_fp32, timing_tf32, peers_fp32
#   3  where, and against the best?   layers (each kernel of the main networks by Nsight Compute), autotune (beside
#                     torch.compile's max-autotune for some), peers_8 (at batch 8), timing_others (the other networks),
#                     libraries (kernels of cuDNN and cuBLASLt are right), timing_libraries (and chosen where they are faster),
#                     racecheck, initcheck, whole_networks (at full width beside the reference)
# --limit: parts that would begin later are left out, and one under way is ended then. The report OUT/gpu_check.json, and
# each part's log and JSON beside it, are written part by part; --bundle keeps all of them in one .tgz as well.
# Takes the programs of --build (default build/gpu) and builds them if they are missing: cmake --preset gpu, and for one
# kind of GPU -DCMAKE_CUDA_ARCHITECTURES=90 keeps them small. They need neither OpenCV nor oneDNN nor a network.
# --pack: puts what is needed, stripped, into a folder: for machines that can build nothing. There: bash DIR/bench/gpu_check.sh.
# --rehearse: the emulator (of build/dev) stands in for the GPU, and only what it can do in a minute is run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
command_line="bash bench/gpu_check.sh $*"
build='' out='' rehearse='' module='' limit='' bundle='' pack='' parts=()
main_networks=(hr_depth lite_hr_depth monodepth2_resnet18 drnet_resnet50 drnet_densenet161 drnet_senet154 rside_resnet50
  refinenet_mobilenetv2 umich_mobilenetv2 umich_squeezenet cnd_mono cnd_stereo cnd_micro mobile_baseline_1)
add_turn() {
  case $1 in
    1) parts+=(conformance golden glance networks kernels memcheck) ;;
    2) parts+=(timing_fp16 timing_tuned peers timing_fp32 timing_tf32 peers_fp32) ;;
    3) parts+=(layers autotune peers_8 timing_others libraries timing_libraries racecheck initcheck whole_networks) ;;
    *) echo "gpu_check.sh: turns are 1, 2 and 3" >&2; exit 2 ;;
  esac
}
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --part) parts+=("$2"); shift 2 ;;
    --turn) add_turn "$2"; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --bundle) bundle=$2; shift 2 ;;
    --pack) pack=$2; shift 2 ;;
    --rehearse) rehearse=1; shift ;;
    --help) sed -n '2,/^set /s/^# \?//p' "$0"; exit ;;
    *) echo "gpu_check.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || { add_turn 1; add_turn 2; add_turn 3; }
build=${build:-build/$([ "$rehearse" ] && echo dev || echo gpu)}
programs=(tests/gpu/gpu_tests tests/emulator/gpu/gpu_conformance bench/fathom_bench weights_tools/fathom_weights libfathom_cuda.so)
all_there() { local p; for p in "${programs[@]}"; do [ -f "$build/$p" ] || return 1; done; }
if ! [ "$rehearse" ] && ! all_there; then
  cmake --preset gpu && cmake --build --preset gpu || exit 1
  for library in fathom_cudnn fathom_cublaslt; do cmake --build --preset gpu --target $library >/dev/null 2>&1; done  # those that there are
fi

if [ "$pack" ]; then
  mkdir -p "$pack/bench/peers" "$pack/weights_tools" "$pack/tests/golden"
  cp bench/gpu_check.sh bench/layers.py "$pack/bench/"
  cp bench/peers/*.py "$pack/bench/peers/"
  cp weights_tools/*.py "$pack/weights_tools/"
  cp tests/golden/*.safetensors "$pack/tests/golden/"
  for p in "${programs[@]}"; do
    mkdir -p "$pack/build/gpu/$(dirname "$p")" && strip -o "$pack/build/gpu/$p" "$build/$p" || exit 1
  done
  for p in libfathom_cudnn.so libfathom_cublaslt.so; do [ ! -f "$build/$p" ] || strip -o "$pack/build/gpu/$p" "$build/$p"; done
  git describe --always --dirty=+ >"$pack/commit" 2>/dev/null
  du -sh "$pack"
  exit
fi

out=${out:-$build/gpu_check}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export FATHOM_GOLDEN=$PWD/tests/golden
FATHOM_COMMIT=$(cat commit 2>/dev/null || git describe --always --dirty=+ 2>/dev/null || echo unknown)
if [ "$rehearse" ]; then
  conformance=$build/tests/emulator/conformance/emulator_conformance
  kernels=$build/tests/kernels/cuda/cuda_kernels_plain networks=$build/tests/models/cuda/cuda_networks
  module=$(cd "$build" && pwd)/libfathom_cuda_emulated.so  # for the programs; the tests have their own in them
  device="CUDA emulator (rehearsal)"
else
  export FATHOM_COMMIT FATHOM_LIBRARY_MODULE=none  # cuDNN and cuBLASLt have parts of their own: their kernels take long to make
  chmod +x "${programs[@]/#/$build/}"
  conformance=$build/tests/emulator/gpu/gpu_conformance
  kernels=$build/tests/gpu/gpu_tests networks=$build/tests/gpu/gpu_tests
  device=$(nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,memory.total --format=csv,noheader 2>/dev/null | head -1)
  [ "$device" ] || { echo "gpu_check.sh: no GPU: nvidia-smi finds none" >&2; exit 1; }
fi

for tools in /usr/local/cuda/bin /opt/nvidia/nsight-compute/*; do  # where installers leave compute-sanitizer and ncu
  [ ! -d "$tools" ] || PATH=$PATH:$tools
done
results=()
failed=0
ended=0
report() {  # anew after every part: what ends this script early leaves what it has found
  {
    printf '{\n "device": "%s",\n "date": "%s",\n "command": "%s",\n "commit": "%s",\n "parts": [\n' "$device" "$(date -u +%F)" "$command_line" "$FATHOM_COMMIT"
    local k name status seconds
    for ((k = 0; k < ${#results[@]}; ++k)); do
      IFS='|' read -r name status seconds <<<"${results[k]}"
      printf '  {"name": "%s", "status": "%s", "seconds": %s}%s\n' "$name" "$status" "$seconds" "$([ $((k + 1)) -lt ${#results[@]} ] && echo ,)"
    done
    printf ' ]\n}\n'
  } >"$out/gpu_check.json"
  [ -z "$bundle" ] || { tar -czf "$bundle.part" -C "$out" . && mv "$bundle.part" "$bundle"; }
}
note() { results+=("$1|$2|$3"); echo "== $1: $2 ($3 s)"; report; }
left() { if [ "$limit" ]; then echo $((limit - SECONDS)); else echo 86400; fi; }

# run LOG COMMAND...: within what is left of the time; sets `ended` to its exit status
run() {
  local log=$1
  shift
  timeout --kill-after=5 "$(left)" "$@" >"$log" 2>&1
  ended=$?
  if [ "$ended" -eq 0 ] && grep -q "^No tests* ran" "$log"; then ended=1; fi  # Catch2 2 takes that for success
}
# part NAME COMMAND...: runs, logs, notes how it ended
part() {
  local name=$1 began=$SECONDS status
  shift
  [ "$(left)" -ge 5 ] || { ended=124; note "$name" "no time left" 0; return; }
  run "$out/$name.log" "$@"
  case $ended in
    0) status=passed ;;
    124 | 137) status="out of time" failed=1 ;;
    *) status=failed failed=1; tail -20 "$out/$name.log" ;;
  esac
  note "$name" "$status" $((SECONDS - began))
}

# Of a list of networks those that fail are noted. A kernel that faults takes the GPU's context with it: then the ones
# behind it are tried again by another process.
fps() {  # NAME NETWORKS ARGUMENTS...
  local name=$1 list=$2 again=0 json=$out/$1.json
  shift 2
  while [ "$list" ]; do
    part "$name" env ${module:+FATHOM_CUDA_MODULE="$module"} "$build/bench/fathom_bench" fps --device cuda --model "$list" "$@" --budget 100 --json "$json"
    grep -v "^$" "$out/$name.log" | head -80
    [ "$ended" = 1 ] && [ $((++again)) -le 3 ] || return
    list=$(python3 -c 'import json, sys; print(",".join(f["network"] for f in json.load(open(sys.argv[1])).get("failed", [])[1:]))' "$json")
    name=${json##*/} name=${name%.json}.again json=$out/$name.json
  done
}

peers() {  # NAME ARGUMENTS...
  local name=$1
  [ "$rehearse" ] && { note "$name" "not rehearsed" 0; return; }
  shift
  local choices=()
  [ "$name" = peers_fp32 ] || mapfile -t choices < <(tuning)  # what was timed are halves
  part "$name" python3 -u bench/peers/peers.py --device cuda --programs "$build" --threads "$(nproc)" --quick "${choices[@]}" -o "$out/$name.json" "$@"
  grep -v "^$" "$out/$name.log" | head -60
}

sanitizer() {  # TOOL [ENVIRONMENT]: of small networks, enqueued and repeated by a graph
  local tool=$1 began=$SECONDS
  [ "$rehearse" ] && { note "$tool" "not rehearsed" 0; return; }
  command -v compute-sanitizer >/dev/null || { note "$tool" "tool refused here" 0; return; }
  [ "$(left)" -ge 10 ] || { note "$tool" "no time left" 0; return; }
  run "$out/$tool.log" env "${@:2}" compute-sanitizer --tool "$tool" --error-exitcode 99 "$networks" "networks of divided channels equal the reference"
  case $ended in
    0) note "$tool" passed $((SECONDS - began)) ;;
    99) failed=1; grep -m5 "=========" "$out/$tool.log"; note "$tool" failed $((SECONDS - began)) ;;
    124 | 137) note "$tool" "out of time, nothing found" $((SECONDS - began)) ;;
    *) note "$tool" "tool refused here" $((SECONDS - began)) ;;
  esac
}

golden() {
  [ "$rehearse" ] && export FATHOM_NETWORK=mobile_baseline_1
  part golden "$networks" "[golden]"
  grep "error" "$out/golden.log"
  if [ "$ended" -gt 0 ] && [ "$ended" -lt 124 ] && grep -q "CUDA:" "$out/golden.log"; then  # each by a process of its own
    local file
    for file in tests/golden/*_*.safetensors; do
      file=$(basename "$file" .safetensors)
      FATHOM_NETWORK=$file part "golden_$file" "$networks" "[golden]"
    done
  fi
  unset FATHOM_NETWORK
}

joined=$(IFS=,; echo "${main_networks[*]}")
every() { "$build/weights_tools/fathom_weights" list --json | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' | grep -vxF -f <(printf '%s\n' "${main_networks[@]}") | paste -sd,; }
timing() {  # NAME ARGUMENTS...: of the main networks
  local name=$1
  shift
  if [ "$rehearse" ]; then
    fps "$name" mobile_baseline_1 "$@" --batch 1 --seconds 0.01 --size 32x32
  else
    fps "$name" "$joined" "$@" --seconds 0.2
  fi
}
tuned=$out/tuning.txt  # choices of kernels, once they were timed
tuning() { [ ! -s "$tuned" ] || printf '%s\n' --tuning "$tuned"; }

with_libraries() {  # NAME COMMAND...: with cuDNN and cuBLASLt, which Python's packages may have
  local name=$1 found modules
  [ "$rehearse" ] && { note "$name" "not rehearsed" 0; return; }
  modules=$(ls "$(realpath "$build")"/libfathom_{cudnn,cublaslt}.so 2>/dev/null | paste -sd:)
  [ "$modules" ] || { note "$name" "built without libraries" 0; return; }
  found=$(python3 -c 'import glob, sysconfig; print(":".join(glob.glob(sysconfig.get_paths()["purelib"] + "/nvidia/*/lib")))' 2>/dev/null)
  FATHOM_LIBRARY_MODULE=$modules LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$found "${@:2}"
}

for name in "${parts[@]}"; do
  case $name in
    conformance) part conformance "$conformance" --record "$out/ptx_conformance.txt" ;;
    golden) golden ;;
    glance) [ "$rehearse" ] || fps glance "$joined" --precision fp16 --batch 1 --seconds 0.1 ;;
    networks) part networks "$networks" "[networks]~[long],[sessions]"
      grep "error" "$out/networks.log" ;;
    kernels) if [ "$rehearse" ]; then part kernels "$kernels" "cuda: weights are packed once*"; else part kernels "$kernels" "[cuda]"; fi ;;
    memcheck) sanitizer memcheck ;;
    libraries) with_libraries "$name" part "$name" "$kernels" "cuda: what a library runs equals the reference" ;;
    timing_libraries) with_libraries "$name" fps "$name" hr_depth,drnet_resnet50,umich_mobilenetv2 --precision fp16 --seconds 0.2 --tuning "$out/tuning_libraries.txt" ;;
    racecheck) sanitizer racecheck FATHOM_NETWORK=umich_squeezenet ;;
    initcheck) sanitizer initcheck FATHOM_NETWORK=umich_squeezenet ;;
    timing_fp16) if [ "$rehearse" ]; then timing "$name" --precision fp16; else timing "$name" --precision fp16 --batch 1,8,32; fi ;;
    timing_fp32) timing "$name" --precision fp32 ;;
    timing_tf32) timing "$name" --precision tf32 ;;
    timing_tuned) [ "$rehearse" ] || timing "$name" --precision fp16 --tuning "$tuned" ;;
    timing_others) [ "$rehearse" ] || fps "$name" "$(every)" --precision fp16 --seconds 0.1 ;;
    peers) peers "$name" --skip max-autotune --precision fp16 "${main_networks[@]}" ;;
    peers_fp32) peers "$name" --skip max-autotune --precision fp32 "${main_networks[@]}" ;;
    peers_8) peers "$name" --skip max-autotune --precision fp16 --batch 8 "${main_networks[@]}" ;;
    autotune) peers "$name" --precision fp16 --limit 100 hr_depth drnet_resnet50 umich_mobilenetv2 ;;
    layers) [ "$rehearse" ] || { part layers python3 -u bench/layers.py --programs "$build" -o "$out/layers.json" "${main_networks[@]}"; head -250 "$out/layers.log"; } ;;
    whole_networks) [ "$rehearse" ] || { part whole_networks "$networks" "[networks][long]"; grep "error" "$out/whole_networks.log"; } ;;
    *) echo "gpu_check.sh: no part '$name' (see --help)" >&2; exit 2 ;;
  esac
done
report
echo "results in $out"
exit $failed
