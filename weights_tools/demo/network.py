"""A network of Fathom as a PyTorch module that can be trained: the graph that `fathom_weights export` prints.

The parameters carry the keys of the model file, so that nothing is renamed on the way back. Batch norm normalises by
the batch while training and keeps running statistics, until they are frozen.
"""

import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import graph_to_torch  # noqa: E402

MOMENTUM = 0.05


def batch_norm(p, x, eps=1e-5, activation="none"):
    y = F.batch_norm(x[0], p.running_mean, p.running_var, p.weight, p.bias, p.training, MOMENTUM, eps)
    return graph_to_torch.activate(y, activation)


def linear(p, x, activation="none"):
    """As a 1x1 convolution: oneDNN's is many times faster than a plain BLAS on these few columns."""
    columns = x[0].flatten(1)[:, :, None, None]
    return graph_to_torch.activate(F.conv2d(columns, p.weight.flatten(1)[:, :, None, None], p.bias), activation)


FORMULAS = {"BatchNorm": batch_norm, "Linear": linear}


def initial(key, role, shape, generator):
    """He's normal for kernels, identity for norms, zero for biases."""
    if role in ("running_var",) or (role == "weight" and len(shape) == 1):
        return torch.ones(shape)
    if role in ("running_mean", "bias"):
        return torch.zeros(shape)
    fan_in = math.prod(shape[1:])
    return torch.randn(shape, generator=generator) * math.sqrt(2 / fan_in)


def at_any_size(graph, weights, height, width):
    """The graph with its resizes as whole factors, as they are at the size it was exported for."""
    seen = {}
    module = graph_to_torch.GraphModule(graph, weights)
    for node, made in zip(graph["nodes"], module.nodes):
        if node["op"] == "Resize":
            made.register_forward_hook(lambda _, x, y, name=node["name"]: seen.update({name: (x[0].shape, y.shape)}))
    with torch.no_grad():
        module(torch.zeros(1, 3, height, width))
    nodes = []
    for node in graph["nodes"]:
        if node["op"] == "Resize":
            x, y = seen[node["name"]]
            node = {**{key: value for key, value in node.items() if key != "size"}, "scale": y[2] // x[2]}
            if (x[2] * node["scale"], x[3] * node["scale"]) != tuple(y[2:]):
                raise SystemExit(f"{node['name']} is no whole factor at this size: export the graph at another")
        nodes.append(node)
    return {**graph, "nodes": nodes}


def ending_at(graph, name):
    """The graph with the value of that name as its only output."""
    outputs = [{**graph["outputs"][0], "name": name, "value": name}]
    return graph_to_torch.keep_outputs({**graph, "outputs": outputs}, [name])


class TrainableGraph(graph_to_torch.GraphModule):
    """GraphModule with parameters instead of constants, and `keys` from the module's names to the model file's."""

    def __init__(self, graph, weights, seed=0):
        super().__init__(graph, weights)
        generator = torch.Generator().manual_seed(seed)
        self.keys = {}
        for index, (module, node) in enumerate(zip(self.nodes, graph["nodes"])):
            module.inplace = False  # gradients need what in-place activations overwrite
            module.formula = FORMULAS.get(node["op"], module.formula)
            for role in graph_to_torch.PARAMETERS:
                if role not in node:
                    continue
                self.keys[f"nodes.{index}.{role}"] = node[role]
                value = initial(node[role], role, getattr(module, role).shape, generator)
                if role.startswith("running"):
                    setattr(module, role, value)
                else:
                    delattr(module, role)
                    setattr(module, role, torch.nn.Parameter(value))

    def freeze_norms(self):
        """Batch norms keep their statistics, as they do in use, and training goes on round them."""
        for module in self.nodes:
            if module.formula is batch_norm:
                module.eval()

    def by_key(self):
        """The weights under the model file's keys, float32."""
        state = self.state_dict()
        return {key: state[name].detach().cpu().numpy().astype(np.float32) for name, key in self.keys.items()}
