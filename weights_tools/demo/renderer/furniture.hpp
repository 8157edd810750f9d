// Things that stand in rooms, put together from primitives in a frame of their own.
#pragma once

#include "scene.hpp"

namespace demo {

// Where a thing stands: its own x is its width, z its depth (the front looks to -z), y = 0 what it stands on.
struct Stand {
  Vec3 origin;
  Rotation turn;
  Stand at(Vec3 p, float angle = 0) const { return {origin + turn.to_world(p), turn * yaw(angle)}; }
};

struct Builder {
  Scene& scene;
  Random& random;

  int material(const Material& m);
  // Random colours and patterns, each for a kind of thing.
  int wall_paint(), floor_cover(), wooden(), furniture(), colourful(), dark(), cloth(), metal(), paper();

  Primitive& box(const Stand& s, Vec3 centre, Vec3 half, int material, const Rotation& turn = {});
  Primitive& ball(const Stand& s, Vec3 centre, Vec3 half, int material, const Rotation& turn = {});
  Primitive& tube(const Stand& s, Vec3 centre, Vec3 half, int material, float top = 1, const Rotation& turn = {});
};

void add_table(Builder& b, const Stand& s, float width, float depth, float height, int clutter);
void add_chair(Builder& b, const Stand& s);
void add_cabinet(Builder& b, const Stand& s, float width, float depth, float height);
void add_shelf(Builder& b, const Stand& s, float width, float depth, float height);
void add_sofa(Builder& b, const Stand& s, float width);
void add_bed(Builder& b, const Stand& s);
void add_plant(Builder& b, const Stand& s, float height);
void add_boxes(Builder& b, const Stand& s);
void add_floor_thing(Builder& b, const Stand& s);
void add_screen(Builder& b, const Stand& s);
// A small thing of a desk.
void add_clutter(Builder& b, const Stand& s);

}  // namespace demo
