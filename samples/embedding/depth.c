/* The same in C.
 *   depth_c MODEL.safetensors */
#include <fathom/fathom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  enum { width = 320, height = 240 };
  uint8_t* photo = malloc(3 * width * height);
  float* depth = malloc(sizeof(float) * width * height);
  int status = 1;
  fathom_engine* engine = NULL;
  fathom_session* session = NULL;

  if (argc != 2 || !photo || !depth) {
    fprintf(stderr, "usage: depth_c MODEL.safetensors\n");
    goto done;
  }
  for (int y = 0; y < height; ++y) memset(photo + 3 * width * y, y, 3 * width);
  engine = fathom_engine_load(argv[1], NULL);
  session = engine ? fathom_session_create(engine) : NULL;
  if (!session || fathom_depth(session, photo, width, height, NULL, depth) != FATHOM_OK) {
    fprintf(stderr, "depth_c: %s\n", fathom_last_error());
    goto done;
  }
  printf("%s on %s: depth in the centre %g (%s)\n", fathom_engine_network(engine), fathom_engine_device(engine),
         depth[height / 2 * width + width / 2], fathom_depth_unit(session));
  status = 0;

done:
  fathom_session_free(session);
  fathom_engine_free(engine);
  free(photo);
  free(depth);
  return status;
}
