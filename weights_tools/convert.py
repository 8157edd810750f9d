#!/usr/bin/env python3
"""Turns PyTorch checkpoints into one Fathom model file.

    convert.py --architecture hr_depth encoder.pth depth.pth -o hr_depth.safetensors
    convert.py --graph net.json encoder.pth depth.pth -o net.safetensors

With --graph a checkpoint's keys get its file's name as prefix (encoder.pth: "encoder."), and those that the graph names
are taken. PART=FILE says another prefix. Only NumPy is needed; nothing in a checkpoint is executed (see checkpoint.py).
"""

import argparse
import json
import os
import sys

import numpy as np

import checkpoint
import families
import safetensors_io

CONFIG_KEYS = (
    "input_width",
    "input_height",
    "resize",
    "crop_width",
    "crop_height",
    "mean",
    "std",
    "output",
    "unit",
    "scale",
    "min_depth",
    "max_depth",
    "absolute",
    "treatment",
    "output_resize",
)
WRAPPERS = ("state_dict", "model_state_dict", "model")
PARAMETERS = ("weight", "bias", "running_mean", "running_var")


class Problem(Exception):
    """One sentence for the user."""


class Source:
    """A checkpoint file: its parameters by official key, and the settings that stand beside them."""

    def __init__(self, argument):
        part, separator, path = argument.partition("=")
        if not separator or os.path.exists(argument):
            part, path = None, argument
        self.path, self.part = path, part
        self.stem = os.path.splitext(os.path.basename(path))[0]
        try:
            contents = safetensors_io.read(path)[0] if path.endswith(".safetensors") else checkpoint.load(path)
        except OSError as error:
            raise Problem(f"cannot read {path}: {error.strerror or error}") from None
        except ValueError as error:
            raise Problem(f"{path} {error}") from None
        for wrapper in WRAPPERS:
            if isinstance(contents.get(wrapper), dict):
                contents = contents[wrapper]
        tensors = {key: value for key, value in contents.items() if isinstance(value, np.ndarray)}
        if not tensors:
            raise Problem(f"{path} holds no parameters")
        if all(str(key).startswith("module.") for key in tensors):  # saved from DataParallel
            tensors = {key[len("module.") :]: value for key, value in tensors.items()}
        self.tensors = tensors
        self.settings = {key: value for key, value in contents.items() if isinstance(value, (int, bool))}


def listing(names, limit=8):
    names = sorted(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


class Collection:
    """The parameters of a model file as they come together."""

    def __init__(self):
        self.tensors, self.origin, self.left_out = {}, {}, []

    def add(self, name, array, path):
        if name in self.tensors:
            raise Problem(f"both {self.origin[name]} and {path} hold {name}: give one of them")
        self.tensors[name], self.origin[name] = array, path


def drop_second_names(source):
    """HR-Depth registers each decoder layer as convs.NAME and as decoder.NUMBER: the second copy goes if it is one."""
    named = {(value.shape, value.tobytes()) for key, value in source.tensors.items() if key.startswith("convs.")}
    second = [key for key in source.tensors if key.startswith("decoder.")] if named else []
    different = [key for key in second if (source.tensors[key].shape, source.tensors[key].tobytes()) not in named]
    if different:
        raise Problem(
            f"{source.path} holds convs.* and, under other names, values that differ from them: {listing(different)}"
        )
    for key in second:
        del source.tensors[key]
    return second


def collect_architecture(name, sources, collection):
    try:
        architecture = families.find(name)
    except ValueError as error:
        raise Problem(str(error)) from None
    for source in sources:
        collection.left_out += drop_second_names(source)
        unknown = []
        for key, array in source.tensors.items():
            try:
                place = f"{source.part}.{key}" if source.part else families.place(architecture, key)
            except KeyError:
                unknown.append(key)
                continue
            if place is None:
                collection.left_out.append(key)
            else:
                collection.add(place, array, source.path)
        if unknown:
            raise Problem(f"{source.path} does not belong to {name}, which has no place for {listing(unknown)}")
    return architecture


def require_parts(name, architecture, collection):
    missing = [need + "*" for need in architecture.needs if not any(key.startswith(need) for key in collection.tensors)]
    if missing:
        raise Problem(
            f"{name} also needs {listing(missing)}, which no given file holds: add the checkpoint that has them, or "
            f"--fill MODEL to take them from a model file (as `fathom_weights synthesize {name}` writes one)"
        )


def graph_names(graph):
    return {node[role] for node in graph["nodes"] for role in PARAMETERS if role in node}


def collect_graph(graph, sources, collection):
    wanted = graph_names(graph)
    for source in sources:
        for key, array in source.tensors.items():
            prefixed = f"{source.part or source.stem}.{key}"
            place = next((name for name in (prefixed, key) if name in wanted), None)
            if place is None:
                collection.left_out.append(prefixed)
            else:
                collection.add(place, array, source.path)
    return wanted


def fill(path, collection, name):
    """Takes what is missing from a complete model file; the checkpoints must agree with it in names and shapes."""
    try:
        tensors, metadata = safetensors_io.read(path)
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise Problem(f"{path} {error}") from None
    if metadata.get("fathom.architecture", name) != name:
        raise Problem(f"{path} is a {metadata['fathom.architecture']}, not a {name}")
    surplus = [key for key in collection.tensors if key not in tensors]
    if surplus:
        raise Problem(f"{path} has no {listing(surplus)}: the checkpoints are of another network")
    for key, array in collection.tensors.items():
        if array.shape != tensors[key].shape:
            raise Problem(
                f"{collection.origin[key]} holds {key} with shape {array.shape}, {path} with {tensors[key].shape}"
            )
    missing = [key for key in tensors if key not in collection.tensors]
    for key in missing:
        collection.add(key, tensors[key], path)
    return missing


def settings_to_config(sources, stereo):
    config = {}
    for source in sources:
        for key, name in (("width", "input_width"), ("height", "input_height")):
            if isinstance(source.settings.get(key), int):
                config[name] = source.settings[key]
        if source.settings.get("use_stereo") is True:
            config.update(stereo)
    return config


def read_json(text, what):
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Problem(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(f"{what} must be a JSON object")
    return value


def read_graph(path):
    try:
        with open(path, encoding="utf-8") as file:
            graph = read_json(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    nodes = graph.get("nodes")
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise Problem(f"{path} has no list of nodes")
    return graph


def stored(name, array, half):
    """What the file holds of an array: float32, or float16 where asked for and the values allow it."""
    if array.dtype.kind != "f":
        raise Problem(f"{name} has elements of type {array.dtype}: parameters are floating-point numbers")
    value = array.astype(np.float32)
    if half and value.ndim > 1:  # vectors stay: they are small, and variances leave float16's range
        with np.errstate(over="ignore"):
            rounded = value.astype(np.float16)
        if np.isfinite(rounded).all() or not np.isfinite(value).all():
            return rounded
    return value


def convert(options):
    config = read_json(options.config, "--config")
    unknown = [key for key in config if key not in CONFIG_KEYS]
    if unknown:
        raise Problem(f"--config does not know {listing(unknown)}; it knows {', '.join(CONFIG_KEYS)}")
    graph = read_graph(options.graph) if options.graph else None
    if options.architecture:
        try:
            families.find(options.architecture)  # before the files are read
        except ValueError as error:
            raise Problem(str(error)) from None
    sources = [Source(argument) for argument in options.checkpoints]
    collection, filled, metadata, stereo = Collection(), [], {}, {}
    if graph is not None:
        missing = collect_graph(graph, sources, collection) - set(collection.tensors)
        if missing:
            raise Problem(f"the graph names parameters that no given file holds: {listing(missing)}")
        metadata["fathom.graph"] = json.dumps(graph, separators=(",", ":"))
    else:
        architecture = collect_architecture(options.architecture, sources, collection)
        if options.fill:
            filled = fill(options.fill, collection, options.architecture)
        require_parts(options.architecture, architecture, collection)
        metadata["fathom.architecture"], stereo = options.architecture, architecture.stereo
    config = {**settings_to_config(sources, stereo), **config}
    if config:
        metadata["fathom.config"] = json.dumps(config, separators=(",", ":"), sort_keys=True)

    tensors = {name: stored(name, array, options.half) for name, array in collection.tensors.items()}
    try:
        safetensors_io.write(options.output, tensors, metadata)
    except OSError as error:
        raise Problem(f"cannot write {options.output}: {error.strerror or error}") from None
    values = sum(array.size for array in tensors.values())
    notes = [
        f"{options.architecture or 'graph'}, {len(tensors)} tensors, {values:,} values, "
        f"{os.path.getsize(options.output):,} bytes"
    ]
    if filled:
        notes.append(f"{len(filled)} tensors from {options.fill}: {listing(filled, 3)}")
    if collection.left_out:
        notes.append(f"left out {len(collection.left_out)} that nothing reads: {listing(collection.left_out, 3)}")
    broken = [name for name, array in tensors.items() if not np.isfinite(array).all()]
    if broken:
        notes.append(f"not finite: {listing(broken)}")
    print(f"{options.output}: " + "; ".join(notes), file=sys.stderr)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "checkpoints", nargs="+", metavar="[PART=]FILE", help="checkpoints (.pth, .pt, .tar, .safetensors)"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the model file to write")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--architecture", metavar="NAME", help="a network that Fathom knows (fathom_weights list)")
    kind.add_argument("--graph", metavar="FILE", help="a network described as a graph, in JSON")
    parser.add_argument(
        "--config", default="{}", metavar="JSON", help="what else the file says: '{\"input_width\": 640, ...}'"
    )
    parser.add_argument(
        "--fill", metavar="MODEL", help="take the parameters that the checkpoints do not hold from this model file"
    )
    parser.add_argument("--half", action="store_true", help="store matrices and kernels in 16 bits")
    options = parser.parse_args(arguments)
    if options.fill and options.graph:
        parser.error("--fill goes with --architecture")
    try:
        convert(options)
    except Problem as problem:
        print(f"convert.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
