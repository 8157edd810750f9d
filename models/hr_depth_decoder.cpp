#include "models/hr_depth_decoder.hpp"

namespace fathom {

namespace {

std::string node_key(int row, int column, const char* part) {
  return "depth.convs.X_" + std::to_string(row) + std::to_string(column) + part;
}

}  // namespace

// Keys carry the index of the node that Conv_0 and Conv_1 start from, and of the node that the others make.
void hr_depth_decoder(Network& g, const std::array<Value, 5>& features, const HrDepthDecoder& kind) {
  using Last = HrDepthDecoder::Last;
  Value X[5][5];
  for (int r = 0; r < 5; ++r) X[r][0] = features[r];

  for (int c = 1; c <= 4; ++c) {  // 01 11 21 31 02 12 22 03 13 04, as the official loop goes
    for (int r = 0; r + c <= 4; ++r) {
      const Value below = X[r + 1][c - 1];
      const bool last = r + c == 4;
      const int out = 2 * kind.num_ch_dec[r];
      // upsample(X_(r+1)(c-1)_Conv_0), halving the channels
      const Value low = conv_block(g, node_key(r + 1, c - 1, "_Conv_0"), below, g.channels(below) / 2);
      std::vector<Value> parts = {g.nearest(low, 2)};
      // cat with X_r0 .. X_r(c-1), the dense skip connections of eq. 6
      for (int k = 0; k < c; ++k) parts.push_back(X[r][k]);
      Value z = g.concat(parts, node_key(r, c, "_cat"));  // (N, below / 2 + c skips, H/2^(r+1), W/2^(r+1))
      if (last && kind.last == Last::fse) {
        z = fse_module(g, node_key(r, c, "_attention"), z, out);
      } else {
        if (c > 1 && kind.downsample) z = g.conv(node_key(r, c, "_downsample.conv"), z, {.out = 2 * out, .kernel = 1});
        if (last && kind.last == Last::se_conv)
          z = squeeze_excite(g, z, {node_key(r, c, "_se.fc.0"), node_key(r, c, "_se.fc.2"), g.channels(z) / 4});
        z = conv_block(g, node_key(r + 1, c - 1, "_Conv_1"), z, out);
      }
      X[r][c] = z;  // (N, out, H/2^(r+1), W/2^(r+1))
    }
  }

  // X_04_Conv_0, x2, X_04_Conv_1
  Value x = conv_block(g, node_key(0, 4, "_Conv_0"), X[0][4], kind.num_ch_dec[0]);    // (N, dec[0], H/2, W/2)
  x = conv_block(g, node_key(0, 4, "_Conv_1"), g.nearest(x, 2), kind.num_ch_dec[0]);  // (N, dec[0], H, W)

  disparity_head(g, "depth.convs.dispConvScale0", x, "disp0");        // (N, 1, H, W)
  disparity_head(g, "depth.convs.dispConvScale1", X[0][4], "disp1");  // (N, 1, H/2, W/2)
  disparity_head(g, "depth.convs.dispConvScale2", X[1][3], "disp2");  // (N, 1, H/4, W/4)
  disparity_head(g, "depth.convs.dispConvScale3", X[2][2], "disp3");  // (N, 1, H/8, W/8)

  // Stored by official checkpoints, read by no node: Conv_0 of row 0
  for (int c = 0; c < 4; ++c) {
    const int in = g.channels(X[0][c]);
    g.unused(node_key(0, c, "_Conv_0.conv.conv.weight"), Desc::dense({in / 2, in, 3, 3}));
    g.unused(node_key(0, c, "_Conv_0.conv.conv.bias"), Desc::dense({in / 2}));
  }
}

}  // namespace fathom
