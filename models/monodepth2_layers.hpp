// The layers that the decoders of Monodepth2 and HR-Depth are made of, under their official names.
#pragma once

#include <string>

#include "models/layers.hpp"

namespace fathom {

// Conv3x3: reflection padding by 1, convolution with bias. Key: key + ".conv"
Value conv3x3(Network& g, const std::string& key, Value x, int out);

// ConvBlock: Conv3x3, then ELU. Key: key + ".conv.conv"
Value conv_block(Network& g, const std::string& key, Value x, int out);

// A disparity head: sigmoid(Conv3x3) to one channel, declared as an output.
void disparity_head(Network& g, const std::string& key, Value x, const std::string& output);

// fSEModule (HR-Depth, eq. 8 and 9): relu(W * (z s) + b), W 1x1, s = sigmoid(fc2 relu(fc1 mean(z))), hidden = channels
// / 16
Value fse_module(Network& g, const std::string& key, Value z, int out);

}  // namespace fathom
