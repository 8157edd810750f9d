#!/usr/bin/env bash
# A photograph in, a depth map out: installs what is missing, builds, runs.
#   bash samples/run.sh [PHOTO] [options of depth_from_image, such as --model FILE or -o FILE]
# Without PHOTO on the sample scene, without --model with the demonstration weights.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${FATHOM_BUILD_DIR:-$top/build/default}
[[ $build = /* ]] || build=$PWD/$build

(
  cd "$top"
  bash cmake/packages.sh
  [ -f "$build/build.ninja" ] || cmake --preset default -B "$build" >&2
  targets=(depth_from_image)
  # Where there is a GPU and a compiler for it, the CUDA backend too: depth_from_image then finds it by itself.
  if [ -e /dev/nvidiactl ] && grep -q '^CMAKE_CUDA_COMPILER:' "$build/CMakeCache.txt"; then targets+=(fathom_cuda); fi
  cmake --build "$build" --target "${targets[@]}" >&2
)

photo=$top/samples/scene.png
if [ $# -gt 0 ] && [[ $1 != -* ]]; then photo=$1; shift; fi
exec "$build/samples/depth_from_image" "$photo" "$@"
