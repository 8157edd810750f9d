// Streams and graphs of the emulated runtime. Work runs when it is enqueued; a stream that is being captured notes it
// down as nodes of a graph instead.
#pragma once
#include <cstddef>

#include "tests/emulator/device_side.hpp"

namespace fathom::emu {

struct BlockShape;
void run_grid(const BlockShape& shape);

bool capturing(cudaStream_t stream);
cudaError_t capture_kernel(const LaunchRequest& request);

struct CopyOrFill {
  void* to;
  const void* from;  // null: fill with `value`
  int value;
  std::size_t bytes;
};
cudaError_t enqueue(cudaStream_t stream, const CopyOrFill& work);  // done now, or noted down

cudaError_t met();                        // what waiting for the device tells: a fault of an earlier kernel
cudaError_t remember(cudaError_t error);  // for cudaGetLastError

}  // namespace fathom::emu
