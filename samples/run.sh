#!/usr/bin/env bash
# A photograph in, a depth map out: installs what is missing, builds, runs.
#   bash samples/run.sh [PHOTO] [options of depth_from_image, such as --model FILE or -o FILE]
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

(
  cd "$top"
  bash cmake/packages.sh
  [ -f build/default/build.ninja ] || cmake --preset default >build-default.log 2>&1 || { cat build-default.log >&2; exit 1; }
  cmake --build --preset default --target depth_from_image >&2
  rm -f build-default.log
)

photo=$top/samples/scene.png
if [ $# -gt 0 ] && [[ $1 != -* ]]; then photo=$1; shift; fi
exec "$top/build/default/samples/depth_from_image" "$photo" "$@"
