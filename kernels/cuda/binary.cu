// y = act(a + b + ...), y = act(a * b) with b repeated along the axes where its extent is 1, and BatchNorm:
// y = act(scale[c] x + shift[c]). One pass; see chunks.cuh for who works on what.
#include "chunks.cuh"
#include "constants.hpp"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

// Up to Most maps, in their order.
template <int Most>
struct AddMaps {
  ChunkMap x[Most], y;
  int count;
  Activation f;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v = x[0].template load_chunk<Width>(at);
#pragma unroll
    for (int k = 1; k < Most; ++k) {
      if (k >= count) break;
      const Vec<float, Width> u = x[k].template load_chunk<Width>(at);
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] += u[i];
    }
    y.store_chunk(at, apply(f, v));
  }
};

struct MultiplyMaps {
  ChunkMap a, b, y;  // b's strides are 0 where it is repeated
  bool one_channel;  // b has one for all of a's
  Activation f;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v = a.load_chunk<Width>(at);
    if (one_channel) {
      const float factor = b.load(at.n, 0, at.h, at.w);
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] *= factor;
    } else {
      const Vec<float, Width> u = b.load_chunk<Width>(at);
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] *= u[i];
    }
    y.store_chunk(at, apply(f, v));
  }
};

struct Normalise {
  ChunkMap x, y;
  const float *scale, *shift;  // (C and its padding)
  Activation f;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v = x.load_chunk<Width>(at);
    const Vec<float, Width> a = load_vec_readonly<Width>(scale + at.c), b = load_vec_readonly<Width>(shift + at.c);
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = a[i] * v[i] + b[i];
    y.store_chunk(at, apply(f, v));
  }
};

}  // namespace gpu

namespace {

using namespace gpu;

// b's strides, 0 where it is repeated.
void repeat(ChunkMap& b) {
  auto& view = b.bytes;
  if (view.extent[0] == 1) view.outer_stride = 0;
  for (int r = 2; r < 4; ++r)
    if (view.extent[r] == 1) view.stride[r] = 0;
}

}  // namespace

Step prepare(const Add& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  std::vector<Operand> x = io.in;
  Operand y = io.out;
  if (is_one_pixel(y.desc) && std::all_of(x.begin(), x.end(), [](const Operand& o) { return is_one_pixel(o.desc); })) {
    for (Operand& o : x) o.desc = as_one_pixel(o.desc);
    y.desc = as_one_pixel(y.desc);
  }
  const int width = chunk_width({x[0].desc, y.desc});
  step.kernel = (x.size() > 2 ? "sum of several, " : "sum, ") + chunk_text(width);
  step.run = [=, f = op.activation](const RunArgs& args) {
    const auto add = [&]<int Most>(AddMaps<Most> sum) {
      for (std::size_t k = 0; k < x.size(); ++k) sum.x[k] = ChunkMap(x[k].desc, args.data[x[k].id], width);
      sum.y = ChunkMap(y.desc, args.data[y.id], width), sum.count = static_cast<int>(x.size()), sum.f = f;
      launch_chunks(width, y.desc, args.stream, sum);
    };
    x.size() > 2 ? add(AddMaps<8>{}) : add(AddMaps<2>{});
  };
  return step;
}

Step prepare(const Multiply& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  Operand a = io.in[0], b = io.in[1], y = io.out;
  const bool repeated = !a.desc.same_extents(b.desc), one_channel = b.desc.c() != a.desc.c();
  if (!repeated && is_one_pixel(a.desc) && is_one_pixel(b.desc) && is_one_pixel(y.desc))
    for (Operand* o : {&a, &b, &y}) o->desc = as_one_pixel(o->desc);
  const int width = chunk_width({a.desc, y.desc});
  step.kernel = std::string("product, ") +
                (one_channel ? "one factor a pixel, "
                 : repeated  ? "one factor a channel, "
                             : "") +
                chunk_text(width);
  step.run = [=, f = op.activation](const RunArgs& args) {
    const auto map = [&](const Operand& o) { return ChunkMap(o.desc, args.data[o.id], width); };
    ChunkMap factor = map(b);
    if (repeated) repeat(factor);
    launch_chunks(width, y.desc, args.stream, MultiplyMaps{map(a), factor, map(y), one_channel, f});
  };
  return step;
}

Step prepare(const BatchNorm& op, const NodeIo& io, CudaBackend& backend) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const std::int64_t c = y.desc.c(), padded = (c + 7) / 8 * 8;
  std::string key = "batch norm";
  for (std::size_t k = 1; k < 5; ++k) key += ' ' + io.in[k].name;
  const auto table =  // scale, then shift: y = scale x + shift
      backend.packed(key + " eps " + std::to_string(op.eps), 2 * padded * 4, [&](std::byte* to) {
        float* const scale = reinterpret_cast<float*>(to);
        std::fill_n(scale, 2 * padded, 0.0f);
        std::shared_ptr<const float[]> values[4];
        for (std::size_t k = 0; k < 4; ++k) values[k] = constant_values(io.in[k + 1]);
        const auto& [weight, bias, mean, variance] = values;
        for (std::int64_t i = 0; i < c; ++i) {
          const double s = weight[i] / std::sqrt(static_cast<double>(variance[i]) + static_cast<double>(op.eps));
          scale[i] = static_cast<float>(s);
          scale[padded + i] = static_cast<float>(bias[i] - s * mean[i]);
        }
      });
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = "scale and shift, " + chunk_text(width);
  step.run = [=, f = op.activation](const RunArgs& args) {
    const float* const scale = static_cast<const float*>(table.get());
    launch_chunks(width, y.desc, args.stream,
                  Normalise{ChunkMap(x.desc, args.data[x.id], width), ChunkMap(y.desc, args.data[y.id], width), scale,
                            scale + padded, f});
  };
  return step;
}

}  // namespace fathom
