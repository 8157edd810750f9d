// Monodepth2's two pose networks (Godard et al., ICCV 2019): the camera's motion between two frames.
#include "models/layers.hpp"
#include "models/networks.hpp"

namespace fathom {

namespace {

// Both frames normalised and stacked in temporal order.
Value frames(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value earlier = photograph(g, frame, config, "image0"), later = photograph(g, frame, config, "image1");
  return g.concat({earlier, later}, "frames");  // (N, 6, H, W)
}

// 0.01 mean over the map, cut into (N, poses, 1, 6): axis-angle, then translation
void pose_outputs(Network& g, Value x, int poses) {
  x = g.add(Affine{.scale = 0.01f}, {g.add(GlobalMean{}, {x}, "pose.mean")}, "pose.scaled");  // (N, 6 poses, 1, 1)
  x = g.add(Reshape{.c = poses, .h = 1, .w = 6}, {x}, "pose.view");                           // (N, poses, 1, 6)
  g.output("axisangle", g.add(Slice{.axis = 3, .begin = 0, .count = 3}, {x}, "pose.axisangle"), OutputKind::tensor);
  g.output("translation", g.add(Slice{.axis = 3, .begin = 3, .count = 3}, {x}, "pose.translation"), OutputKind::tensor);
}

}  // namespace

// ResnetEncoder on six channels, PoseDecoder with one feature map and two predicted poses
void pose_resnet18(Network& g, const Frame& frame, const ModelConfig& config) {
  Value x = resnet(g, "pose_encoder.encoder.", frames(g, frame, config), resnet18).layers[3];  // (N, 512, H/32, W/32)
  resnet_unused_fc(g, "pose_encoder.encoder.", resnet18);
  x = g.relu(g.conv("pose.net.0", x, {.out = 256, .kernel = 1, .bias = true}));   // ("squeeze")
  x = g.relu(g.conv("pose.net.1", x, {.out = 256, .padding = 1, .bias = true}));  // ("pose", 0)
  x = g.relu(g.conv("pose.net.2", x, {.out = 256, .padding = 1, .bias = true}));  // ("pose", 1)
  x = g.conv("pose.net.3", x, {.out = 12, .kernel = 1, .bias = true});            // ("pose", 2)
  pose_outputs(g, x, 2);
}

// PoseCNN: seven strided convolutions and a 1x1
void pose_cnn(Network& g, const Frame& frame, const ModelConfig& config) {
  struct Layer {
    int out, kernel;
  };
  const Layer layers[] = {{16, 7}, {32, 5}, {64, 3}, {128, 3}, {256, 3}, {256, 3}, {256, 3}};
  Value x = frames(g, frame, config);
  int i = 0;
  for (const Layer& l : layers)
    x = g.relu(g.conv("pose.net." + std::to_string(i++), x,
                      {.out = l.out, .kernel = l.kernel, .stride = 2, .padding = l.kernel / 2, .bias = true}));
  x = g.conv("pose.pose_conv", x, {.out = 6, .kernel = 1, .bias = true});  // (N, 6, H/128, W/128)
  pose_outputs(g, x, 1);
}

}  // namespace fathom
