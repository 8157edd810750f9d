// The C face of Engine and Session: handles, codes and a text instead of exceptions.
#include <algorithm>
#include <new>

#include "fathom/fathom.h"
#include "fathom/fathom.hpp"

struct fathom_engine {
  fathom::Engine engine;
  std::string network, device;
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
  }
}

void expect(bool condition, const char* text) {
  if (!condition) throw fathom::Error(fathom::ErrorKind::usage, text);
}

}  // namespace

fathom_engine* fathom_engine_load(const char* path, const fathom_options* options) {
  fathom_engine* result = nullptr;
  guarded([&] {
    expect(path, "fathom_engine_load: path is NULL");
    fathom::EngineOptions o;
    if (options) {
      expect(options->device >= FATHOM_AUTO && options->device <= FATHOM_REFERENCE, "fathom_engine_load: unknown device");
      expect(options->precision >= FATHOM_FP32 && options->precision <= FATHOM_FP16, "fathom_engine_load: unknown precision");
      o.device = static_cast<fathom::Device>(options->device);
      o.precision = static_cast<fathom::Precision>(options->precision);
      o.threads = options->threads;
      o.input_width = options->input_width, o.input_height = options->input_height;
      if (options->budget_bytes) o.budget_bytes = options->budget_bytes;
    }
    fathom::Engine engine = fathom::Engine::load(path, o);
    std::string network = engine.network(), device = engine.device();
    result = new fathom_engine{std::move(engine), std::move(network), std::move(device)};
  });
  return result;
}

void fathom_engine_free(fathom_engine* engine) { delete engine; }
const char* fathom_engine_network(const fathom_engine* engine) { return engine ? engine->network.c_str() : ""; }
const char* fathom_engine_device(const fathom_engine* engine) { return engine ? engine->device.c_str() : ""; }

fathom_session* fathom_session_create(const fathom_engine* engine) {
  fathom_session* result = nullptr;
  guarded([&] {
    expect(engine, "fathom_session_create: engine is NULL");
    result = new fathom_session{engine->engine.session()};
  });
  return result;
}

void fathom_session_free(fathom_session* session) { delete session; }

int fathom_depth(fathom_session* session, const uint8_t* rgb, int width, int height, const uint8_t* right, float* depth) {
  return guarded([&] {
    expect(session && rgb && depth, "fathom_depth: session, rgb and depth must not be NULL");
    const fathom::ImageView photo{rgb, width, height, std::int64_t(width) * 3}, other{right, width, height, std::int64_t(width) * 3};
    const fathom::DepthMap map = right ? session->session.depth(photo, other) : session->session.depth(photo);
    session->unit = map.unit;
    std::copy(map.depth.begin(), map.depth.end(), depth);
  });
}

const char* fathom_depth_unit(const fathom_session* session) { return session ? session->unit.c_str() : ""; }

int fathom_run(fathom_session* session, int batch, int height, int width, const void* const* inputs, int input_count,
               const char* const* output_names, float* const* outputs, int output_count, void* stream) {
  return guarded([&] {
    expect(session && inputs && outputs && output_names, "fathom_run: session, inputs, output_names and outputs must not be NULL");
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
