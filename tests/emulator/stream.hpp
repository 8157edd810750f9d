// Streams and graphs of the emulated runtime. Work runs when it is enqueued; a stream that is being captured notes it
// down as nodes of a graph instead.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tests/emulator/device_side.hpp"

namespace fathom::emu {

struct BlockShape;
void run_grid(const BlockShape& shape);

bool capturing(cudaStream_t stream);
std::uint64_t number_of(cudaStream_t stream);  // for stream_order.hpp
cudaError_t capture_kernel(const LaunchRequest& request);

struct CopyOrFill {
  void* to;
  const void* from;  // null: fill with `value`
  int value;
  std::size_t bytes;
};
cudaError_t enqueue(cudaStream_t stream, const CopyOrFill& work);  // done now, or noted down

// The default stream's fills, and its copies from the host, are under way when the call returns: they arrive when
// something waits for that stream. Work of streams that were made non-blocking does not.
void fill_or_upload_late(const CopyOrFill& work);
void settle_default_stream();
bool joins_default_stream(cudaStream_t stream);  // its work waits for the default stream's

// Dynamic shared memory that a kernel may be launched with, which cudaFuncSetAttribute raises (or lowers).
std::size_t dynamic_limit(const void* kernel);

// Notes a call that CUDA forbids while streams are captured, and tells whether it is refused; the captures are spoiled then.
bool unsafe_call();

cudaError_t met();                        // what waiting for the device tells: a fault of an earlier kernel
cudaError_t remember(cudaError_t error);  // for cudaGetLastError

}  // namespace fathom::emu
