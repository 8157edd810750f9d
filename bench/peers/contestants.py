"""The ways that PyTorch and ONNX Runtime run a graph: each gives a function of nothing that does one run.

All start from the u8 pictures and compute the primary output. On the CPU: PyTorch eager, TorchScript frozen and
optimized, torch.compile, each in both memory layouts; ONNX Runtime on what torch.onnx exports. On a GPU: PyTorch eager,
the same recorded as a CUDA graph, and torch.compile(max-autotune), which records graphs too, in float32 and in halves;
pictures lie on the device, so many copies of them in turns that its L2 cache holds none (as fathom_bench fps has them).
A recorded graph reads pictures at one place: copying the next ones there is part of what its users wait for, and timed.
"""

import dataclasses
import inspect
import itertools
import os
import warnings

import numpy as np
import torch

import graph_to_torch

try:
    import onnx  # noqa: F401  torch.onnx needs it
    import onnxruntime
except ImportError:
    onnxruntime = None

OPSET = 17
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclasses.dataclass
class Task:
    """What is to be run: a graph of one output, its weights, and pictures, u8 (N, C, H, W) on the host."""

    graph: dict
    weights: dict
    images: list
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 2
    buffers: int = 1  # that the pictures lie in

    def module(self, layout):
        dtype = torch.float16 if self.precision == "fp16" else torch.float32
        module = graph_to_torch.GraphModule(self.graph, self.weights).to(self.device, dtype, memory_format=layout)
        return module, [image.contiguous(memory_format=layout).to(self.device) for image in self.images]

    def turns(self, images):
        """The pictures of one run after another, for ever: the given ones, and copies of them."""
        copies = [[image.clone() for image in images] for _ in range(self.buffers - 1)]
        return itertools.cycle([images, *copies])


def rotation(input_bytes, cache_bytes):
    """How many buffers of inputs are twice a cache; the rule of bench/rotation.cpp."""
    return min(-(-2 * cache_bytes // input_bytes), 1024) if cache_bytes > 0 else 1


def cache_bytes(device):
    """Of a GPU's L2; 0 where PyTorch does not say, and for CPUs, which read the same pictures in every run."""
    return getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0) if device == "cuda" else 0


@dataclasses.dataclass
class Contestant:
    name: str
    kind: str  # eager, compiled
    prepare: object  # Task -> a function of nothing, which gives the output


def eager(layout):
    def prepare(task):
        module, images = task.module(layout)
        turns = task.turns(images)
        return lambda: module(*next(turns))[0]

    return prepare


def recorded(layout):
    """What eager PyTorch enqueues, as a CUDA graph: it replays without Python and without gaps."""

    def prepare(task):
        module, images = task.module(layout)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries choose and set up now: a recording must not
            for _ in range(3):
                module(*images)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = module(*images)[0]
        turns = task.turns([image.clone() for image in images])

        def run():
            for image, given in zip(images, next(turns)):
                image.copy_(given)
            graph.replay()
            return output

        return run

    return prepare


def frozen(layout, optimize):
    def prepare(task):
        module, images = task.module(layout)
        run = torch.jit.freeze(torch.jit.trace(module, tuple(images), check_trace=False))
        run = torch.jit.optimize_for_inference(run) if optimize else run
        return lambda: run(*images)[0]

    return prepare


def compiled(layout, **options):
    def prepare(task):
        torch._dynamo.reset()  # what was compiled for another network is no use
        module, images = task.module(layout)
        run = torch.compile(module, **options)
        turns = task.turns(images)
        return lambda: run(*next(turns))[0]

    return prepare


def onnx_bytes(module, images, names):
    """The module as ONNX. The exporter by tracing: it keeps the sizes fixed, as our plan does."""
    import io

    by_tracing = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(images), file, opset_version=OPSET, input_names=names, output_names=["output"], **by_tracing
        )
    return file.getvalue()


def onnx_runtime(task):
    module, images = task.module(torch.contiguous_format)
    names = [entry["name"] for entry in task.graph["inputs"]]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = task.threads, 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        onnx_bytes(module, images, names), settings, providers=["CPUExecutionProvider"]
    )
    known = {entry.name for entry in session.get_inputs()}
    given = {name: np.ascontiguousarray(image.numpy()) for name, image in zip(names, images) if name in known}
    return lambda: session.run(None, given)[0]


def contestants(device, skip=()):
    """Those that this machine has, in the order of trying, and {name: why} of those it lacks."""
    found, lacking = [], {}
    for name, layout in LAYOUTS.items():
        found.append(Contestant(f"eager {name}", "eager", eager(layout)))
        if device == "cpu":
            found.append(Contestant(f"frozen {name}", "compiled", frozen(layout, optimize=False)))
            found.append(Contestant(f"optimized {name}", "compiled", frozen(layout, optimize=True)))
        else:
            found.append(Contestant(f"graph {name}", "compiled", recorded(layout)))
        if not hasattr(torch, "compile"):
            lacking["compile"] = f"PyTorch {torch.__version__} has no torch.compile"
        elif device == "cpu":
            found.append(Contestant(f"compile {name}", "compiled", compiled(layout)))
        else:
            found.append(Contestant(f"max-autotune {name}", "compiled", compiled(layout, mode="max-autotune")))
    if device == "cpu" and onnxruntime:
        found.append(Contestant("onnxruntime", "compiled", onnx_runtime))
    elif device == "cpu":
        lacking["onnxruntime"] = "Python has no onnx or no onnxruntime"
    for contestant in [c for c in found if any(c.name.startswith(word) for word in skip)]:
        found.remove(contestant)
        lacking[contestant.name] = "left out by --skip"
    return found, lacking


def as_numpy(output):
    return output.float().cpu().numpy() if isinstance(output, torch.Tensor) else output


def loaded(library):
    with open("/proc/self/maps", encoding="utf-8") as file:
        return any(library in line for line in file)


def blas():
    """PyTorch's BLAS; empty where it is the reference one, which is no fair peer."""
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    return "mkl" if torch.backends.mkl.is_available() else "openblas" if loaded("openblas") else ""


def versions():
    return {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__ if onnxruntime else None}


def device_name(device):
    if device == "cuda":
        return torch.cuda.get_device_name()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else os.uname().machine
