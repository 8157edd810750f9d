#!/usr/bin/env bash
# Installs what a build needs on Debian or Ubuntu (with "test": and what the tests need), and nothing where it is there.
#   bash cmake/packages.sh [test]
set -euo pipefail

packages=(g++ cmake ninja-build libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev
          nlohmann-json3-dev libdnnl-dev libcli11-dev)
if [ "${1:-}" = test ]; then packages+=(catch2 libbenchmark-dev python3-numpy python3-torch python3-pil libopenblas0-pthread git); fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "packages.sh: no apt-get here; install the equivalents of: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "packages.sh: run as root, or install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq >&2
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
