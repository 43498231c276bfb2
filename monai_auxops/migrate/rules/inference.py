"""What an evaluation needs besides transforms and metrics: inferers, model loaders, writers; and Clara's handlers."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.base import A, Call, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELD, KEY, key_of, numpy_dtype
from monai_auxops.migrate.rules.kinds import anything, flag, integer, integers, optional, text
from monai_auxops.migrate.rules.paths import escapes, output_path

_NODES = tuple(
    Param(name, None, anything, note="PyTorch networks have no named nodes")
    for name in ("input_node_names", "output_node_names")
)
_TRAINING_MODE = Param("infer_in_training_mode", False, flag, note="the bundle evaluates in evaluation mode")
_LOAD = T(
    "CheckpointLoader",
    slot="handlers",
    load_path=Expr("$@ckpt_dir + '/model.pt'"),
    load_dict={"model": Expr("@network")},
)
_WRITE_PATH = Param("write_path", "", text)
_FOLDER = F(lambda c: output_path(c["write_path"], c.facts), uses=("write_path",))


def _roi(call: Call) -> Any:
    roi = call["roi_size"]
    return Expr("@patch_size") if tuple(roi) == call.facts.patch_size else roi


def _writer(name: str, extension: str, did: str) -> Rule:
    return Rule(
        name,
        Section.WRITER,
        (FIELD, Param("dtype", None, optional(text)), _WRITE_PATH),
        (
            T(
                "SaveImaged",
                keys=KEY,
                output_dir=_FOLDER,
                output_postfix=A("field", key_of),
                output_ext=extension,
                output_dtype=numpy_dtype("dtype"),
                resample=False,
                separate_folder=True,
            ),
        ),
        Outcome.EQUIVALENT,
        "One folder per case as in Clara; the file is <case>_<field>.",
        did,
        caveats=(escapes("write_path"),),
        also=("NiftyWriter",) if name == "WriteNifti" else (),
    )


INFERERS: Final = (
    Rule(
        "TFSimpleInferer",
        Section.INFERER,
        (),
        (T("SimpleInferer"),),
        Outcome.EXACT,
        "The same.",
        "The network on the whole input.",
        also=("SimpleInferer",),
    ),
    Rule(
        "TFScanWindowInferer",
        Section.INFERER,
        (
            Param("roi_size", kind=integers),
            Param("batch_size", 1, integer),
            Param("is_channels_first", True, flag, note="MONAI is channels first"),
        ),
        (T("SlidingWindowInferer", roi_size=F(_roi, uses=("roi_size",)), sw_batch_size=A("batch_size"), overlap=0.5),),
        Outcome.APPROXIMATE,
        "Clara's overlap and blending are not documented; the bundle uses half a window, as NVIDIA's later files did.",
        "The network on windows of the input, stitched.",
        also=("ScanWindowInferer",),
        facts={"scanning": True},
    ),
)

LOADERS: Final = (
    Rule(
        "FrozenGraphModelLoader",
        Section.LOADER,
        (
            Param("model_file_path", "", text, note="a TensorFlow graph does not load into PyTorch"),
            *_NODES,
            _TRAINING_MODE,
        ),
        (_LOAD,),
        Outcome.APPROXIMATE,
        "A TensorFlow graph does not load into PyTorch: the bundle loads models/model.pt of its own training.",
        "Loads a frozen graph.",
    ),
    Rule(
        "CheckpointLoader",
        Section.LOADER,
        (
            Param("checkpoint_dir", "", text, note="the bundle's checkpoints are in its models folder"),
            *_NODES,
            Param("checkpoint_file_prefix", "model.ckpt", text, note="the bundle's best model is models/model.pt"),
            _TRAINING_MODE,
        ),
        (_LOAD,),
        Outcome.APPROXIMATE,
        "TensorFlow weights do not load into PyTorch: the bundle loads models/model.pt of its own training.",
        "Loads a checkpoint.",
    ),
)

WRITERS: Final = (
    _writer("WriteNifti", ".nii.gz", "Writes a field as NIfTI."),
    _writer("WritePng", ".png", "Writes a field as PNG."),
    Rule(
        "WriteClassificationResult",
        Section.WRITER,
        (FIELD, _WRITE_PATH),
        (
            T(
                "ClassificationSaver",
                slot="handlers",
                output_dir=_FOLDER,
                filename=A("field", lambda field: f"preds_{field}.csv"),
                batch_transform=Expr("$lambda batch: [item['image'].meta for item in batch]"),
                output_transform=A(
                    "field", lambda field: Expr(f"$monai.handlers.from_engine({literal(key_of(field))})")
                ),
            ),
        ),
        Outcome.EXACT,
        "The same file: name and scores of a case per line, no heading.",
        "Writes the scores as CSV.",
        caveats=(escapes("write_path"),),
    ),
)

HANDLERS: Final = (
    Rule(
        "StatsHandler",
        Section.HANDLER,
        (),
        (),
        Outcome.EQUIVALENT,
        "The bundle always prints and records statistics (AuxStatsHandler, AuxTensorBoardStatsHandler).",
        "Prints training statistics.",
        also=("PrintTrainStepStats", "PrintTrainEpochStats", "PrintValidationStats"),
        open=True,
    ),
)
