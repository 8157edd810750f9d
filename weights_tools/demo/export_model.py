#!/usr/bin/env python3
"""A training checkpoint as a model file: the mean of the weights under the keys of the template, kernels in 16 bits.

    export_model.py checkpoint.pt --template template.safetensors --graph template.json --size 128x96 -o demo.safetensors

--golden FILE also writes a random picture and what PyTorch makes of it with the rounded weights, for fathom_weights verify.
"""

import argparse
import json

import numpy as np
import torch

import network  # first: it finds the modules of weights_tools
import graph_to_torch
import safetensors_io


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--template", required=True)
    parser.add_argument("--graph", required=True)
    parser.add_argument("--size", required=True)
    parser.add_argument("--output", help="as train.py was given")
    parser.add_argument("--golden")
    parser.add_argument("-o", dest="path", required=True)
    options = parser.parse_args()
    weights, metadata = safetensors_io.read(options.template)
    with open(options.graph, encoding="utf-8") as file:
        graph = exported = json.load(file)
    width, height = map(int, options.size.split("x"))
    graph = network.at_any_size(graph, weights, height, width)
    if options.output:
        graph = network.ending_at(graph, options.output)
    model = network.TrainableGraph(graph, weights)
    model.load_state_dict(torch.load(options.checkpoint, "cpu")["mean"])
    trained = model.by_key()
    missing = sorted(set(weights) - set(trained))
    if missing:
        raise SystemExit(f"export_model.py: {missing[0]} of the template was not trained")
    tensors = {key: value.astype(np.float16) if value.ndim > 1 else value for key, value in trained.items()}
    safetensors_io.write(options.path, tensors, metadata)
    if options.golden:
        picture = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        picture = np.ascontiguousarray(picture.repeat(8, 0).repeat(8, 1))
        with torch.no_grad():
            outputs = graph_to_torch.GraphModule(exported, tensors)(graph_to_torch.as_image(picture))
        named = {f"output.{entry['name']}": y.numpy() for entry, y in zip(exported["outputs"], outputs)}
        safetensors_io.write(options.golden, {"input.image": picture, **named})


if __name__ == "__main__":
    main()
