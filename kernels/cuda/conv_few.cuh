// What the kernels for few input channels share: a tile of the input in shared memory, made of any sources (photographs
// first of all), resized, padded, normalised and gated once per tile instead of once per tap.
#pragma once
#include <algorithm>

#include "conv.cuh"

namespace fathom::gpu {

inline constexpr int kFewChannels = 8, kMaxFewSources = 4;

struct FewSources {
  int sources = 0;
  ConvSource source[kMaxFewSources];
  ConvPrologue prologue;

  explicit FewSources(const ConvMaps& maps) : sources(maps.sources), prologue(maps.prologue) {
    std::copy_n(maps.source, sources, source);
  }

  // The channels of the pixel (i, j) of the map before padding; `to` holds zeros.
  template <class T>
  __device__ void load(T* to, int n, int i, int j) const {
    for (int k = 0; k < sources; ++k) {
      const ConvSource& x = source[k];
      const Place row = x.rows.place(i), column = x.columns.place(j);
      if (row.low < 0 || column.low < 0) continue;
      for (int c = 0; c < x.channels; ++c)
        to[x.first + c] = from_float<T>(prologue(n, x.first + c, x.load(n, c, row, column)));
    }
  }
};

// Why a convolution is none of few channels; empty: it is.
inline std::string not_few(const ConvTask& task) {
  if (task.geometry.c > kFewChannels) return "more than 8 input channels";
  if (task.geometry.groups > 1) return "groups";
  if (task.op.sources.size() > kMaxFewSources) return "more than 4 sources";
  return task.extras();
}

}  // namespace fathom::gpu
