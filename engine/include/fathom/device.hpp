// Where a network runs, and in what numbers.
#pragma once

namespace fathom {

enum class Device {
  automatic,  // a GPU where there is one, else the CPU
  cpu,
  cuda,
  reference,  // double accumulators, one thread: slow, for checking the others
};

enum class Precision { fp32, tf32, fp16 };  // tf32 and fp16: on a GPU only

}  // namespace fathom
