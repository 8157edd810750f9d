"""graph_to_torch.py: every op against its formula written in NumPy, and against the list of ops in engine/ops.hpp."""

import inspect
import os
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "weights_tools"))

import needs

try:
    import numpy as np
    import torch
except ImportError as error:
    needs.lacking(error, "graph_to_torch.py needs PyTorch")

import graph_to_torch
import synthetic


def numbers(name, *shape):
    return synthetic.uniform(name, int(np.prod(shape))).reshape(shape).astype(np.float32)


def run(nodes, data, weights={}, outputs=None):
    """The outputs of a graph of these nodes on float inputs a, b, c, ..."""
    names = "abcdef"[: len(data)]
    graph = {
        "version": 1,
        "inputs": [{"name": name} for name in names],
        "nodes": nodes,
        "outputs": [{"name": value, "value": value} for value in outputs or [nodes[-1]["out"][0]]],
    }
    with torch.no_grad():
        module = graph_to_torch.GraphModule(graph, weights)
        return [y.numpy() for y in module(*[torch.from_numpy(x.copy()) for x in data])]


def one(op, data, weights={}, **fields):
    node = {
        "op": op,
        "name": "n",
        "in": list("abcdef"[: len(data)]),
        "out": ["y"],
        **{key: key for key in weights},
        **fields,
    }
    return run([node], data, weights)[0]


def convolution(x, w, bias=None, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    top, left, bottom, right = padding
    x = np.pad(x.astype(float), ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, o, kh, kw = x.shape[0], *[w.shape[k] for k in (0, 2, 3)]
    h = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    v = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, h, v))
    per_group, out_group = w.shape[1], o // groups
    for g in range(groups):
        for a in range(kh):
            for b in range(kw):
                part = x[:, g * per_group : (g + 1) * per_group, a * dilation[0] :, b * dilation[1] :][
                    :, :, :: stride[0], :: stride[1]
                ][:, :, :h, :v]
                y[:, g * out_group : (g + 1) * out_group] += np.einsum(
                    "nchw,oc->nohw", part, w[g * out_group : (g + 1) * out_group, :, a, b]
                )
    return y + (0 if bias is None else bias[:, None, None])


def box(x, radius):
    y = np.empty(x.shape)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            y[:, :, i, j] = x[:, :, max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1].mean(
                (2, 3)
            )
    return y


def bilinear(x, height, width, align_corners):
    def lines(size, target):
        position = (
            np.arange(target) * ((size - 1) / max(target - 1, 1))
            if align_corners
            else np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, None)
        )
        low = np.minimum(position.astype(int), size - 1)
        return low, np.minimum(low + 1, size - 1), position - low

    (top, bottom, v), (left, right, u) = lines(x.shape[2], height), lines(x.shape[3], width)
    rows = x[:, :, top] * (1 - v)[:, None] + x[:, :, bottom] * v[:, None]
    return rows[:, :, :, left] * (1 - u) + rows[:, :, :, right] * u


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x < 0, 0.2 * x, x),
    "elu": lambda x: np.where(x < 0, 0.2 * np.expm1(x), x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


class Ops(unittest.TestCase):
    def near(self, y, expected):
        self.assertEqual(y.shape, expected.shape)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)

    def test_convolution(self):
        x, bias = numbers("x", 2, 6, 9, 11), numbers("bias", 4)
        for weight, fields in (
            (numbers("w", 4, 6, 3, 5), dict(stride=[2, 1], padding=[1, 2], dilation=[1, 2])),
            (numbers("w", 4, 3, 3, 3), dict(groups=2, padding=[0, 1, 2, 0])),
            (numbers("w", 4, 6, 1, 1), dict(stride=3)),
        ):
            expected = convolution(
                x,
                weight,
                bias,
                graph_to_torch.pair(fields.get("stride", 1)),
                graph_to_torch.four(fields.get("padding", 0)),
                graph_to_torch.pair(fields.get("dilation", 1)),
                fields.get("groups", 1),
            )
            self.near(one("Conv2d", [x], {"weight": weight, "bias": bias}, **fields), expected)

    def test_fused_convolution(self):
        """Two sources, one of them enlarged and reflected, a gate, a residual and an activation."""
        small, skip, gate, residual = (
            numbers("s", 1, 2, 3, 4),
            numbers("k", 1, 3, 6, 8),
            numbers("g", 1, 5, 1, 1),
            numbers("r", 1, 4, 6, 8),
        )
        weight = numbers("w", 4, 5, 3, 3)
        sources = [{"resize": {"mode": "nearest", "scale": 2}, "pad_mode": "reflect"}, {"pad_mode": "replicate"}]
        y = one(
            "Conv2d",
            [small, skip, gate, residual],
            {"weight": weight},
            padding=1,
            sources=sources,
            gate=True,
            residual=True,
            activation={"kind": "elu", "alpha": 0.2},
        )
        around = ((0, 0), (0, 0), (1, 1), (1, 1))
        inputs = np.concatenate(
            [np.pad(small.repeat(2, 2).repeat(2, 3), around, "reflect"), np.pad(skip, around, "edge")], 1
        )
        self.near(y, ACTIVATIONS["elu"](convolution(inputs * gate, weight) + residual))

    def test_end_of_a_convolution(self):
        """A residual behind the activation, scale and shift, the reciprocal, a crop."""
        x, weight, residual = numbers("x", 1, 2, 5, 6), numbers("w", 3, 2, 3, 3), numbers("r", 1, 3, 5, 6)
        product = convolution(x, weight, padding=(1, 1, 1, 1))
        fields = dict(padding=1, activation="sigmoid", residual_last=True, residual=True)
        y = one("Conv2d", [x, residual], {"weight": weight}, crop=[1, 2], **fields)
        self.near(y, (ACTIVATIONS["sigmoid"](product) + residual)[:, :, :4, :4])
        result = dict(result={"scale": 3, "shift": 0.5}, reciprocal=True)
        y = one("Conv2d", [x], {"weight": weight}, padding=1, activation="sigmoid", **result)
        self.near(y, 1 / (3 * ACTIVATIONS["sigmoid"](product) + 0.5))

    def test_transposed_convolution(self):
        x, weight, bias = numbers("x", 2, 4, 3, 5), numbers("w", 4, 3, 3, 2), numbers("b", 6)
        fields = dict(stride=[2, 3], padding=1, output_padding=[1, 0], groups=2, dilation=[1, 2])
        y = one("ConvTranspose2d", [x], {"weight": weight, "bias": bias}, activation="relu", **fields)
        whole = np.zeros((2, 6, (3 - 1) * 2 + 2 + 1 + 1, (5 - 1) * 3 + 2 + 1))
        for g in range(2):
            for i in range(3):
                for j in range(5):
                    for a in range(3):
                        for b in range(2):
                            whole[:, 3 * g : 3 * g + 3, 2 * i + a, 3 * j + 2 * b] += (
                                x[:, 2 * g : 2 * g + 2, i, j] @ weight[2 * g : 2 * g + 2, :, a, b]
                            )
        self.near(y, np.maximum(whole[:, :, 1:-1, 1:-1] + bias[:, None, None], 0))

    def test_linear_and_norm(self):
        x, weight, bias = numbers("x", 3, 5, 1, 1), numbers("w", 4, 5), numbers("b", 4)
        expected = (x[:, :, 0, 0] @ weight.T + bias)[:, :, None, None]
        self.near(one("Linear", [x], {"weight": weight, "bias": bias}), expected)
        self.near(
            one("Linear", [x], {"weight": weight[:, :, None, None]}, activation="sigmoid"),
            ACTIVATIONS["sigmoid"](expected - bias[:, None, None]),
        )
        x, weight, bias, mean, var = (
            numbers("x", 2, 4, 3, 3),
            numbers("w", 4),
            bias,
            numbers("m", 4),
            1 + numbers("v", 4) / 2,
        )
        column = lambda v: v[:, None, None]  # noqa: E731
        expected = (x - column(mean)) / np.sqrt(column(var) + 0.001) * column(weight) + column(bias)
        norm = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
        self.near(one("BatchNorm", [x], norm, eps=0.001), expected)
        self.near(one("BatchNorm", [x], norm, eps=0.001, activation="relu"), np.maximum(expected, 0))

    def test_activations(self):
        x = 8 * numbers("x", 1, 2, 7, 9)
        for kind, formula in ACTIVATIONS.items():
            self.near(one("Activation", [x], kind=kind, alpha=0.2), formula(x))

    def test_pools(self):
        x = numbers("x", 1, 2, 7, 8)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        self.near(one("Pool", [x], kind="max", kernel=3, padding=[1, 0, 0, 1]), windows.max((4, 5)))
        self.assertEqual(one("Pool", [x], kind="max", kernel=3, stride=2, ceil_mode=True).shape, (1, 2, 3, 4))
        self.near(one("Pool", [x], kind="average", kernel=3, padding=1, count_include_pad=False), box(x, 1))
        w, b = numbers("w", 2), numbers("b", 2)
        fields = dict(kind="average", kernel=3, padding=1, count_include_pad=False, affine=True, activation="relu")
        scaled = one("Pool", [x], {"weight": w, "bias": b}, **fields)
        self.near(scaled, np.maximum(w[:, None, None] * box(x, 1) + b[:, None, None], 0))
        self.near(one("GlobalMean", [x]), x.mean((2, 3), keepdims=True))

    def test_chained_pools(self):
        x, w = numbers("x", 1, 2, 5, 6), numbers("w", 3, 2)

        def stage(t, factor):
            padded = np.pad(t, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
            return factor[:, None, None] * np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3)).max((4, 5))

        first = stage(x, w[1])
        y = one("PoolChain", [x], {"weight": w}, kernel=3, stages=2, activation="relu")
        self.near(y, np.maximum(w[0][:, None, None] * (x + first + stage(first, w[2])), 0))

    def test_convolutions_that_are_pooled(self):
        x, w, b = numbers("x", 2, 3, 9, 8), numbers("w", 4, 3, 3, 3), numbers("b", 4)
        conv = one("Conv2d", [x], {"weight": w, "bias": b}, stride=[1, 2], padding=1, activation="relu")
        windows = dict(kernel=3, stride=2, padding=1)
        y = one("ConvPool", [x], {"weight": w, "bias": b}, stride=[1, 2], padding=1, activation="relu", pool=windows)
        self.near(y, one("Pool", [conv], **windows))

    def test_inverted_residuals(self):
        x = numbers("x", 1, 3, 5, 6)
        expand, narrow, project = numbers("e", 4, 3, 1, 1), numbers("d", 4, 1, 3, 3), numbers("p", 3, 4, 1, 1)
        each, few = numbers("b", 4), numbers("c", 3)
        column = lambda v: v[:, None, None]  # noqa: E731

        def depthwise(x):
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
            return np.maximum(np.einsum("nchwij,cij->nchw", windows, narrow[:, 0]) + column(each), 0)

        wide = np.maximum(np.einsum("nchw,oc->nohw", x, expand[:, :, 0, 0]) + column(each), 0)
        y = np.einsum("nchw,oc->nohw", depthwise(wide), project[:, :, 0, 0]) + column(few) + x
        weights = {"expand_weight": expand, "expand_bias": each, "weight": narrow, "bias": each}
        whole = weights | {"project_weight": project, "project_bias": few}
        relu = dict(padding=1, expand_activation="relu", depth_activation="relu")
        self.near(one("InvertedResidual", [x], whole, residual=True, **relu), y)
        self.near(one("InvertedResidual", [x], weights, project=False, **relu), depthwise(wide))

    def test_arithmetic(self):
        a, b = numbers("a", 2, 3, 4, 5), numbers("b", 2, 3, 4, 5)
        self.near(one("Add", [a, b], activation="relu"), np.maximum(a + b, 0))
        self.near(one("Add", [a, b, a]), 2 * a + b)
        self.near(one("Multiply", [a, b[:, :, :1, :1]]), a * b[:, :, :1, :1])
        self.near(one("Multiply", [a, b[:, :1]], activation="sigmoid"), ACTIVATIONS["sigmoid"](a * b[:, :1]))
        self.near(one("Affine", [a], scale=0.01, shift=-2), 0.01 * a - 2)
        self.near(one("Concat", [a, b, a]), np.concatenate([a, b, a], 1))
        self.near(one("DisparityToDepth", [abs(a)], min_depth=0.5, max_depth=20), 1 / (1 / 20 + (2 - 1 / 20) * abs(a)))

    def test_shapes(self):
        x = numbers("x", 2, 12, 4, 5)
        shuffled = x.reshape(2, 3, 2, 2, 4, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 8, 10)
        self.near(one("PixelShuffle", [x], factor=2), shuffled)
        self.near(one("Slice", [x], axis=3, begin=1, count=3), x[:, :, :, 1:4])
        self.near(one("Reshape", [x], c=4, h=3, w=20), x.reshape(2, 4, 3, 20))
        for mode, other in (("zeros", "constant"), ("reflect", "reflect"), ("replicate", "edge")):
            self.near(
                one("Pad", [x], padding=[2, 1, 0, 3], mode=mode), np.pad(x, ((0, 0), (0, 0), (2, 0), (1, 3)), other)
            )

    def test_resizes(self):
        x = numbers("x", 1, 2, 5, 7)
        self.near(one("Resize", [x], mode="none"), x)
        self.near(one("Resize", [x], mode="nearest", scale=[2, 3]), x.repeat(2, 2).repeat(3, 3))
        self.near(
            one("Resize", [x], mode="nearest", size=[3, 9]),
            x[:, :, np.arange(3) * 5 // 3][:, :, :, np.arange(9) * 7 // 9],
        )
        for align_corners in (False, True):
            for height, width in ((10, 14), (3, 9), (1, 20)):
                self.near(
                    one("Resize", [x], mode="bilinear", size=[height, width], align_corners=align_corners),
                    bilinear(x, height, width, align_corners),
                )

    def test_filters(self):
        y, x, full = numbers("y", 1, 2, 6, 7), numbers("x", 1, 1, 6, 7), numbers("X", 1, 1, 12, 15)
        self.near(one("BoxFilter", [y], radius=2), box(y, 2))
        slope = (box(y * x, 2) - box(y, 2) * box(x, 2)) / (box(x * x, 2) - box(x, 2) ** 2 + 0.01)
        offset = box(y, 2) - slope * box(x, 2)
        expected = bilinear(slope, 12, 15, True) * full + bilinear(offset, 12, 15, True)
        np.testing.assert_allclose(
            one("GuidedFilter", [y, x, full], radius=2, eps=0.01), expected, rtol=1e-3, atol=1e-4
        )

    def test_photograph(self):
        image = synthetic.image(4, 6)
        expected = ((image / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]).transpose(2, 0, 1)[None]
        node = {
            "op": "Preprocess",
            "name": "n",
            "in": ["a"],
            "out": ["y"],
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.3, 0.4],
        }
        self.near(run([node], [graph_to_torch.as_image(image).numpy()])[0], expected)
        graph = {
            "inputs": [{"name": "image", "dtype": "u8", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}],
            "nodes": [{"op": "Affine", "name": "n", "in": ["image"], "out": ["y"]}],
            "outputs": [{"name": "y", "value": "y"}],
        }
        self.near(graph_to_torch.GraphModule(graph, {})(graph_to_torch.as_image(image))[0].numpy(), expected)
        graph["inputs"] = [{"name": "image", "dtype": "u8"}]
        self.near(
            graph_to_torch.GraphModule(graph, {})(graph_to_torch.as_image(image))[0].numpy(),
            (image / 255).transpose(2, 0, 1)[None],
        )


class Graphs(unittest.TestCase):
    def test_in_place_only_where_nothing_else_reads(self):
        x = numbers("x", 1, 2, 3, 3)
        nodes = [
            {"op": "Affine", "name": "y", "in": ["a"], "out": ["y"], "scale": 2},
            {"op": "Activation", "name": "z", "in": ["y"], "out": ["z"], "kind": "relu"},
            {"op": "Add", "name": "s", "in": ["y", "z"], "out": ["s"]},
            {"op": "Activation", "name": "input", "in": ["a"], "out": ["i"], "kind": "relu"},
        ]
        y, z, s, i = run(nodes, [x], outputs=["y", "z", "s", "i"])
        np.testing.assert_array_equal(y, 2 * x)
        np.testing.assert_array_equal(z, np.maximum(y, 0))
        np.testing.assert_array_equal(s, y + z)
        part = [
            {"op": "Slice", "name": "p", "in": ["a"], "out": ["p"], "axis": 1, "begin": 0, "count": 1},
            {"op": "Activation", "name": "z", "in": ["p"], "out": ["z"], "kind": "relu"},
            {"op": "Affine", "name": "y", "in": ["a"], "out": ["y"]},
        ]
        np.testing.assert_array_equal(run(part, [x])[0], x)  # the slice is a view of the input, which is read again

    def test_keep_outputs_drops_what_only_others_need(self):
        nodes = [{"op": "Affine", "name": n, "in": [i], "out": [n]} for n, i in (("x", "a"), ("y", "x"), ("z", "x"))]
        graph = {
            "inputs": [],
            "nodes": nodes,
            "outputs": [{"name": "first", "value": "y"}, {"name": "second", "value": "z"}],
        }
        kept = graph_to_torch.keep_outputs(graph, ["first"])
        self.assertEqual([node["name"] for node in kept["nodes"]], ["x", "y"])
        self.assertEqual(len(graph["nodes"]), 3)

    def test_errors_name_the_node(self):
        for node, words in (
            ({"op": "Conv3d"}, "unknown op 'Conv3d'"),
            ({"op": "Conv2d", "weight": "lost"}, "no 'lost'"),
            ({"op": "Resize", "modus": "nearest"}, "modus"),
        ):
            with self.assertRaisesRegex(graph_to_torch.GraphError, "node 'n'.*" + words):
                run([{"name": "n", "in": ["a"], "out": ["y"], **node}], [numbers("x", 1, 1, 2, 2)])

    def test_a_gate_of_means_is_a_second_output_too(self):
        x, other, third = numbers("x", 2, 3, 5, 6), numbers("o", 2, 4, 1, 1), numbers("t", 2, 1, 1, 1)
        gate = {"squeeze_weight": numbers("s", 2, 10), "squeeze_bias": numbers("sb", 2)}
        gate |= {"excite_weight": numbers("e", 7, 2), "excite_bias": numbers("eb", 7)}
        excitation = {"maps": 3, "place": 1, "bias": True, "squeeze_activation": "relu", "activation": "sigmoid"}
        conv = {"weight": numbers("w", 5, 3, 3, 3)}
        narrow = {"weight": numbers("d", 3, 1, 3, 3), "bias": numbers("b", 3)} | {
            "project_weight": numbers("p", 5, 3, 1, 1), "project_bias": numbers("pb", 5)
        }
        for op, weights, fields in (("Conv2d", conv, {}), ("InvertedResidual", narrow, {"expand": False})):
            weights, fields = weights | gate, fields | {"padding": 1, "mean": True, "excitation": excitation}
            node = {"op": op, "name": "n", "in": ["a", "b", "c"], "out": ["y", "g"], **{k: k for k in weights}, **fields}
            y, g = run([node], [x, other, third], weights, ["y", "g"])
            means = [other, y.mean((2, 3), keepdims=True), third]
            apart = {key.replace("squeeze_", ""): value for key, value in gate.items()}
            wanted = one("ChannelGate", means, apart, squeeze_activation="relu", activation="sigmoid")
            np.testing.assert_allclose(g, wanted, rtol=1e-5, atol=1e-6)

    def test_a_convolutions_mean_is_its_second_output(self):
        node = {"op": "Conv2d", "name": "n", "in": ["a"], "out": ["y", "m"], "weight": "w", "padding": 1, "mean": True}
        y, m = run([node], [numbers("x", 2, 3, 4, 5)], {"w": numbers("w", 6, 3, 3, 3)}, ["y", "m"])
        self.assertEqual(m.shape, (2, 6, 1, 1))
        np.testing.assert_allclose(m[:, :, 0, 0], y.mean((2, 3)), rtol=1e-5, atol=1e-6)

    def test_every_op_and_field_of_the_engine(self):
        with open(os.path.join(ROOT, "engine", "ops.hpp"), encoding="utf-8") as file:
            text = file.read()
        variant = re.search(r"using Op = std::variant<([^>]*)>", text).group(1)
        ops = re.findall(r"\w+", variant)
        self.assertEqual(sorted(ops), sorted(graph_to_torch.OPS))
        for op in ops:
            struct = re.search(rf"\nstruct {op} \{{.*?\n\}};", text, re.S).group(0)
            fields = set(re.findall(r'f\("(\w+)"', struct))
            accepted = (
                {"mode", "scale", "size", "align_corners"}
                if op == "Resize"
                else set(list(inspect.signature(graph_to_torch.OPS[op]).parameters)[2:])
            )
            self.assertEqual(fields, accepted, op)


if __name__ == "__main__":
    unittest.main()
