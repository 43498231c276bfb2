"""The configurations that old MONAI and the migrated bundle both run: published files made small, and own ones."""

import copy
import json
from pathlib import Path

from data import make_pictures, make_volumes

CONFIGS = Path(__file__).parent / "configs"
SIDE = 32
SEED_AGAIN = 3
"""The seed of own cases: it is set again after the network is built, because BasicUNet draws other numbers today."""
IMAGES = ["image", "label"]
PAIR = "#monai.handlers.from_engine(['pred', 'label'])"
LOSS = "#monai.handlers.from_engine(['loss'], first=True)"
OLD_PAIR = "lambda x: (x['pred'], x['label'])"


def small(config):
    """Return a configuration cut down for a processor: small windows, no workers, no shuffling, no mixed precision."""
    config = copy.deepcopy(config)
    config.update({"epochs": 2, "num_interval_per_valid": 1, "amp": False})
    for block in walk(config):
        for key in ("spatial_size", "roi_size"):
            if isinstance(block.get(key), list):
                block[key] = [min(side, SIDE) for side in block[key]]
        for key, value in (("num_workers", 0), ("shuffle", False), ("num_samples", 2), ("sw_batch_size", 2)):
            if key in block and isinstance(block[key], type(value)):
                block[key] = value
        if block.get("channels") == [16, 32, 64, 128, 256]:
            block.update(channels=[8, 16, 32], strides=[2, 2])
    return config


def without_shift(config):
    """MONAI 0.5 drew other numbers for RandShiftIntensityd: it shifts by nothing here."""
    for block in walk(config):
        if "offsets" in block:
            block["offsets"] = 0.0
    return config


def walk(value):
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(child)


def published(name):
    return small(json.loads((CONFIGS / name).read_text()))


def component(name, /, **args):
    return {"name": name, "args": args}


def dataset(name, key, **args):
    files = {"data_list_file_path": "{DATASET_JSON}", "data_file_base_dir": "{DATA_ROOT}", "data_list_key": key}
    return dict(component(name, **args), **files)


def labeled(item, label, key=False):
    return dict(item, log_label=label, **({"is_key_metric": True} if key else {}))


def training(new, network, loss, optimizer, before, post, measure, **options):
    """Return a training configuration in the grammar of 4.0 or, where `new`, of 4.1."""
    pair, out = (PAIR, LOSS) if new else (OLD_PAIR, "lambda x: x['loss']")
    window = options.get(
        "window", component("SlidingWindowInferer", roi_size=[SIDE] * 3, sw_batch_size=2, overlap=0.25)
    )
    crops = options.get("crops", [])
    accuracy = component("Accuracy", output_transform=pair, **options.get("accuracy", {}))
    chosen = component(measure, output_transform=pair, **options.get("metric", {}))
    found = {
        "epochs": 2, "num_interval_per_valid": 1, "learning_rate": 1e-3, "amp": False,
        "determinism": {"random_seed": SEED_AGAIN},
        "train": {
            "model": network, "loss": loss, "optimizer": optimizer,
            "lr_scheduler": component("StepLR", step_size=1, gamma=0.5),
            "pre_transforms": before + crops,
            "dataset": dataset("CacheDataset", "training", cache_rate=1.0, num_workers=0),
            "dataloader": component(options.get("loader", "DataLoader"), batch_size=2, shuffle=False, num_workers=0),
            "inferer": {"name": "SimpleInferer"},
            "handlers": [
                component("LrScheduleHandler", print_lr=False),
                component("ValidationHandler", interval=1, epoch_level=True),
                component("StatsHandler", tag_name="train_loss", output_transform=out),
            ],
            "post_transforms": post,
            "trainer": component("SupervisedTrainer", max_epochs="{epochs}"),
        },
        "validate": {
            "pre_transforms": before,
            "dataset": dataset("Dataset", "validation"),
            "dataloader": component("DataLoader", batch_size=1, num_workers=0),
            "inferer": window,
            "handlers": [component("StatsHandler", output_transform="lambda x: None")],
            "post_transforms": post,
            "evaluator": {"name": "SupervisedEvaluator"},
        },
    }  # fmt: skip
    train, validate = found["train"], found["validate"]
    if new:
        train["key_metric"] = labeled(accuracy, "train_acc")
        validate.update(key_metric=labeled(chosen, "val_key"), additional_metrics=[labeled(accuracy, "val_acc")])
        train["optimizer"]["args"]["params"] = "#@model.parameters()"
    else:
        train["metrics"] = [labeled(accuracy, "train_acc", True)]
        validate["metrics"] = [labeled(chosen, "val_key", True), labeled(accuracy, "val_acc")]
    return found


LOAD = [component("LoadImaged", keys=IMAGES), component("EnsureChannelFirstd", keys=IMAGES)]
OLD_LOAD = [component("LoadImaged", keys=IMAGES), component("AddChanneld", keys=IMAGES)]
SCALE = component("ScaleIntensityRanged", keys="image", a_min=-57, a_max=164, b_min=0.0, b_max=1.0, clip=True)
TENSOR = component("ToTensord", keys=IMAGES)


def crop(**more):
    args = {"keys": IMAGES, "label_key": "label", "spatial_size": [SIDE] * 3, "pos": 1, "neg": 1, "num_samples": 2}
    return component("RandCropByPosNegLabeld", **dict(args, image_key="image", image_threshold=0, **more))


def softmax(classes, new):
    onehot = {"to_onehot": classes} if new else {"to_onehot": True, "n_classes": classes}
    discrete = component("AsDiscreted", keys=["pred", "label"], argmax=[True, False], **onehot)
    return [component("Activationsd", keys="pred", softmax=True), discrete]


SIGMOID = [
    component("Activationsd", keys="pred", sigmoid=True),
    component("AsDiscreted", keys="pred", threshold_values=True),
]
SEGRESNET = component("SegResNet", spatial_dims=3, in_channels=1, out_channels=3, init_filters=8, norm_name="group",
                      num_groups=4, blocks_down=[1, 1], blocks_up=[1])  # fmt: skip
BASICUNET = component("BasicUnet", dimensions=3, in_channels=1, out_channels=3, features=[4, 4, 8, 8, 16, 4])
NORMALIZE = component("NormalizeIntensityd", keys="image", subtrahend=20.0, divisor=30.0, nonzero=True)


def segresnet_41():
    indices = component("FgBgToIndicesd", keys="label", fg_postfix="_fg", bg_postfix="_bg", image_key="image")
    cropped = crop(fg_indices_key="label_fg", bg_indices_key="label_bg")
    loss = component("DiceCELoss", to_onehot_y=True, softmax=True, squared_pred=True, batch=True)
    return training(True, SEGRESNET, loss, component("Novograd", lr="{learning_rate}"),
                    [*LOAD, NORMALIZE], softmax(3, True), "MeanDice", crops=[indices, cropped, TENSOR],
                    loader="ThreadDataLoader", metric={"include_background": False})  # fmt: skip


def basicunet_40():
    margin = component("CropForegroundd", keys=IMAGES, source_key="label", margin=14)
    loss = component("FocalLoss", include_background=True, to_onehot_y=True)
    return training(False, BASICUNET, loss, component("Adam", lr=1e-3), [*OLD_LOAD, SCALE, margin],
                    softmax(3, False), "MeanDice", crops=[crop(), TENSOR],
                    metric={"include_background": True})  # fmt: skip


def segresnet_40():
    pad = component("SpatialPadd", keys=IMAGES, spatial_size=[SIDE] * 3, mode=["minimum", "constant"])
    flip = component("RandFlipd", keys=IMAGES, prob=0.5, spatial_axis=[0])
    loss = component("DiceLoss", to_onehot_y=True, softmax=True, include_background=False)
    return training(False, SEGRESNET, loss, component("Novograd", lr="{learning_rate}"), [*OLD_LOAD, SCALE],
                    softmax(3, False), "MeanDice", crops=[pad, crop(), flip, TENSOR])  # fmt: skip


def pictures(new):
    network = component("DenseNet121", spatial_dims=2, in_channels=3, out_channels=3, init_features=8, growth_rate=4,
                        block_config=[2, 2])  # fmt: skip
    load = [component("LoadImaged", keys="image"), component("AsChannelFirstd" if not new else "EnsureChannelFirstd",
                                                             keys="image")]  # fmt: skip
    scale = component("ScaleIntensityRanged", keys="image", a_min=0.0, a_max=255.0, b_min=-1.0, b_max=1.0)
    resize = component("Resized", keys="image", spatial_size=[32, 32], mode="area")
    to_tensor = component("ToTensord", keys=IMAGES)
    select = component("SelectItemsd", keys=IMAGES)
    return training(new, network, component("BCEWithLogitsLoss"), component("Adam", lr=1e-3),
                    [*load, scale, resize, to_tensor, select], SIGMOID, "ROCAUC",
                    window={"name": "SimpleInferer"},
                    accuracy={"is_multilabel": True})  # fmt: skip


def evaluation_41():
    spacing = component("Spacingd", keys="image", pixdim=[1.5, 1.5, 1.5], mode="bilinear")
    return {
        "amp": False,
        "model": [{"ckpt_path": "{MMAR_CKPT}"}],
        "pre_transforms": [*LOAD, component("Orientationd", keys="image", axcodes="RAS"), spacing, SCALE, TENSOR],
        "dataset": dataset("Dataset", "validation", transform="@pre_transforms"),
        "dataloader": component("DataLoader", dataset="@dataset", batch_size=1, num_workers=0),
        "inferer": component("SlidingWindowInferer", roi_size=[SIDE] * 3, sw_batch_size=2, overlap=0.5),
        "handlers": [
            component("CheckpointLoader", load_path="{MMAR_CKPT}", load_dict={"model": "@model"}),
            component("StatsHandler", output_transform="lambda x: None"),
            component("MetricsSaver", save_dir="{MMAR_EVAL_OUTPUT_PATH}", metrics=["val_mean_dice"], summary_ops="*",
                      metric_details=["val_mean_dice"],
                      batch_transform="#monai.handlers.from_engine(['image_meta_dict'])"),
        ],
        "post_transforms": [
            component("Activationsd", keys="pred", softmax=True),
            component("Invertd", keys="pred", transform="@pre_transforms", orig_keys="image",
                      meta_keys="pred_meta_dict",
                      nearest_interp=False, to_tensor=True, device="cuda"),
            component("AsDiscreted", keys=["pred", "label"], argmax=[True, False], to_onehot=[None, None]),
            component("SaveImaged", keys="pred", meta_keys="pred_meta_dict", output_dir="{MMAR_EVAL_OUTPUT_PATH}",
                      resample=False, squeeze_end_dims=True),
            component("AsDiscreted", keys=["pred", "label"], to_onehot=3),
        ],
        "key_metric": labeled(component("MeanDice", include_background=False, output_transform=PAIR), "val_mean_dice"),
        "additional_metrics": [labeled(component("Accuracy", output_transform=PAIR), "val_acc")],
        "evaluator": component("SupervisedEvaluator", network="@model", postprocessing="@post_transforms"),
    }  # fmt: skip


def evaluation_40():
    called = "__import__('monai').transforms.AsDiscrete(argmax=True, to_onehot=%s, n_classes=3)"
    pred = called + "(x['pred_inverted'][0][None].detach().cpu())"
    pair = "lambda x: (" + pred % "True" + ", x['label'].detach().cpu())"
    spacing = component("Spacingd", keys="image", pixdim=[1.5, 1.5, 1.5], mode="bilinear")
    return {
        "amp": False,
        "model": [{"ckpt_path": "{MMAR_CKPT}"}],
        "pre_transforms": [*OLD_LOAD, spacing, SCALE, TENSOR],
        "dataset": dataset("Dataset", "validation"),
        "dataloader": component("DataLoader", batch_size=1, num_workers=0),
        "inferer": component("SlidingWindowInferer", roi_size=[SIDE] * 3, sw_batch_size=2, overlap=0.5),
        "handlers": [
            component("TransformInverter", output_keys=["pred"], batch_keys="image", postfix="inverted",
                      nearest_interp=False),
            component("SegmentationSaver", output_dir="{MMAR_EVAL_OUTPUT_PATH}", resample=False,
                      batch_transform="lambda x: x['image_meta_dict']", output_transform="lambda x: " + pred % "False"),
        ],
        "post_transforms": [
            component("Activationsd", keys="pred", softmax=True),
            component("AsDiscreted", keys="label", to_onehot=True, n_classes=3),
        ],
        "metrics": [
            labeled(component("MeanDice", include_background=False, output_transform=pair), "val_mean_dice", True),
        ],
        "evaluator": {"name": "SupervisedEvaluator"},
    }  # fmt: skip


CHAINS = {
    "random_size_41": [*LOAD, component("RandSpatialCropd", keys=IMAGES, roi_size=[20, 20, 20])],
    "random_rotation_41": [
        *LOAD, component("RandRotated", keys=IMAGES, range_x=0.3, prob=1.0, mode=["bilinear", "nearest"]),
    ],
    "rotation_41": [*LOAD, component("Rotated", keys="image", angle=[0.3, 0.1, 0.2])],
    "orientation_41": [*LOAD, component("Orientationd", keys=IMAGES, axcodes="RAS"),
                       component("Spacingd", keys=IMAGES, pixdim=[1.0, 2.0, 1.5], mode=["bilinear", "nearest"])],
    "zoom_41": [*LOAD, component("RandZoomd", keys=IMAGES, prob=1.0, min_zoom=0.9, max_zoom=1.2,
                                 mode=["trilinear", "nearest"])],
    "noise_41": [*LOAD, component("RandGaussianNoised", keys="image", prob=1.0),
                 component("RandShiftIntensityd", keys="image", offsets=0.1, prob=1.0)],
    "margin_40": [*OLD_LOAD, component("CropForegroundd", keys=IMAGES, source_key="label", margin=12)],
    "random_size_40": [*OLD_LOAD, component("RandSpatialCropd", keys=IMAGES, roi_size=[20, 20, 20])],
    "split_40": [
        *OLD_LOAD,
        component("ConcatItemsd", keys=IMAGES, name="both"),
        component("SplitChanneld", keys="both", output_postfixes=["a", "b"], channel_dim=0),
    ],
    "spacing_40": [*OLD_LOAD, component("Spacingd", keys=IMAGES, pixdim=[1.5, 1.5, 2.0], mode=["bilinear", "nearest"],
                                        align_corners=[True, True])],
    "pad_40": [*OLD_LOAD, component("DivisiblePadd", keys=IMAGES, k=16)],
}  # fmt: skip
SPLIT = {"split_40": ["image", "both_a", "both_b"]}


def classes_of(name):
    """Return the number of classes in a case's labels."""
    return 2 if name.startswith("published") else 3


def make_data(name, folder):
    """Write the data of a case."""
    if "pictures" in name:
        make_pictures(folder)
    else:
        make_volumes(folder, classes_of(name))


def cases():
    """Return name -> (kind, version, configuration)."""
    fl, old, new = "FL/adminMMAR/config/", "AutoML-4.0/", "AutoML/config/"
    found = {
        "published_unet_40": ("train", 40, without_shift(published(fl + "config_train.json"))),
        "published_automl_40": ("train", 40, without_shift(published(old + "trn_autoML_Enum.json"))),
        "published_automl_41": ("train", 41, published(new + "trn_autoML_Loss_Optimizer.json")),
        "published_transform_41": ("train", 41, published(new + "trn_autoML_Transform.json")),
        "published_evaluation_40": ("evaluate", 40, published(fl + "config_validation.json")),
        "segresnet_novograd_dicece_41": ("train", 41, segresnet_41()),
        "basicunet_focal_margin_40": ("train", 40, basicunet_40()),
        "segresnet_novograd_40": ("train", 40, segresnet_40()),
        "pictures_multilabel_40": ("train", 40, pictures(False)),
        "pictures_multilabel_41": ("train", 41, pictures(True)),
        "evaluation_invert_save_41": ("evaluate", 41, evaluation_41()),
        "evaluation_inverter_saver_40": ("evaluate", 40, evaluation_40()),
    }
    chains = {
        name: ("transforms", int(name[-2:]), {"pre_transforms": chain, "keys": SPLIT.get(name, IMAGES)})
        for name, chain in CHAINS.items()
    }
    return dict(found, **chains)
