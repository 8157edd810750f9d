#include "kernels/reference/loops.hpp"

#include "fathom/error.hpp"

namespace fathom::reference {

Step begin(const Op& op, const NodeIo& io, Reuse reuse) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::unsupported,
                std::string(name_of(op)) + " '" + io.name + "' on the reference backend: " + what);
  };
  const auto wanted = [&](std::size_t k) {
    const auto* conv = std::get_if<Conv2d>(&op);
    const bool photograph =
        conv ? k < conv->sources.size() && !conv->sources[k].mean.empty() : std::holds_alternative<Preprocess>(op);
    return photograph ? DType::u8 : DType::f32;
  };
  for (std::size_t k = 0; k < io.in.size(); ++k)
    if (const Operand& x = io.in[k]; x.desc.dtype != wanted(k))
      refuse("input '" + x.name + "' is " + to_string(x.desc.dtype) + ", expected " + to_string(wanted(k)));
  if (io.out.desc.dtype != DType::f32) refuse("it writes f32, not " + std::string(to_string(io.out.desc.dtype)));
  if (io.in_place >= 0 && reuse == Reuse::none) refuse("its output cannot reuse the storage of an input");
  Step step = describe(op, io);
  step.kernel = "reference";
  return step;
}

}  // namespace fathom::reference
