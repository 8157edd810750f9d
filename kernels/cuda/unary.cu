// y = f(x), element by element: Activation, Affine, DisparityToDepth. One thread takes Width neighbouring channels of
// one pixel, 16 bytes where the maps allow it; computes in float32.
#include "activation.cuh"
#include "gpu.cuh"
#include "kernels.hpp"
#include "map.cuh"

namespace fathom {

namespace gpu {

struct Activate {
  Activation f;
  __device__ float operator()(float x) const { return apply(f, x); }
};
struct Scale {
  float scale, shift;
  __device__ float operator()(float x) const { return scale * x + shift; }
};
struct Invert {
  float shift, scale;  // 1 / max_depth, 1 / min_depth - 1 / max_depth
  __device__ float operator()(float x) const { return 1 / (shift + scale * x); }
};

template <class T, int Width, class F>
__global__ void unary_kernel(View<const T, 4> x, View<T, 4> y, int stored, F f) {
  const int chunks = stored / Width, c = static_cast<int>(threadIdx.x) * Width;  // block (chunks of channels, pixels)
  const int w = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y), h = static_cast<int>(blockIdx.y),
            n = static_cast<int>(blockIdx.z);
  if (w >= y.extent[3]) return;
  for (int k = c; k < chunks * Width; k += static_cast<int>(blockDim.x) * Width) {
    Vec<float, Width> v = to_float(load_vec<Width>(&x(n, k, h, w)));
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = k + i < y.extent[1] ? f(v[i]) : 0;  // the padding stays zero
    store_vec(&y(n, k, h, w), from_float<T>(v));
  }
}

}  // namespace gpu

namespace {

using namespace gpu;

template <class F>
Step unary(const Op& op, const NodeIo& io, F f) {
  Step step = describe(op, io);
  const Operand x = io.in[0], y = io.out;
  if (x.desc.dtype != y.desc.dtype)
    throw Error(ErrorKind::unsupported, step.op + " '" + io.name + "' on a GPU: its input and output differ in type");
  with_type(x.desc.dtype, [&]<class T>(T) {
    constexpr int wide = kPerAccess<T>;
    const auto choose = [&]<int Width>(std::integral_constant<int, Width>) {
      const int stored = stored_channels(y.desc), lanes = std::min(stored / Width, 32);
      const LaunchShape shape{.grid = dim3(static_cast<unsigned>((y.desc.w() + 256 / lanes - 1) / (256 / lanes)),
                                           static_cast<unsigned>(y.desc.h()), static_cast<unsigned>(y.desc.n())),
                              .block = dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(256 / lanes))};
      step.kernel = "unary, " + std::to_string(Width * sizeof(T)) + " bytes";
      step.run = [=](const RunArgs& args) {
        launch(unary_kernel<T, Width, F>, shape, static_cast<cudaStream_t>(args.stream),
               map_view<const T>(x.desc, args.data[x.id]), map_view<T>(y.desc, args.data[y.id]), stored, f);
      };
    };
    if (is_wide(x.desc, wide) && is_wide(y.desc, wide))
      choose(std::integral_constant<int, wide>());
    else
      choose(std::integral_constant<int, 1>());
  });
  return step;
}

}  // namespace

Step prepare(const Activation& op, const NodeIo& io, CudaBackend&) { return unary(op, io, Activate{op}); }
Step prepare(const Affine& op, const NodeIo& io, CudaBackend&) { return unary(op, io, Scale{op.scale, op.shift}); }
Step prepare(const DisparityToDepth& op, const NodeIo& io, CudaBackend&) {
  return unary(op, io, Invert{1 / op.max_depth, 1 / op.min_depth - 1 / op.max_depth});
}

}  // namespace fathom
