// The C face of Engine and Session: handles, codes and a text instead of exceptions.
#include <algorithm>
#include <new>

#include "fathom/fathom.h"
#include "fathom/fathom.hpp"

struct fathom_engine {
  fathom::Engine engine;
  std::string network, device;
  std::vector<fathom::TensorInfo> inputs, outputs;  // at the model's own size: for their names and kinds
};

struct fathom_session {
  fathom::Session session;
  std::string unit = "relative";
};

namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

// Runs `work` and turns what it throws into a code and a text.
template <class Work>
int guarded(Work&& work) {
  try {
    work();
    return FATHOM_OK;
  } catch (const fathom::Error& e) {
    last_error() = e.what();
    return 1 + static_cast<int>(e.kind());
  } catch (const std::bad_alloc&) {
    last_error() = "out of memory";
    return FATHOM_MEMORY;
  } catch (const std::exception& e) {
    last_error() = e.what();
    return FATHOM_OTHER;
  } catch (...) {  // nothing of C++ may pass into C
    last_error() = "an unknown error";
    return FATHOM_OTHER;
  }
}

void expect(bool condition, const char* text) {
  if (!condition) throw fathom::Error(fathom::ErrorKind::usage, text);
}

// The part of `infos` that fits into `tensors`, with texts of `texts`, which live as long as the engine.
void list(const std::vector<fathom::TensorInfo>& infos, const std::vector<fathom::TensorInfo>& texts,
          fathom_tensor* tensors, int& count) {
  const std::size_t room = tensors ? static_cast<std::size_t>(count) : 0;
  for (std::size_t k = 0; k < std::min(room, infos.size()); ++k) {
    tensors[k] = {texts[k].name.c_str(), texts[k].kind.c_str(), {}};
    std::copy(std::begin(infos[k].shape), std::end(infos[k].shape), tensors[k].shape);
  }
  count = static_cast<int>(infos.size());
}

fathom::Frame frame_of(const fathom_engine* engine, int batch, int height, int width, const int* count,
                       const char* refusal) {
  expect(engine && count && *count >= 0, refusal);
  return batch || height || width ? fathom::Frame{batch, height, width} : engine->engine.frame();
}

}  // namespace

fathom_engine* fathom_engine_load(const char* path, const fathom_options* options) {
  fathom_engine* result = nullptr;
  guarded([&] {
    expect(path, "fathom_engine_load: path is NULL");
    fathom::EngineOptions o;
    if (options) {
      expect(options->device >= FATHOM_AUTO && options->device <= FATHOM_REFERENCE,
             "fathom_engine_load: unknown device");
      expect(options->precision >= FATHOM_FP32 && options->precision <= FATHOM_FP16,
             "fathom_engine_load: unknown precision");
      o.device = static_cast<fathom::Device>(options->device);
      o.precision = static_cast<fathom::Precision>(options->precision);
      o.threads = options->threads;
      o.input_width = options->input_width, o.input_height = options->input_height;
      if (options->budget_bytes) o.budget_bytes = options->budget_bytes;
      if (options->tuning) o.tuning = options->tuning;
    }
    const fathom::Engine engine = fathom::Engine::load(path, o);
    const fathom::Frame own = engine.frame();
    result = new fathom_engine{engine, engine.network(), engine.device(), engine.inputs(own), engine.outputs(own)};
  });
  return result;
}

void fathom_engine_free(fathom_engine* engine) { delete engine; }
const char* fathom_engine_network(const fathom_engine* engine) { return engine ? engine->network.c_str() : ""; }
const char* fathom_engine_device(const fathom_engine* engine) { return engine ? engine->device.c_str() : ""; }

const char* fathom_engine_warning(const fathom_engine* engine) {
  thread_local std::string text;
  text.clear();
  if (engine) guarded([&] { text = engine->engine.warning(); });
  return text.c_str();
}

int fathom_engine_inputs(const fathom_engine* engine, int batch, int height, int width, fathom_tensor* tensors,
                         int* count) {
  return guarded([&] {
    const char* refusal = "fathom_engine_inputs: engine and count must not be NULL, *count not below 0";
    const fathom::Frame frame = frame_of(engine, batch, height, width, count, refusal);
    list(engine->engine.inputs(frame), engine->inputs, tensors, *count);
  });
}

int fathom_engine_outputs(const fathom_engine* engine, int batch, int height, int width, fathom_tensor* tensors,
                          int* count) {
  return guarded([&] {
    const char* refusal = "fathom_engine_outputs: engine and count must not be NULL, *count not below 0";
    const fathom::Frame frame = frame_of(engine, batch, height, width, count, refusal);
    list(engine->engine.outputs(frame), engine->outputs, tensors, *count);
  });
}

fathom_session* fathom_session_create(const fathom_engine* engine) {
  fathom_session* result = nullptr;
  guarded([&] {
    expect(engine, "fathom_session_create: engine is NULL");
    result = new fathom_session{engine->engine.session()};
  });
  return result;
}

void fathom_session_free(fathom_session* session) { delete session; }

int fathom_depth(fathom_session* session, const uint8_t* rgb, int width, int height, const uint8_t* right,
                 float* depth) {
  return guarded([&] {
    expect(session && rgb && depth, "fathom_depth: session, rgb and depth must not be NULL");
    const fathom::ImageView photo{rgb, width, height, std::int64_t(width) * 3},
        other{right, width, height, std::int64_t(width) * 3};
    const fathom::DepthMap map = right ? session->session.depth(photo, other) : session->session.depth(photo);
    session->unit = map.unit;
    std::copy(map.depth.begin(), map.depth.end(), depth);
  });
}

const char* fathom_depth_unit(const fathom_session* session) { return session ? session->unit.c_str() : ""; }

int fathom_run(fathom_session* session, int batch, int height, int width, const void* const* inputs, int input_count,
               const char* const* output_names, float* const* outputs, int output_count, void* stream) {
  return guarded([&] {
    expect(session && inputs && outputs && output_names,
           "fathom_run: session, inputs, output_names and outputs must not be NULL");
    expect(input_count >= 0 && output_count > 0, "fathom_run: at least one output must be asked for");
    std::vector<fathom::NamedOutput> named;
    for (int k = 0; k < output_count; ++k) {
      expect(output_names[k], "fathom_run: the name of an output is NULL");
      named.push_back({output_names[k], outputs[k]});
    }
    session->session.run({batch, height, width}, {inputs, static_cast<std::size_t>(input_count)}, named, stream);
  });
}

const char* fathom_last_error(void) { return last_error().c_str(); }
const char* fathom_version(void) { return FATHOM_VERSION; }
