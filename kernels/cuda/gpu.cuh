// The one header a kernel file includes. Under nvcc it is CUDA; under a host compiler the emulator of tests/emulator
// stands in, which executes the same source. What is not plain C++ (barriers and shuffles keep their CUDA names) comes
// from the headers below; a kernel file itself holds no launch brackets, no shared-memory keyword and no assembly.
//
// So that a kernel can be emulated, and its mistakes be caught there:
// - masks are written out, and all lanes of a mask meet at the same call; no thread returns before a barrier or a
//   warp operation that counts on it;
// - one barrier per source line; no waiting in a loop for another thread or block;
// - relu(x) is `x < 0 ? 0 : x`, which lets a NaN through: fmaxf(x, 0) would swallow the poison of unwritten memory.
#pragma once
#include "async_copy.cuh"
#include "launch.cuh"
#include "mma.cuh"
#include "platform.cuh"
#include "reduce.cuh"
#include "site.cuh"
#include "tile.cuh"
#include "vec.cuh"
#include "view.cuh"
