#!/usr/bin/env bash
# older.sh ARCHITECTURE BUILD: the kernels as nvcc makes them for an older GPU (75, 80, 86 or 89), built under BUILD and run by the interpreter.
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
cmake -G Ninja -S "$source" -B "$2" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$1-virtual" -DFATHOM_PTX_TESTS=ON -DFATHOM_PROGRAMS=OFF
cmake --build "$2" --target ptx_tests ptx_conformance ptx_bugs
ctest --test-dir "$2" -R '^ptx\.(conformance|bugs|ops|networks)$' --output-on-failure --no-tests=error
