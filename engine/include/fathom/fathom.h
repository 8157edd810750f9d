/* Fathom for C and for every language that can call C: one photograph in, a depth map out.
 *
 *   fathom_engine* engine = fathom_engine_load("hr_depth.safetensors", NULL);
 *   if (!engine) puts(fathom_last_error());
 *   fathom_session* session = fathom_session_create(engine);
 *   fathom_depth(session, rgb, width, height, NULL, depth);     // depth: width * height floats
 *
 * Functions that return int give 0 when the work was done, else a fathom_error_kind; pointers are NULL on failure. The
 * text of the last error of this thread is fathom_last_error(). Engines may be shared between threads, sessions not. */
#ifndef FATHOM_H
#define FATHOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_engine fathom_engine;
typedef struct fathom_session fathom_session;

typedef enum {
  FATHOM_OK = 0,
  FATHOM_USAGE,
  FATHOM_FILE,
  FATHOM_MODEL,
  FATHOM_SHAPE,
  FATHOM_IMAGE,
  FATHOM_DEVICE,
  FATHOM_MEMORY,
  FATHOM_UNSUPPORTED,
  FATHOM_OTHER
} fathom_error_kind;

typedef enum { FATHOM_AUTO = 0, FATHOM_CPU, FATHOM_CUDA, FATHOM_REFERENCE } fathom_device;
typedef enum { FATHOM_FP32 = 0, FATHOM_TF32, FATHOM_FP16 } fathom_precision;

typedef struct {
  fathom_device device;
  fathom_precision precision;
  int threads;                   /* of the CPU; 0: all cores */
  int input_width, input_height; /* 0: the model's own */
  int64_t budget_bytes;          /* 0: 8 GiB */
  /* A file: convolutions are timed on the GPU when a frame is first prepared (seconds), the fastest kernels chosen, and
   * the choices kept there for later loads. NULL or "": chosen by a cost model. */
  const char* tuning;
} fathom_options;

/* options may be NULL: all zero. */
fathom_engine* fathom_engine_load(const char* path, const fathom_options* options);
void fathom_engine_free(fathom_engine* engine);
/* "hr_depth", "CPU, 2 threads, ...": valid as long as the engine. */
const char* fathom_engine_network(const fathom_engine* engine);
const char* fathom_engine_device(const fathom_engine* engine);
/* What of the tuning file could not be read or written by now; "": nothing. Valid until the next call of this thread. */
const char* fathom_engine_warning(const fathom_engine* engine);

/* What fathom_run takes and gives. kind: of inputs "u8" (photographs) or "f32", both (N, H, W, C) in memory; of outputs
 * "disparity", "depth", "segmentation" or "tensor", all float32 (N, C, H, W). Texts are valid as long as the engine. */
typedef struct {
  const char* name;
  const char* kind;
  int64_t shape[4]; /* n, c, h, w */
} fathom_tensor;

/* The inputs, or the outputs with the primary one first, at a batch and size; 0, 0, 0: one picture at the model's own.
 * *count: how many `tensors` has room for; becomes how many there are. With too little room (or tensors NULL) the first
 * ones are written (none), and that is no error. */
int fathom_engine_inputs(const fathom_engine* engine, int batch, int height, int width, fathom_tensor* tensors,
                         int* count);
int fathom_engine_outputs(const fathom_engine* engine, int batch, int height, int width, fathom_tensor* tensors,
                          int* count);

fathom_session* fathom_session_create(const fathom_engine* engine);
void fathom_session_free(fathom_session* session);

/* Depth of one photograph at its own size. rgb: 8-bit RGB rows without gaps; right: the same for stereo networks, else
 * NULL; depth: width * height floats, metres where the model knows them, else up to scale (fathom_depth_unit). */
int fathom_depth(fathom_session* session, const uint8_t* rgb, int width, int height, const uint8_t* right,
                 float* depth);
/* "m" or "relative", of the last fathom_depth of this session. */
const char* fathom_depth_unit(const fathom_session* session);

/* The bare network: inputs as fathom_engine_inputs lists them, outputs by the names of fathom_engine_outputs, pointers
 * of the engine's device; stream is a cudaStream_t or NULL. */
int fathom_run(fathom_session* session, int batch, int height, int width, const void* const* inputs, int input_count,
               const char* const* output_names, float* const* outputs, int output_count, void* stream);

const char* fathom_last_error(void);
const char* fathom_version(void);

#ifdef __cplusplus
}
#endif
#endif
