#!/usr/bin/env python3
"""Computes the golden numbers of the op tests with PyTorch (written for 1.13), in double from float32 inputs.

    make_op_goldens.py build/dev/tests/fathom_tests -o tests/golden/ops.safetensors

The test program prints its case tables as JSON; each case is computed here from torch.nn.functional alone (the filters, which
PyTorch lacks, from their formula in NumPy). Of outputs past 1000 elements every k-th is kept. The metadata holds, by case name,
the hash of the case's JSON and k, so that a case changed later fails its test until the numbers are made anew.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "weights_tools"))
import safetensors_io  # noqa: E402
import synthetic  # noqa: E402

MOST_ELEMENTS = 1000


def inputs_of(case):
    """The data inputs and the parameters by name, as double tensors."""
    data, parameters = [], {}
    for k, x in enumerate(case["in"]):
        if k < len(case["in"]) - len(case["parameters"]):
            low, high = np.float64(np.float32(case["low"])), np.float64(np.float32(case["high"]))
            u = synthetic.uniform(f"{case['name']}.in{k}", int(np.prod(x["shape"]))).reshape(x["shape"])
            value = low + (u + 1) / 2 * (high - low)
            value = np.floor(value) if x["dtype"] == "u8" else value.astype(np.float32)
            data.append(torch.from_numpy(value.astype(np.float64)))
        else:
            name = case["parameters"][k - len(data)]
            value = synthetic.parameter(f"{case['name']}.{name}", x["shape"])
            parameters[name] = torch.from_numpy(value.astype(np.float64))
    return data, parameters


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def four(value):  # top, left, bottom, right
    return (value,) * 4 if isinstance(value, int) else tuple(value)


def single(value):
    return float(np.float32(value))


def activate(x, activation):
    if isinstance(activation, str):
        activation = {"kind": activation}
    alpha = single(activation.get("alpha", 1))
    return {"none": lambda v: v, "relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid,
            "hard_swish": F.hardswish, "elu": lambda v: F.elu(v, alpha),
            "leaky_relu": lambda v: F.leaky_relu(v, alpha)}[activation.get("kind", "none")](x)


def pad(x, padding, mode):
    top, left, bottom, right = four(padding)
    if (top, left, bottom, right) == (0, 0, 0, 0):
        return x
    return F.pad(x, (left, right, top, bottom), mode={"zeros": "constant"}.get(mode, mode))


def resize(x, mode="none", scale=0, size=0, align_corners=False):
    if mode == "none":
        return x
    to = {"scale_factor": tuple(map(float, pair(scale)))} if pair(scale) != (0, 0) else {"size": pair(size)}
    if mode == "nearest":  # in float32, where PyTorch rounds the ratio
        return F.interpolate(x.float(), mode=mode, **to).double()
    return F.interpolate(x, mode=mode, align_corners=align_corners, **to)


def normalise(x, f):
    mean, std = (torch.tensor([single(v) for v in f[key]], dtype=torch.float64).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    return (x / 255 - mean) / std


def conv2d(data, p, f, out_shape):
    rest = list(data[len(f["sources"]):])
    gate = rest.pop(0) if f["gate"] else None
    weight, parts, channel = p["weight"].clone(), [], 0
    for x, source in zip(data, f["sources"]):
        channels = slice(channel, channel + x.shape[1])
        channel = channels.stop
        if source.get("mean"):
            x = normalise(x, source)
        x = resize(x, **source.get("resize", {}))
        step = pair(source.get("stride", 1))
        x = x[:, :, ::step[0], ::step[1]]
        if f["affine"]:
            x = p["input_scale"][None, channels, None, None] * x + p["input_shift"][None, channels, None, None]
        if gate is not None:
            x = x * gate[:, channels]
        parts.append(pad(activate(x, f["input_activation"]), f["padding"], source.get("pad_mode", "zeros")))
        if source.get("centre"):
            middle = torch.zeros(weight.shape[2:], dtype=weight.dtype)
            middle[weight.shape[2] // 2, weight.shape[3] // 2] = 1
            weight[:, channels] *= middle
    y = F.conv2d(torch.cat(parts, 1), weight, p.get("bias"), pair(f["stride"]), 0, pair(f["dilation"]), f["groups"])
    residual = rest.pop(0) if f["residual"] else None
    addend = rest.pop(0) if f["addend"].get("mode", "none") != "none" else None
    if f["output_gate"]:
        y = y * rest.pop(0)
    assert not rest
    y = F.pixel_shuffle(y, f["shuffle"])
    y = activate(y, f["activation"]) if f["residual_last"] else y
    if residual is not None:
        y = y + residual
    if addend is not None:
        y = y + resize(addend, **f["addend"])
    y = y if f["residual_last"] else activate(y, f["activation"])
    y = single(f["result"].get("scale", 1)) * y + single(f["result"].get("shift", 0))
    y = 1 / y if f["reciprocal"] else y
    return y[:, :, :y.shape[2] - pair(f["crop"])[0], :y.shape[3] - pair(f["crop"])[1]]


def inverted_residual(data, p, f, out_shape):
    y = data[0]
    if f["expand"]:
        y = activate(F.conv2d(y, p["expand_weight"], p["expand_bias"]), f["expand_activation"])
    y = F.conv2d(pad(y, f["padding"], "zeros"), p["weight"], p["bias"], pair(f["stride"]), groups=p["weight"].shape[0])
    y = activate(y, f["depth_activation"])
    if f["project"]:
        y = F.conv2d(y, p["project_weight"], p["project_bias"])
    return activate(y + data[0] if f["residual"] else y, f["activation"])


def channel_gate(data, p, f, out_shape):
    x = torch.cat([x.mean((2, 3)) for x in data], 1)
    x = activate(F.linear(x, p["weight"].flatten(1), p.get("bias")), f["squeeze_activation"])
    return activate(F.linear(x, p["excite_weight"].flatten(1), p.get("excite_bias")), f["activation"])[:, :, None, None]


def conv_transpose2d(data, p, f, out_shape):
    top, left, bottom, right = four(f["padding"])
    options = dict(stride=pair(f["stride"]), output_padding=pair(f["output_padding"]), groups=f["groups"], dilation=pair(f["dilation"]))
    if (top, left) == (bottom, right):
        y = F.conv_transpose2d(data[0], p["weight"], p.get("bias"), padding=(top, left), **options)
    else:
        y = F.conv_transpose2d(data[0], p["weight"], p.get("bias"), **options)
        y = y[:, :, top:y.shape[2] - bottom, left:y.shape[3] - right]
    return activate(y, f["activation"])


def linear(data, p, f, out_shape):
    y = F.linear(data[0].flatten(1), p["weight"].flatten(1), p.get("bias"))
    return activate(y[:, :, None, None], f["activation"])


def batch_norm(data, p, f, out_shape):
    y = F.batch_norm(data[0], p["running_mean"], p["running_var"], p["weight"], p["bias"], False, 0.0, single(f["eps"]))
    return activate(y, f["activation"])


def pool(data, p, f, out_shape):
    x, (top, left, bottom, right) = data[0], four(f["padding"])
    options = dict(kernel_size=pair(f["kernel"]), stride=pair(f["stride"]), ceil_mode=f["ceil_mode"])
    if (top, left) == (bottom, right):
        options["padding"] = (top, left)
    else:
        assert f["kind"] == "max" and not f["ceil_mode"]
        x = F.pad(x, (left, right, top, bottom), value=-np.inf)
    y = F.max_pool2d(x, **options) if f["kind"] == "max" else F.avg_pool2d(x, count_include_pad=f["count_include_pad"], **options)
    y = p["weight"][:, None, None] * y + p["bias"][:, None, None] if f["affine"] else y
    return activate(y, f["activation"])


def conv_pool(data, p, f, out_shape):
    plain = dict(dilation=1, groups=1, gate=False, affine=False, input_activation="none", residual=False, addend={}, output_gate=False,
                 shuffle=1, residual_last=False, result={}, reciprocal=False, crop=0)
    y = conv2d(data, p, f | plain, None)
    options = dict(kind="max", kernel=1, stride=1, padding=0, ceil_mode=False, count_include_pad=True, affine=False, activation="none")
    return pool([y], {}, options | f["pool"], out_shape)


def pool_chain(data, p, f, out_shape):
    t = total = data[0]
    for k in range(1, f["stages"] + 1):
        t = p["weight"][k][:, None, None] * F.max_pool2d(t, f["kernel"], 1, f["kernel"] // 2)
        total = total + t
    return activate(p["weight"][0][:, None, None] * total, f["activation"])


def box_mean(x, radius):  # (H, W), direct sums over windows clipped at the borders
    h, w = x.shape
    return np.array([[x[max(i - radius, 0):i + radius + 1, max(j - radius, 0):j + radius + 1].mean() for j in range(w)] for i in range(h)])


def box_filter(data, p, f, out_shape):
    return torch.from_numpy(np.stack([[box_mean(c, f["radius"]) for c in image] for image in data[0].numpy()]))


def guided_filter(data, p, f, out_shape):
    def mean(z):
        return box_mean(z, f["radius"])

    signal, guide, full = (x.numpy() for x in data)
    A, b = np.empty_like(signal), np.empty_like(signal)
    for n in range(signal.shape[0]):
        for c in range(signal.shape[1]):
            x, y = guide[n, 0], signal[n, c]
            A[n, c] = (mean(x * y) - mean(x) * mean(y)) / (mean(x * x) - mean(x) ** 2 + single(f["eps"]))
            b[n, c] = mean(y) - A[n, c] * mean(x)

    def up(z):
        return F.interpolate(torch.from_numpy(z), size=full.shape[2:], mode="bilinear", align_corners=True)

    return up(A) * data[2] + up(b)


def disparity_to_depth(data, p, f, out_shape):
    near, far = 1 / single(f["min_depth"]), 1 / single(f["max_depth"])  # disparities
    return 1 / (far + (near - far) * data[0])


OPS = {
    "Conv2d": conv2d, "ConvTranspose2d": conv_transpose2d, "Linear": linear, "BatchNorm": batch_norm, "Pool": pool, "ConvPool": conv_pool, "PoolChain": pool_chain,
    "BoxFilter": box_filter, "GuidedFilter": guided_filter, "DisparityToDepth": disparity_to_depth, "Preprocess": lambda data, p, f, out: normalise(data[0], f),
    "ChannelGate": channel_gate, "InvertedResidual": inverted_residual,
    "Activation": lambda data, p, f, out: activate(data[0], f),
    "GlobalMean": lambda data, p, f, out: F.adaptive_avg_pool2d(data[0], 1),
    "Add": lambda data, p, f, out: activate(sum(data), f["activation"]),
    "Multiply": lambda data, p, f, out: activate(data[0] * data[1], f["activation"]),
    "Affine": lambda data, p, f, out: single(f["scale"]) * data[0] + single(f["shift"]),
    "Concat": lambda data, p, f, out: torch.cat(data, 1),
    "Resize": lambda data, p, f, out: resize(data[0], **f),
    "PixelShuffle": lambda data, p, f, out: F.pixel_shuffle(data[0], f["factor"]),
    "Pad": lambda data, p, f, out: pad(data[0], f["padding"], f["mode"]),
    "Slice": lambda data, p, f, out: data[0].narrow(f["axis"], f["begin"], f["count"]),
    "Reshape": lambda data, p, f, out: data[0].reshape(-1, f["c"], f["h"], f["w"]),
}


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def step_of(shape):
    """The distance of the elements kept: 1 for small outputs, else one that walks through all rows, columns and channels."""
    count = int(np.prod(shape))
    step = -(-count // MOST_ELEMENTS)
    while step > 1 and any(np.gcd(step, extent) > 1 for extent in shape):
        step += 1
    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", help="the test program")
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cases.jsonl")
        subprocess.run([args.tests, "[.print_cases]"], env={**os.environ, "FATHOM_CASES": path}, check=True, stdout=subprocess.DEVNULL)
        with open(path) as file:
            lines = file.read().splitlines()
    torch.set_num_threads(1)
    tensors, metadata = {}, {}
    for line in lines:
        case = json.loads(line)
        data, parameters = inputs_of(case)
        y = OPS[case["op"]](data, parameters, case["fields"], case["out"])
        if list(y.shape) != case["out"]:
            sys.exit(f"{case['name']}: PyTorch gives {tuple(y.shape)}, the shape rule {tuple(case['out'])}")
        step = step_of(case["out"])
        tensors[case["name"]] = y.contiguous().numpy().astype(np.float32).reshape(-1)[::step].copy()
        metadata[case["name"]] = f"{fnv1a64(line):016x} {step}"
    safetensors_io.write(args.output, tensors, metadata)
    print(f"{len(tensors)} cases, {sum(t.size for t in tensors.values())} numbers, {os.path.getsize(args.output)} bytes")


if __name__ == "__main__":
    main()
