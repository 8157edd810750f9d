#include "bench/workload.hpp"

#include <cstring>

#include "bench/batches.hpp"
#include "engine/synthetic.hpp"

namespace fathom {

namespace {

std::int64_t elements(const TensorInfo& t) { return t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3]; }

}  // namespace

Workload::Workload(const Engine& engine, const Frame& frame) : frame_(frame), info_(engine.outputs(frame).at(0)) {
  for (const TensorInfo& t : engine.inputs(frame)) {
    std::vector<std::uint8_t> one = synthetic_image(frame.height, frame.width, t.name, static_cast<int>(t.shape[1]));
    if (t.kind == "f32") {  // the same in [0, 1]
      std::vector<float> values(one.size());
      std::transform(one.begin(), one.end(), values.begin(),
                     [](std::uint8_t v) { return static_cast<float>(v) / 255; });
      one.resize(values.size() * sizeof(float));
      std::memcpy(one.data(), values.data(), one.size());
    }
    std::vector<std::uint8_t>& all = pictures_.emplace_back();
    for (int n = 0; n < frame.batch; ++n) all.insert(all.end(), one.begin(), one.end());
  }
  for (const auto& p : pictures_) in_.push_back(p.data());
  out_.resize(static_cast<std::size_t>(elements(info_)));
}

void Workload::run(Session& session) {
  const NamedOutput outputs[] = {{info_.name, out_.data()}};
  session.run_from_host(frame_, in_, outputs);
}

Timing timing_of(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double share) {
    return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1) + 0.5)];
  };
  return {.median_ms = at(0.5), .p10_ms = at(0.1), .p90_ms = at(0.9), .runs = static_cast<int>(ms.size())};
}

Rotation Workload::rotation(Session& session) const {
  std::int64_t bytes = 0;
  for (const auto& p : pictures_) bytes += static_cast<std::int64_t>(p.size());
  return rotation_of(bytes, session.memory(frame_, {info_.name}).device_cache_bytes);
}

Timing time_on_device(double seconds, Workload& work, Session& session, bool warm) {
  const Rotation rotation = warm ? Rotation{} : work.rotation(session);
  const auto times = [&](int runs) { return work.time_ms(session, runs, rotation.buffers); };
  const double first_ms = timing_of(times(5)).median_ms;
  const auto runs = [&](double ms, double least) { return static_cast<int>(std::clamp(ms / first_ms, least, 2000.)); };
  times(runs(100, 1));  // until a GPU that was idle has reached its clocks
  Timing timing = timing_of(times(runs(1e3 * seconds, 5)));
  timing.inputs = to_text(rotation);
  return timing;
}

std::string device_of(const Engine& engine) {
  const std::string device = engine.device();
  return device.starts_with("CPU") ? "cpu" : device.starts_with("reference") ? "reference" : "cuda";
}

Timing time_network(double seconds, Workload& work, Session& session, const Engine& engine, bool warm) {
  if (device_of(engine) == "cuda") return time_on_device(seconds, work, session, warm);
  return time_runs(seconds, [&] { work.run(session); });
}

std::int64_t workload_bytes(const Engine& engine, const Frame& frame) {
  std::int64_t bytes = elements(engine.outputs(frame).at(0)) * 4;
  for (const TensorInfo& t : engine.inputs(frame)) bytes += elements(t) * (t.kind == "f32" ? 4 : 1);
  return bytes;
}

int largest_batch_of(const Engine& engine, std::int64_t limit_bytes) {
  return largest_batch(limit_bytes, [&](int batch) {
    Frame frame = engine.frame();
    frame.batch = batch;
    const MemoryReport memory = engine.session().memory(frame);
    return memory.weight_bytes + memory.arena_bytes + workload_bytes(engine, frame);
  });
}

}  // namespace fathom
