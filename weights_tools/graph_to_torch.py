#!/usr/bin/env python3
"""Rebuilds a Fathom graph as a PyTorch module with the same weights, for comparison (PyTorch 1.13 and 2.x).

    fathom_weights export net.safetensors > net.json
    graph_to_torch.py net.safetensors --graph net.json IN.safetensors OUT.safetensors

The graph is what `fathom_weights export` prints, or the fathom.graph that the model file holds. IN has "input.<name>",
u8 (H, W, C) or (N, H, W, C); OUT gets "output.<name>", f32 (N, C, H, W). In Python, GraphModule(graph, weights)(image,
...), images as u8 tensors (N, C, H, W) in any memory format, returns the outputs in the graph's order.
"""

import argparse
import collections
import json
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F

import safetensors_io

STRUCTURE = {"op", "name", "in", "out"}  # of a node; the rest are parameters and the op's fields
PARAMETERS = ("weight", "bias", "input_scale", "input_shift", "excite_weight", "excite_bias", "running_mean", "running_var",
              "expand_weight", "expand_bias", "project_weight", "project_bias", "squeeze_weight", "squeeze_bias")


class GraphError(ValueError):
    pass


def pair(value):  # Size2: one number or [h, w]
    return (value, value) if isinstance(value, int) else tuple(value)


def four(value):  # Padding: one number, [h, w] or [top, left, bottom, right]
    if isinstance(value, int):
        return (value,) * 4
    return tuple(value) * 2 if len(value) == 2 else tuple(value)


def symmetric(padding):
    """(h, w) where both sides are alike, else None."""
    top, left, bottom, right = padding
    return (top, left) if (top, left) == (bottom, right) else None


def pad(x, padding, mode="zeros", value=0.0):
    top, left, bottom, right = padding
    if not any(padding):
        return x
    if mode == "zeros":
        return F.pad(x, (left, right, top, bottom), value=value)
    return F.pad(x, (left, right, top, bottom), mode=mode)


def activate(x, activation, inplace=False):
    if isinstance(activation, str):
        activation = {"kind": activation}
    kind, alpha = activation.get("kind", "none"), activation.get("alpha", 1.0)
    if kind == "none":
        return x
    if kind == "sigmoid":
        return torch.sigmoid(x)
    if kind == "leaky_relu":
        return F.leaky_relu(x, alpha, inplace)
    if kind == "elu":
        return F.elu(x, alpha, inplace)
    plain = {"relu": F.relu, "relu6": F.relu6, "hard_sigmoid": F.hardsigmoid, "hard_swish": F.hardswish}
    if kind not in plain:
        raise GraphError(f"unknown activation '{kind}'")
    return plain[kind](x, inplace=inplace)


def resize(x, mode="none", scale=0, size=0, align_corners=False):
    if mode == "none":
        return x
    if mode not in ("nearest", "bilinear"):
        raise GraphError(f"unknown resize mode '{mode}'")
    target = pair(size) if any(pair(size)) else (x.shape[2] * pair(scale)[0], x.shape[3] * pair(scale)[1])
    return F.interpolate(x, size=target, mode=mode, align_corners=align_corners if mode == "bilinear" else None)


def box_mean(x, radius):  # windows are clipped at the borders
    return F.avg_pool2d(x, 2 * radius + 1, 1, radius, count_include_pad=False)


# Each op below: (parameters, data inputs, fields of the op's struct as keyword arguments) -> output.


def normalise(x, mean=(0,), std=(1,)):  # a photograph, u8
    y = x.float() / 255
    if isinstance(mean, torch.Tensor):
        return (y - mean) / std
    if len(mean) == 1 and len(std) == 1:
        return (y - mean[0]) / std[0]
    vector = lambda values: torch.tensor(values, dtype=torch.float32, device=y.device).view(1, -1, 1, 1)  # noqa: E731
    return (y - vector(mean)) / vector(std)


def read_source(x, source):
    x = normalise(x, source["mean"], source["std"]) if source.get("mean") else x
    step = pair(source.get("stride", 1))
    x = resize(x, **source.get("resize", {}))
    return x if step == (1, 1) else x[:, :, :: step[0], :: step[1]]


def weight_read(weight, parts, sources):
    """The weight without what a source that only the middle of the kernel reads leaves out."""
    if not any(source.get("centre") for source in sources):
        return weight
    kept, channel = torch.zeros_like(weight), 0
    for part, source in zip(parts, sources):
        rows = columns = slice(None)
        if source.get("centre"):
            rows, columns = weight.shape[2] // 2, weight.shape[3] // 2
        channels = slice(channel, channel + part.shape[1])
        kept[:, channels, rows, columns] = weight[:, channels, rows, columns]
        channel = channels.stop
    return kept


def conv2d(
    p, x, stride=1, padding=0, dilation=1, groups=1, sources=({},), gate=False, affine=False, input_activation="none",
    residual=False, addend={}, output_gate=False, shuffle=1, activation="none",
    residual_last=False, result={}, reciprocal=False, crop=0,
    low_products=False,  # how the sum is made, not what it is
    mean=False, excitation={},
):
    (*data,) = x
    others = [data.pop() for _ in range(excitation.get("maps", 1) - 1)][::-1]
    output_factor = data.pop() if output_gate else None
    resized = resize(data.pop(), **addend) if addend.get("mode", "none") != "none" else None
    added = data.pop() if residual else None
    factor = data.pop() if gate else None
    padding, modes = four(padding), [source.get("pad_mode", "zeros") for source in sources]
    parts = [read_source(part, source) for part, source in zip(data, sources)]
    weight = weight_read(p.weight, parts, sources)
    if affine or factor is not None or input_activation != "none":
        y = torch.cat(parts, 1)
        y = y * p.input_scale[:, None, None] + p.input_shift[:, None, None] if affine else y
        y = activate(y if factor is None else y * factor, input_activation)
        parts = y.split([part.shape[1] for part in parts], 1)
    if set(modes) != {"zeros"} or symmetric(padding) is None:
        parts, padding = [pad(part, padding, mode) for part, mode in zip(parts, modes)], (0,) * 4
    y = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
    y = F.conv2d(y, weight, p.bias, pair(stride), symmetric(padding), pair(dilation), groups)
    y = y if output_factor is None else y * output_factor
    y = F.pixel_shuffle(y, shuffle) if shuffle > 1 else y
    y = activate(y, activation) if residual_last else y
    for more in (added, resized):
        y = y if more is None else y + more
    y = y if residual_last else activate(y, activation)
    y = y * result.get("scale", 1) + result.get("shift", 0) if result else y
    y = 1 / y if reciprocal else y
    y = y[:, :, : y.shape[2] - pair(crop)[0], : y.shape[3] - pair(crop)[1]]
    return (y, second_output(p, y, others, **excitation)) if mean else y


def second_output(p, y, others, maps=0, place=0, bias=False, squeeze_activation="none", activation="none"):
    """The means of y, or the gate made of them and of others."""
    mean = y.mean((2, 3), keepdim=True)
    if not maps:
        return mean
    z = torch.cat([*others[:place], mean, *others[place:]], 1).flatten(1)
    z = activate(F.linear(z, p.squeeze_weight.flatten(1), p.squeeze_bias), squeeze_activation)
    return activate(F.linear(z, p.excite_weight.flatten(1), p.excite_bias), activation)[:, :, None, None]


def inverted_residual(
    p, x, stride=1, padding=0, expand=True, project=True, residual=False, expand_activation="none", depth_activation="none",
    activation="none", mean=False, excitation={},
):
    y, *others = x
    if expand:
        y = activate(F.conv2d(y, p.expand_weight, p.expand_bias), expand_activation)
    if symmetric(four(padding)) is None:
        y, padding = pad(y, four(padding), "zeros"), 0
    y = F.conv2d(y, p.weight, p.bias, pair(stride), symmetric(four(padding)), groups=p.weight.shape[0])
    y = activate(y, depth_activation)
    if project:
        y = F.conv2d(y, p.project_weight, p.project_bias)
    y = activate(y + x[0] if residual else y, activation)
    return (y, second_output(p, y, others, **excitation)) if mean else y


def channel_gate(p, x, squeeze_activation="none", activation="none"):
    y = torch.cat([part.mean((2, 3)) for part in x], 1)
    y = activate(F.linear(y, p.weight.flatten(1), p.bias), squeeze_activation)
    return activate(F.linear(y, p.excite_weight.flatten(1), p.excite_bias), activation)[:, :, None, None]


def conv_transpose2d(p, x, stride=1, padding=0, output_padding=0, dilation=1, groups=1, activation="none"):
    if symmetric(four(padding)) is None:
        raise GraphError("a transposed convolution with uneven padding has no counterpart in PyTorch")
    y = F.conv_transpose2d(
        x[0], p.weight, p.bias, pair(stride), symmetric(four(padding)), pair(output_padding), groups, pair(dilation)
    )
    return activate(y, activation)


def linear(p, x, activation="none"):
    y = F.linear(x[0].flatten(1), p.weight.flatten(1), p.bias)
    return activate(y[:, :, None, None], activation)


def batch_norm(p, x, eps=1e-5, activation="none"):
    return activate(F.batch_norm(x[0], p.running_mean, p.running_var, p.weight, p.bias, eps=eps), activation)


def activation_op(p, x, kind="none", alpha=1.0):
    return activate(x[0], {"kind": kind, "alpha": alpha}, p.inplace)


def pool(
    p, x, kind="max", kernel=1, stride=1, padding=0, ceil_mode=False, count_include_pad=True, affine=False,
    activation="none",
):
    y = pooled(x[0], kind, kernel, stride, padding, ceil_mode, count_include_pad)
    return activate(y * p.weight[:, None, None] + p.bias[:, None, None] if affine else y, activation)


def pooled(y, kind, kernel, stride, padding, ceil_mode, count_include_pad):
    padding = four(padding)
    if kind == "max":
        if symmetric(padding) is None:
            y, padding = pad(y, padding, value=float("-inf")), (0,) * 4
        return F.max_pool2d(y, pair(kernel), pair(stride), symmetric(padding), ceil_mode=ceil_mode)
    if symmetric(padding) is None:
        raise GraphError("an average pool with uneven padding has no counterpart in PyTorch")
    return F.avg_pool2d(y, pair(kernel), pair(stride), symmetric(padding), ceil_mode, count_include_pad)


def conv_pool(p, x, stride=1, padding=0, sources=({},), activation="none", pool={}):
    y = conv2d(p, x, stride=stride, padding=padding, sources=sources, activation=activation)
    return pooled(y, **{"kind": "max", "kernel": 1, "stride": 1, "padding": 0, "ceil_mode": False, "count_include_pad": True, **pool})


def pool_chain(p, x, kernel=5, stages=4, activation="none"):
    t = total = x[0]
    for factor in p.weight[1 : stages + 1]:
        t = F.max_pool2d(t, kernel, 1, kernel // 2) * factor[:, None, None]
        total = total + t
    return activate(total * p.weight[0][:, None, None], activation)


def guided_filter(p, x, radius=4, eps=1e-2):
    signal, guide, full_guide = x
    mean_signal, mean_guide = box_mean(signal, radius), box_mean(guide, radius)
    covariance = box_mean(signal * guide, radius) - mean_signal * mean_guide
    slope = covariance / (box_mean(guide * guide, radius) - mean_guide * mean_guide + eps)
    offset = mean_signal - slope * mean_guide
    size = full_guide.shape[2:]
    return resize(slope, "bilinear", size=size, align_corners=True) * full_guide + resize(
        offset, "bilinear", size=size, align_corners=True
    )


def disparity_to_depth(p, x, min_depth=0.1, max_depth=100.0):
    return 1 / (1 / max_depth + (1 / min_depth - 1 / max_depth) * x[0])


OPS = {
    "Conv2d": conv2d,
    "InvertedResidual": inverted_residual,
    "ConvTranspose2d": conv_transpose2d,
    "Linear": linear,
    "ChannelGate": channel_gate,
    "BatchNorm": batch_norm,
    "Activation": activation_op,
    "Pool": pool,
    "ConvPool": conv_pool,
    "PoolChain": pool_chain,
    "GlobalMean": lambda p, x: x[0].mean((2, 3), keepdim=True),
    "Add": lambda p, x, activation="none": activate(sum(x[1:], x[0]), activation),
    "Multiply": lambda p, x, activation="none": activate(x[0] * x[1], activation),
    "Affine": lambda p, x, scale=1, shift=0: x[0] * scale + shift,
    "Concat": lambda p, x: torch.cat(x, 1),
    "Resize": lambda p, x, **fields: resize(x[0], **fields),
    "PixelShuffle": lambda p, x, factor=2: F.pixel_shuffle(x[0], factor),
    "Pad": lambda p, x, padding=0, mode="zeros": pad(x[0], four(padding), mode),
    "Slice": lambda p, x, axis=1, begin=0, count=1: x[0].narrow(axis, begin, count),
    "Reshape": lambda p, x, c=1, h=1, w=1: x[0].reshape(x[0].shape[0], c, h, w),
    "BoxFilter": lambda p, x, radius=1: box_mean(x[0], radius),
    "GuidedFilter": guided_filter,
    "Preprocess": lambda p, x, mean=(0,), std=(1,): normalise(x[0], mean, std),
    "DisparityToDepth": disparity_to_depth,
}
OWN_RESULT = {
    "Conv2d",
    "ConvTranspose2d",
    "BatchNorm",
    "Add",
    "Multiply",
    "Affine",
    "Concat",
}  # never a view of an input


class NodeModule(torch.nn.Module):
    """One node: its parameters, and the op's formula."""

    def __init__(self, node, weights, inplace):
        super().__init__()
        if node["op"] not in OPS:
            raise GraphError(f"node '{node['name']}': unknown op '{node['op']}'")
        self.formula, self.inplace = OPS[node["op"]], inplace
        self.fields = {key: value for key, value in node.items() if key not in STRUCTURE and key not in PARAMETERS}
        for role in PARAMETERS:
            tensor = None
            if role in node:
                if node[role] not in weights:
                    raise GraphError(f"node '{node['name']}': the weights have no '{node[role]}'")
                tensor = torch.from_numpy(np.array(weights[node[role]], np.float32))
            self.register_buffer(role, tensor)
        self.sources, self.results, self.name = node["in"], node["out"], node["name"]

    def forward(self, *x):
        return self.formula(self, x, **self.fields)


def keep_outputs(graph, names):
    """The graph with these outputs only, and the nodes that they need."""
    outputs = [output for output in graph["outputs"] if output["name"] in names]
    needed, nodes = {output["value"] for output in outputs}, []
    for node in reversed(graph["nodes"]):
        if needed.intersection(node["out"]):
            needed.update(node["in"])
            nodes.append(node)
    return {**graph, "nodes": nodes[::-1], "outputs": outputs}


class GraphModule(torch.nn.Module):
    """The whole graph. Activations run in place where nothing else reads what they overwrite, as networks do."""

    def __init__(self, graph, weights):
        super().__init__()
        readers = collections.Counter(name for node in graph["nodes"] for name in node["in"])
        readers.update(output["value"] for output in graph["outputs"])
        maker = {node["out"][0]: node["op"] for node in graph["nodes"]}
        self.inputs = graph["inputs"]
        # Buffers, so that nothing is copied from the host while running: CUDA graphs could not record that.
        for index, entry in enumerate(self.inputs):
            for key, default in (("mean", [0]), ("std", [1])):
                values = torch.tensor(entry.get(key, default), dtype=torch.float32)
                self.register_buffer(f"{key}_{index}", values.view(1, -1, 1, 1), persistent=False)
        self.output_names = [output["name"] for output in graph["outputs"]]
        self.output_values = [output["value"] for output in graph["outputs"]]
        self.nodes = torch.nn.ModuleList(
            NodeModule(node, weights, readers[node["in"][0]] == 1 and maker.get(node["in"][0]) in OWN_RESULT)
            for node in graph["nodes"]
        )
        last = {name: index for index, node in enumerate(graph["nodes"]) for name in node["in"]}
        self.finished = [
            [name for name in set(node["in"]) if last[name] == index and name not in self.output_values]
            for index, node in enumerate(graph["nodes"])
        ]
        self.eval()

    def dtype(self):
        return next((buffer.dtype for buffer in self.buffers()), torch.float32)

    def forward(self, *images):
        values = {}
        for index, (entry, image) in enumerate(zip(self.inputs, images)):
            picture = entry.get("dtype") == "u8"  # its name stands for the normalised picture
            mean, std = getattr(self, f"mean_{index}"), getattr(self, f"std_{index}")
            values[entry["name"]] = normalise(image, mean, std).to(self.dtype()) if picture else image
        for node, finished in zip(self.nodes, self.finished):
            try:
                made = node(*[values[name] for name in node.sources])
            except (KeyError, TypeError, RuntimeError) as error:
                raise GraphError(f"node '{node.name}': {error}") from error
            values.update(zip(node.results, made if isinstance(made, tuple) else (made,)))
            for name in finished:
                del values[name]
        return tuple(values[name] for name in self.output_values)


def export(model_path, size=None, program="fathom_weights"):
    """The graph of a model file, as the engine exports it."""
    command = [program, "export", model_path] + (["--size", size] if size else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise GraphError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def load(model_path, graph_path=None):
    """A GraphModule from a model file; the graph from a file of its own or from the model file."""
    weights, metadata = safetensors_io.read(model_path)
    if graph_path:
        with open(graph_path, encoding="utf-8") as file:
            graph = json.load(file)
    elif "fathom.graph" in metadata:
        graph = json.loads(metadata["fathom.graph"])
    else:
        raise GraphError(f"{model_path} names an architecture: give --graph with what `fathom_weights export` prints")
    return GraphModule(graph, weights)


def as_image(array):
    """u8 (H, W, C) or (N, H, W, C) to (N, C, H, W), without moving a byte."""
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.dtype != np.uint8:
        raise GraphError(f"an input must be u8 (H, W, C) or (N, H, W, C), got {array.dtype} {array.shape}")
    return torch.from_numpy(array.copy()).permute(0, 3, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--graph", help="JSON of `fathom_weights export`")
    parser.add_argument("input")
    parser.add_argument("output")
    options = parser.parse_args()
    try:
        module = load(options.model, options.graph)
        tensors, _ = safetensors_io.read(options.input)
        images = []
        for entry in module.inputs:
            if f"input.{entry['name']}" not in tensors:
                raise GraphError(f"{options.input} has no input.{entry['name']}")
            images.append(as_image(tensors[f"input.{entry['name']}"]))
        with torch.no_grad():
            outputs = module(*images)
        safetensors_io.write(
            options.output, {f"output.{name}": value.numpy() for name, value in zip(module.output_names, outputs)}
        )
    except (GraphError, OSError, ValueError) as error:
        print(f"graph_to_torch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
