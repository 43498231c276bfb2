"""What an evaluation needs besides transforms and metrics: inferers, model loaders, writers; and Clara's handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELD, KEY, NUMPY_DTYPE, key_of
from monai_auxops.migrate.rules.kinds import anything, flag, integer, integers, optional, text
from monai_auxops.migrate.rules.paths import escapes, output_path
from monai_auxops.migrate.rules.values import OMIT, A, F

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

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
_FOLDER = F(lambda write_path, facts: output_path(write_path, facts))  # noqa: PLW0108 (F passes arguments by name)


def _roi(roi_size: Any, facts: Facts) -> Any:
    size = facts.window if roi_size is OMIT else tuple(roi_size)
    return Expr("@patch_size") if size == facts.patch_size else list(size)


def _writer(name: str, extension: str, did: str) -> Rule:
    return Rule(
        name=name,
        section=Section.WRITER,
        params=(FIELD, Param("dtype", None, optional(text)), _WRITE_PATH),
        targets=(
            T(
                "SaveImaged",
                keys=KEY,
                output_ext=extension,
                output_dtype=NUMPY_DTYPE,
                resample=False,
                squeeze_end_dims=F(lambda facts: OMIT if facts.spatial_dims == 3 else False),
                folder_layout={
                    Expr("_target_"): Expr("monai_auxops.clara.CaseLayout"),
                    "output_dir": _FOLDER,
                    "postfix": A("field", key_of),
                    "extension": extension,
                    "data_root_dir": Expr("@dataset_dir"),
                },
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="One folder per case as in Clara, below the data list's folders. The file is <case>_<field>, <case>_pred "
        "for the field model; Clara's names of files are not documented.",
        clara=did,
        caveats=(escapes("write_path"),),
        also=("NiftyWriter",) if name == "WriteNifti" else (),
    )


INFERERS: Final = (
    Rule(
        name="TFSimpleInferer",
        section=Section.INFERER,
        params=(),
        targets=(T("SimpleInferer"),),
        outcome=Outcome.EXACT,
        why="The same.",
        clara="The network on the whole input.",
        also=("SimpleInferer",),
    ),
    Rule(
        name="TFScanWindowInferer",
        section=Section.INFERER,
        params=(
            Param("roi_size", OMIT, integers),
            Param("batch_size", 1, integer),
            Param("is_channels_first", True, flag, note="MONAI is channels first"),
        ),
        targets=(T("SlidingWindowInferer", roi_size=F(_roi), sw_batch_size=A("batch_size"), overlap=0.5),),
        outcome=Outcome.APPROXIMATE,
        why="Clara's overlap and blending are not documented; the bundle uses half a window, as Clara Train 4 did.",
        clara="The network on windows of the input, stitched.",
        also=("ScanWindowInferer",),
        caveats=(
            Caveat(lambda roi_size: roi_size is OMIT, "roi_size is not given; the window is the training's crop size"),
        ),
        facts={"scanning": True},
    ),
)

LOADERS: Final = (
    Rule(
        name="FrozenGraphModelLoader",
        section=Section.LOADER,
        params=(
            Param("model_file_path", "", text, note="a TensorFlow graph does not load into PyTorch"),
            *_NODES,
            _TRAINING_MODE,
        ),
        targets=(_LOAD,),
        outcome=Outcome.APPROXIMATE,
        why="A TensorFlow graph does not load into PyTorch: the bundle loads models/model.pt of its own training.",
        clara="Loads a frozen graph.",
    ),
    Rule(
        name="CheckpointLoader",
        section=Section.LOADER,
        params=(
            Param("checkpoint_dir", "", text, note="the bundle's checkpoints are in its models folder"),
            *_NODES,
            Param("checkpoint_file_prefix", "model.ckpt", text, note="the bundle's best model is models/model.pt"),
            _TRAINING_MODE,
        ),
        targets=(_LOAD,),
        outcome=Outcome.APPROXIMATE,
        why="The bundle loads models/model.pt: of its own training, or Clara's weights if --weights proved them.",
        clara="Loads a checkpoint.",
    ),
)

WRITERS: Final = (
    _writer("WriteNifti", ".nii.gz", "Writes a field as NIfTI."),
    _writer("WritePng", ".png", "Writes a field as PNG."),
    Rule(
        name="WriteClassificationResult",
        section=Section.WRITER,
        params=(FIELD, _WRITE_PATH),
        targets=(
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
        outcome=Outcome.EXACT,
        why="The same file: name and scores of a case per line, no heading.",
        clara="Writes the scores as CSV.",
        caveats=(escapes("write_path"),),
    ),
)

HANDLERS: Final = (
    Rule(
        name="StatsHandler",
        section=Section.HANDLER,
        params=(),
        targets=(),
        outcome=Outcome.EQUIVALENT,
        why="The bundle always prints and records statistics (AuxStatsHandler, AuxTensorBoardStatsHandler).",
        clara="Prints training statistics.",
        also=("PrintTrainStepStats", "PrintTrainEpochStats", "PrintValidationStats"),
        open=True,
    ),
)
