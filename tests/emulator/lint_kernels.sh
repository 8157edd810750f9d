#!/bin/sh
# lint_kernels.sh FOLDER: kernel files (.cu) keep to the vocabulary, so that the emulator can run them: no launch
# brackets, no shared-memory keyword, no inline assembly. Those are in the vocabulary's own headers (.cuh).
folder=${1:?usage: lint_kernels.sh FOLDER}
[ -d "$folder" ] || { echo "lint_kernels: no folder $folder" >&2; exit 2; }
word='(^|[^[:alnum:]_])(asm|__asm|__asm__|__shared__)([^[:alnum:]_]|$)'
found=$(find "$folder" -name '*.cu' -exec grep -HnE "<<<|$word" {} + | grep -vE '^[^:]*:[0-9]+:[[:space:]]*//')
[ -z "$found" ] && exit 0
echo "$found"
echo "kernel files use launch(), GPU_SHARED or GPU_DYNAMIC_SHARED, and the wrappers of kernels/cuda/*.cuh instead" >&2
exit 1
