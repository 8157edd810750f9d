// A network as JSON (`fathom.graph`): what a model file holds for a network that is not in models/.
//   {"version": 1,
//    "inputs":  [{"name": "image", "dtype": "u8", "mean": [0.45], "std": [0.225]}],
//    "nodes":   [{"op": "Conv2d", "name": "conv1", "in": ["image"], "out": ["conv1"], "weight": "encoder.conv1.weight",
//                 "stride": 2, "padding": 3, "activation": "relu"}],
//    "outputs": [{"name": "disp0", "value": "conv1", "kind": "disparity", "scale": 1}]}
// Nodes stand in topological order. `weight`, `bias`, ... are keys of the file's tensors; a bias is there if its key
// is. The other keys of a node are the op struct's members (ops.hpp), those at their default left out: a Size2 is a
// number or [h, w], a Padding a number, [h, w] or [top, left, bottom, right], an Activation its name or {"kind",
// "alpha"}. A u8 input is a picture: its name stands for (x / 255 - mean) / std. An f32 one is read as it is.
// "channels" is 3 if not given.
#pragma once

#include <string>

#include "models/network.hpp"

namespace fathom {

// The graph for inputs of this batch and size. Error{model} or Error{shape} names the node, value or key that is wrong,
// and all weights that no node uses.
Graph graph_from_json(const std::string& text, const Weights& weights, int batch, int height, int width);

// Of a graph as models/ and graph_from_json build it; Error{unsupported} names what JSON cannot say.
std::string graph_to_json(const Graph& graph);

}  // namespace fathom
