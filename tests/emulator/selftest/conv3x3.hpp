// A convolution made of everything the vocabulary has, as a test of the emulator: not one of the engine's kernels.
#pragma once
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <string>
#include <vector>

namespace fathom::selftest {

// y[n, h, w, o] = relu(bias[o] + sum over taps r, s and channels c of x[n, h + r - 1, w + s - 1, c] weight[r, s, c,
// o]), zero outside of x. Everything lies as its index says; c and o come in multiples of 8.
struct Conv3x3 {
  const __half* x;
  const __half* weight;
  const float* bias;
  __half* y;
  int images, height, width, in_channels, out_channels;
};

// What a hurried author might have written; each must be caught.
enum class Mutation { none, no_barrier, waits_too_little, no_border, wrong_stage, no_swizzle, stores_too_far };
inline const std::vector<std::string> kMutations = {"none",        "no_barrier", "waits_too_little", "no_border",
                                                    "wrong_stage", "no_swizzle", "stores_too_far"};

void conv3x3(const Conv3x3& conv, Mutation mutation, cudaStream_t stream);

}  // namespace fathom::selftest
