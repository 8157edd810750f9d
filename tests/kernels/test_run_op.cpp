// The sentinels of run_op must find kernels that misbehave, and the reference must refuse what it cannot do.
#include "fathom/error.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

// A backend whose kernels run the reference, then do one thing too many.
struct Vandal {
  std::function<void(const RunArgs&, const NodeIo&)> mischief;
};

template <class O>
Step prepare(const O& op, const NodeIo& io, Vandal& vandal) {
  ReferenceBackend reference;
  Step step = fathom::prepare(op, io, reference);
  step.workspace_bytes = 64;
  step.run = [run = step.run, io, mischief = vandal.mischief](const RunArgs& args) { run(args), mischief(args, io); };
  return step;
}

}  // namespace

TEST_CASE("run_op finds stray writes", "[kernels]") {
  const Case c{"test/add", Add{}, {Desc::nhwc(2, 3, 4, 5), Desc::nhwc(2, 3, 4, 5)}};
  const auto run = [&](auto mischief, RunOptions options = {}) {
    Vandal vandal{mischief};
    return run_case(c, vandal, options).values;
  };
  const auto out = [](const RunArgs& args, const NodeIo& io) { return args.pointer<float>(io.out); };
  using Message = std::runtime_error;
  CHECK_NOTHROW(run([&](const RunArgs&, const NodeIo&) {}));
  CHECK_NOTHROW(run([&](const RunArgs& args, const NodeIo&) { args.workspace[63] = std::byte{1}; }));
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo& io) { out(args, io)[120] = 1; }), Message);
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo& io) { out(args, io)[-1] = 1; }), Message);
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo& io) { args.pointer<float>(io.in[1])[0] += 1; }), Message);
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo&) { args.workspace[64] = std::byte{1}; }), Message);
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo&) { args.workspace[-1] = std::byte{1}; }), Message);
  // Channels 3 and 4 of the wider tensor that the output is a slice of belong to others.
  const RunOptions strided{.lead = 2, .tail = 2};
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo& io) { out(args, io)[3] = 1; }, strided), Message);
  CHECK_THROWS_AS(run([&](const RunArgs& args, const NodeIo& io) { out(args, io)[-2] = 1; }, strided), Message);
  CHECK_NOTHROW(run([&](const RunArgs& args, const NodeIo& io) { out(args, io)[2] = 1; }, strided));
}

TEST_CASE("run_op shows what was not written and what was read astray", "[kernels]") {
  const Case c{"test/affine", Affine{}, {Desc::nhwc(1, 3, 2, 2)}};
  Vandal forgets{
      [](const RunArgs& args, const NodeIo& io) { std::memset(args.pointer<float>(io.out) + 5, 0xFF, sizeof(float)); }};
  Vandal strays{[](const RunArgs& args, const NodeIo& io) {
    args.pointer<float>(io.out)[0] += args.pointer<float>(io.in[0])[12];
  }};
  ReferenceBackend reference;
  const std::vector<float> wanted = run_case(c, reference).values;
  CHECK(compare(run_case(c, forgets).values, wanted).not_finite == 1);
  CHECK(compare(run_case(c, strays).values, wanted).not_finite == 1);
}

TEST_CASE("reference: refuses other types, and outputs on an input that is still to be read", "[kernels]") {
  ReferenceBackend backend;
  const Desc x = Desc::nhwc(1, 4, 3, 3), half = Desc::nhwc(1, 4, 3, 3, DType::f16);
  const auto refused = [&](const Case& c, RunOptions options = {}) {
    try {
      run_case(c, backend, options);
    } catch (const Error& e) {
      INFO(e.what());
      CHECK(std::string(e.what()).find(c.name) != std::string::npos);
      return e.kind() == ErrorKind::unsupported;
    }
    return false;
  };
  CHECK(refused({"test/half", Activation{}, {half}}));
  CHECK(refused({"test/not_u8", Preprocess{}, {x}}));
  CHECK(refused({"test/pool", Pool{.kernel = 3, .padding = 1}, {x}}, {.in_place = 0}));
  CHECK(refused({"test/gate", Multiply{}, {Desc::nhwc(1, 1, 1, 1), Desc::nhwc(1, 1, 1, 1)}}, {.in_place = 1}) == false);
  CHECK(refused({"test/conv", Conv2d{}, {x, Desc::dense({4, 4, 1, 1})}}, {.in_place = 0}));
}

TEST_CASE("reference: relu and max pooling keep NaN", "[kernels]") {
  ReferenceBackend backend;
  for (ActivationKind kind :
       {ActivationKind::relu, ActivationKind::relu6, ActivationKind::leaky_relu, ActivationKind::elu,
        ActivationKind::sigmoid, ActivationKind::hard_sigmoid, ActivationKind::hard_swish}) {
    const Case c{"test/nan", Activation{kind}, {Desc::nhwc(1, 1, 1, 2)}};
    const std::vector<float> y = run_op(c, {{NAN, 1}}, backend).values;
    CHECK(std::isnan(y[0]));
    CHECK(std::isfinite(y[1]));
  }
  const Case pool{"test/nan", Pool{.kernel = 2}, {Desc::nhwc(1, 1, 2, 3)}};
  const std::vector<float> y = run_op(pool, {{NAN, 1, 2, 3, 4, 5}}, backend).values;
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == 5);
}
