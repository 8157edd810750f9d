// fp16 to fp32 and back on the host. CUDA's headers do this bit by bit in software, which is most of the time of an
// emulated element-wise kernel; where the compiler may use F16C it is one instruction.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#else
#include <cuda_fp16.h>
#endif

namespace fathom::emu {

inline float half_bits_to_float(std::uint16_t bits) {
#if defined(__F16C__)
  return _cvtsh_ss(bits);
#else
  __half h;
  std::memcpy(static_cast<void*>(&h), &bits, sizeof h);
  return __half2float(h);
#endif
}

inline std::uint16_t float_to_half_bits(float x) {  // to nearest, ties to even
#if defined(__F16C__)
  return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
#else
  const __half h = __float2half_rn(x);
  std::uint16_t bits;
  std::memcpy(&bits, &h, sizeof bits);
  return bits;
#endif
}

inline void unpack_halves(unsigned pair, float* two) {
  two[0] = half_bits_to_float(static_cast<std::uint16_t>(pair));
  two[1] = half_bits_to_float(static_cast<std::uint16_t>(pair >> 16));
}

}  // namespace fathom::emu
