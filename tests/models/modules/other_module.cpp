// A CUDA module of an engine that is not this one: nothing of it but its name may be used.
namespace {
struct Module {
  const char* built_for;
  void* (*open)(const void*);
};
void* open(const void*) { __builtin_trap(); }
}  // namespace

extern "C" const Module* fathom_cuda_module() {
  static const Module module{"Fathom 0.0.0, another compiler", open};
  return &module;
}
