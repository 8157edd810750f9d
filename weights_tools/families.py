"""How the keys of official checkpoints become the names of a model file, architecture by architecture.

A model file's names are the official keys behind a part prefix. Each rule is a pattern and what replaces it; the first
rule whose pattern matches a key's beginning decides. Pretrained classifiers (torchvision's, Cadene's) serve as
initialisation: their keys get the encoder's prefix, and their classifier is left out.
"""

import dataclasses
import difflib
import re


def keep(pattern):  # has its prefix already
    return pattern, r"\g<0>"


def under(prefix, pattern):
    return pattern, prefix + r"\g<0>"


def leave_out(pattern):
    return pattern, None


@dataclasses.dataclass
class Architecture:
    rules: list
    needs: list  # beginnings of names that a complete model file has
    stereo: dict = dataclasses.field(default_factory=dict)  # configuration when the checkpoint says use_stereo


CLASSIFIER = leave_out(r"(fc|classifier|last_linear)\.")
BACKBONE = r"(conv1|bn1|layer\d|features)\."  # ResNet, SENet, DenseNet and the MobileNets, as their authors name layers
# A layer that tells a backbone from its smaller relatives.
TELLING = {
    "resnet18": "layer4.1.bn2.",
    "resnet50": "layer3.5.bn3.",
    "resnet152": "layer3.35.bn3.",
    "densenet161": "features.denseblock3.denselayer36.",
    "senet154": "layer2.7.se_module.",
}


def table():
    # Monodepth2 and its descendants. HR-Depth stores every layer of its decoder twice and four that nothing reads.
    dead = leave_out(r"(pose_)?encoder\.encoder\.fc\.|encoder\.fc\.|(depth\.)?convs\.X_0[0-3]_Conv_0\.")
    rules = [
        dead,
        keep(r"encoder\.encoder\.|depth\."),
        under("encoder.", r"encoder\."),
        under("depth.", r"(convs|decoder)\."),
        CLASSIFIER,
        under("encoder.encoder.", BACKBONE),
    ]
    resnet18 = "encoder.encoder." + TELLING["resnet18"]
    for name in ("hr_depth", "hr_depth_ablation_fse", "hr_depth_ablation_dense", "hr_depth_ablation_dense_se"):
        yield name, Architecture(rules, [resnet18, "depth.convs."])
    yield "lite_hr_depth", Architecture(rules, ["encoder.encoder.features.15.", "depth.convs."])
    for backbone in ("resnet18", "resnet50"):  # trained with a baseline of 0.1 where KITTI's is 0.54 m
        yield f"monodepth2_{backbone}", Architecture(
            rules, ["encoder.encoder." + TELLING[backbone], "depth.decoder."], {"unit": "m", "scale": 5.4}
        )
    yield "pose_resnet18", Architecture(
        [dead, keep(r"pose(_encoder)?\."), under("pose_encoder.", r"encoder\."), under("pose.", r"net\.")],
        ["pose_encoder.encoder." + TELLING["resnet18"], "pose.net."],
    )
    yield "pose_cnn", Architecture(
        [keep(r"pose\."), under("pose.", r"(net|pose_conv)\.")], ["pose.net.6.", "pose.pose_conv."]
    )

    for backbone in ("resnet50", "resnet152", "densenet161", "senet154"):
        for variant in ("", "_guided", "_k3", "_k5", "_no_diagonals", "_no_second_branch", "_image0", "_merge"):
            yield f"drnet_{backbone}{variant}", Architecture(
                [
                    leave_out(r"backbone\.(fc|classifier|last_linear)\."),
                    keep(r"(backbone|up1|up2|gf)\."),
                    CLASSIFIER,
                    under("backbone.", BACKBONE),
                ],
                ["backbone." + TELLING[backbone], "up1.", "up2."] + (["gf."] if variant == "_guided" else []),
            )
    # RSIDE keeps SENet's layers in a list: layer2 is E.base.2.
    squeeze = (r"layer(\d)\.", r"E.base.\1.")
    for backbone, initial, telling in (
        ("resnet50", under("E.", BACKBONE), "E." + TELLING["resnet50"]),
        ("densenet161", under("E.", BACKBONE), "E." + TELLING["densenet161"]),
        ("senet154", squeeze, "E.base.2.7.se_module."),
    ):
        yield f"rside_{backbone}", Architecture(
            [leave_out(r"E\.(fc|classifier|last_linear)\."), keep(r"(E|D|MFF|R)\."), CLASSIFIER, initial],
            [telling, "D.", "MFF.", "R."],
        )
    yield "refinenet_mobilenetv2", Architecture(
        [keep(r"(layer[1-8]|conv[3-8]|conv_adapt[234]|crp[1-4]|(pre_)?(depth|segm))\."), leave_out(r"(pre_)?normal\.")],
        ["layer8.", "crp1.", "segm.", "depth."],
    )

    for encoder, last in (("mobilenetv2", "features.18."), ("squeezenet", "features.12.")):
        yield f"umich_{encoder}", Architecture(
            [
                leave_out(r"encoder\.backbone\.classifier\."),
                keep(r"(encoder|decoder)\."),
                CLASSIFIER,
                under("encoder.backbone.", BACKBONE),
            ],
            ["encoder.backbone." + last, "decoder.conv3."],
        )
    # Pretrained MobileNets end in a wider convolution than these encoders do.
    for name in ("cnd_micro", "cnd_mono", "cnd_stereo"):
        for reading in ("", "_plain"):
            yield name + reading, Architecture(
                [
                    keep(r"(encoder|aspp|join|decoder)\."),
                    CLASSIFIER,
                    leave_out(r"features\.18\."),
                    under("encoder.", BACKBONE),
                ],
                ["encoder.features.18.", "aspp.", "decoder."] + (["join."] if name == "cnd_stereo" else []),
            )
    for size in ("1", "2", "3", "4", "4alt"):
        yield f"mobile_baseline_{size}", Architecture(
            [keep(r"(encoder|decoder)\."), CLASSIFIER, leave_out(r"features\.16\."), under("encoder.", BACKBONE)],
            ["encoder.features.15.", "decoder.head."],
        )


ARCHITECTURES = dict(table())


def find(name):
    """Raises ValueError that names what comes close."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    close = difflib.get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.5)
    raise ValueError(
        f"unknown architecture '{name}'"
        + (f" (did you mean {' or '.join(close)}?)" if close else "")
        + ": `fathom_weights list` prints the names"
    )


def place(architecture, key):
    """-> the name in a model file; None where the key is left out; raises KeyError where no rule knows it."""
    if key.endswith("num_batches_tracked"):
        return None
    key = re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key)  # DenseNet before PyTorch 0.4.1
    for pattern, replacement in architecture.rules:
        if re.match(pattern, key):
            return None if replacement is None else re.sub(pattern, replacement, key, count=1)
    raise KeyError(key)
