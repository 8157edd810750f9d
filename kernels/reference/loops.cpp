#include "kernels/reference/loops.hpp"

#include "fathom/error.hpp"

namespace fathom::reference {

Step begin(const Op& op, const NodeIo& io, Reuse reuse) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::unsupported,
                std::string(name_of(op)) + " '" + io.name + "' on the reference backend: " + what);
  };
  const DType wanted = std::holds_alternative<Preprocess>(op) ? DType::u8 : DType::f32;
  for (const Operand& x : io.in)
    if (x.desc.dtype != wanted)
      refuse("input '" + x.name + "' is " + to_string(x.desc.dtype) + ", expected " + to_string(wanted));
  if (io.out.desc.dtype != DType::f32) refuse("it writes f32, not " + std::string(to_string(io.out.desc.dtype)));
  if (io.in_place >= 0 && reuse == Reuse::none) refuse("its output cannot reuse the storage of an input");
  Step step = describe(op, io);
  step.kernel = "reference";
  return step;
}

}  // namespace fathom::reference
