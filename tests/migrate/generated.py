"""Random valid configurations, drawn from the rows: every section, refs, alternatives, own components."""

from hypothesis import strategies as st

from monai_auxops.migrate.rules import OMIT, REQUIRED, RULES, Section, kinds
from tests.migrate.conftest import IMAGES, component, pipeline

BY_NAME = {
    "fields": IMAGES,
    "field": "image",
    "image_field": "image",
    "label_field": "label",
    "size": [32, 32, 32],
    "roi_size": [32, 32, 32],
    "target_shape": [32, 32, 32],
    "lower_size": [16, 16, 16],
    "num_classes": 3,
    "nf_enc": "8,16",
    "blocks_down": "1,1",
    "blocks_up": "1",
    "init_filters": 8,
    "tags": ["dice", "dice_a", "dice_b", "dice_c"],
    "write_path": "{MMAR_EVAL_OUTPUT_PATH}",
}
PARAMETRIC = {kinds.flag: st.booleans(), kinds.number: st.sampled_from([0.1, 0.5, 1.0]), kinds.integer: st.just(2)}
PARAMETRIC |= {kinds.numbers: st.just([1.0, 1.0, 1.0]), kinds.integers: st.just([16, 16, 16])}
PARAMETRIC |= {kinds.text: st.just("name"), kinds.texts: st.just(["a", "b"]), kinds.channels: st.just(3)}
NO_TRAINING = {"SaveAsNifti", "RestoreOriginalShape", "ProcessMulticlassPreds", "SplitAcrossChannels"}
LOADS = {"LoadNifti", "LoadPng", "LoadJpg", "LoadImageMasksFromNumpy"}


@st.composite
def components(draw, rule):
    """Draw an occurrence of a row: what Clara insists on, and some of the rest."""
    args = {}
    for param in rule.params:
        value = draw(values(param))
        if value is not OMIT and (param.default is REQUIRED or draw(st.booleans())):
            args[param.name] = value
    return component(draw(st.sampled_from([rule.name, *rule.also])), **args)


def values(param):
    """Return a strategy for one argument; OMIT leaves it out."""
    if param.name in BY_NAME:
        return st.just(BY_NAME[param.name])
    return PARAMETRIC.get(param.kind, st.just(OMIT))


def rows(section, without=frozenset()):
    return [rule for rule in RULES if rule.section is section and rule.name not in without]


def one(section):
    return st.sampled_from(rows(section)).flatmap(components)


OWN_NETWORK = {"path": "nets.SegResnet", "args": {"num_classes": 3, "final_activation": "softmax", "depth": 7}}
OWN_LOSS = {"path": "my.losses.Dice", "args": {"beta": 0.3}}


@st.composite
def configurations(draw):
    """Draw a training configuration."""
    transforms = draw(st.lists(st.sampled_from(rows(Section.TRANSFORM, NO_TRAINING | LOADS)), max_size=4))
    load = draw(st.sampled_from([["LoadNifti", "ConvertToChannelsFirst"], ["LoadPng", "ConvertToChannelsLast"]]))
    pre = [*(component(name, fields=IMAGES) for name in load), *(draw(components(rule)) for rule in transforms)]
    losses = draw(st.lists(st.one_of(one(Section.LOSS), st.just(OWN_LOSS)), min_size=1, max_size=2))
    tag = component("DiceMaskedOutput", tags=BY_NAME["tags"])
    return {
        "epochs": draw(st.integers(1, 9)),
        "num_training_epoch_per_valid": 1,
        "learning_rate": draw(st.sampled_from([1e-4, "1e-3"])),
        "multi_gpu": draw(st.booleans()),
        "train": {
            "loss": losses[0] if len(losses) == 1 else losses,
            "optimizer": draw(one(Section.OPTIMIZER)),
            "lr_policy": draw(one(Section.LR_POLICY)),
            "model": draw(st.one_of(one(Section.MODEL), st.just(OWN_NETWORK))),
            "pre_transforms": pre,
            "aux_ops": [tag, draw(one(Section.AUX_OP))],
            "image_pipeline": pipeline("training"),
        },
        "validate": {
            "metrics": [component("ComputeAverage", name="mean_dice", field="dice", is_key_metric=True)],
            "pre_transforms": [{"ref": load[0]}, {"ref": load[1]}],
            "image_pipeline": pipeline("validation"),
            "inferer": draw(one(Section.INFERER)),
        },
    }
