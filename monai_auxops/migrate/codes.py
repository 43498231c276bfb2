"""The diagnostic codes: stable names for what can be wrong with an MMAR, shown by ``monai-auxops explain CODE``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Severity(Enum):
    """How much a diagnostic matters: FATAL writes nothing, ERROR needs manual work."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"

    @property
    def rank(self) -> int:
        """The rank: 0 matters least."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem."""

    title: str
    severity: Severity
    advice: str


_I, _W, _E, _F = Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.FATAL

CODES: Final[dict[str, Code]] = {
    # files and JSON
    "CT101": Code("malformed JSON", _F, "Correct the character shown; Clara's own reader also refused such a file."),
    "CT102": Code("misspelled literal", _F, "Write true, false or null, in lower case and without quotes."),
    "CT103": Code("trailing comma", _F, "Remove the comma before the closing bracket."),
    "CT104": Code(
        "comment in JSON", _F, 'JSON has no comments; rename the key instead ("__search") or delete the line.'
    ),
    "CT105": Code("key given twice", _W, "The last one counts, as in Clara; delete the others."),
    "CT106": Code("file cannot be read", _F, "The file must be UTF-8 text that holds one JSON object."),
    "CT107": Code("single quotes", _F, "Use double quotes for JSON strings."),
    "CT108": Code("byte order mark", _W, "Save the file as UTF-8 without BOM; the mark was skipped."),
    "CT110": Code(
        "another kind of file", _I, "The migrator reads training and validation configurations of Clara Train only."
    ),
    "CT111": Code(
        "already a MONAI bundle", _W, "There is nothing to migrate; `monai-auxops attach` adds aux-ops to a bundle."
    ),
    "CT112": Code(
        "no configuration found", _F, "Name an MMAR folder, or its config_train.json or config_validation.json."
    ),
    "CT113": Code(
        "several training configurations", _W, "A bundle has one; name the file to migrate instead of the folder."
    ),
    "CT114": Code(
        "no environment", _W, "Name the file with --env, or give the values with --set or when the bundle is run."
    ),
    "CT115": Code(
        "TensorFlow weights",
        _W,
        "Pass --weights to convert them; they are refused unless proven equal to Clara's graph.",
    ),
    "CT116": Code(
        "command line used by the MMAR",
        _I,
        "The values that a script of the MMAR gave; those of a script that runs another file are not applied.",
    ),
    "CT117": Code(
        "Clara Train 4", _I, "The dialect decides what FocalLoss, margins and defaults meant: docs/clara4.md."
    ),
    "CT118": Code(
        "not a training configuration", _F, "Name the MMAR's config_train.json or config_validation.json instead."
    ),
    "CT119": Code(
        "file left out", _E, "Correct the mistakes and migrate again, or pass --only training to leave it out."
    ),
    "CT120": Code(
        "validation configuration not read",
        _W,
        "Pass it with --evaluation FILE, or name the MMAR's folder, so that the bundle evaluates as the MMAR did.",
    ),
    "CT122": Code("weights migrated", _I, "Evaluation and inference read models/model.pt; no training is needed."),
    "CT123": Code(
        "weights refused", _E, "The bundle starts from new weights; the message above tells what would be needed."
    ),
    # variables
    "CT201": Code(
        "undefined variable",
        _E,
        "Define it in environment.json, at the top of the configuration, or with --set NAME=value.",
    ),
    "CT202": Code(
        "malformed placeholder", _W, "A placeholder is {NAME}, with both braces and no spaces; it was kept as text."
    ),
    "CT203": Code("--set without a value", _E, "Write --set name=value."),
    "CT204": Code("--set of an unknown variable", _W, "Nothing in the configuration reads this name."),
    "CT205": Code("empty value", _W, "The variable is set to nothing, which Clara used to switch a file off."),
    "CT206": Code("wrong type of a setting", _E, "Correct the value; the bundle uses the default."),
    # components
    "CT301": Code(
        "unknown component", _E, "Check the spelling; for a component of your own, write a rule and pass --rules."
    ),
    "CT302": Code("not a component", _E, 'A component has "name", "path" or "ref".'),
    "CT303": Code(
        "ref to nothing", _E, "Correct the name, or give the component an alias (Name#alias) and refer to that."
    ),
    "CT304": Code(
        "ref before its component", _W, "Clara read the file from top to bottom; the component was found further down."
    ),
    "CT305": Code(
        "ambiguous ref", _W, "Two components have this name; the first is used. Give each an alias (Name#alias)."
    ),
    "CT306": Code(
        "ref to a disabled component",
        _W,
        "Clara's behavior is not documented; the migrator treats the ref as disabled.",
    ),
    "CT307": Code("ref with other keys", _W, "A ref copies the component; its other keys have no effect."),
    "CT308": Code(
        "disabled is not true or false", _W, "Only the JSON literal true disables a component; a string does not."
    ),
    "CT309": Code("several alternatives", _W, "AutoML would have chosen one; the first that is not disabled is used."),
    "CT310": Code(
        "AutoML search", _I, "Static values are kept; MONAI's Auto3DSeg or an external tuner can search again."
    ),
    "CT311": Code("key without effect", _I, "Clara ignored keys that it did not know; this one was not migrated."),
    "CT312": Code(
        "your own component",
        _E,
        "Rewrite the class in the bundle's scripts/manual.py, or pass --rules (for Clara Train 4: --trust-code).",
    ),
    "CT313": Code(
        "component in the wrong section",
        _E,
        "Move it to the section it belongs to, or name a component of the kind that this section needs.",
    ),
    "CT314": Code("section missing", _F, "Training needs loss, model and image_pipeline under train."),
    "CT315": Code("TLT 1.x name", _I, "The component is migrated under its Clara Train 2 name."),
    "CT317": Code("unknown key", _W, "Correct the spelling; Clara ignored the key."),
    "CT316": Code(
        "section has the wrong form",
        _E,
        "metrics, aux_ops, transforms, writers and handlers are lists; the others are single objects.",
    ),
    "CT320": Code("reference to nothing", _E, "A section has @model, @loss, @dataset and so on; correct the name."),
    "CT321": Code(
        "code in a string",
        _E,
        "Only known forms are rewritten, and nothing is run: write it by hand, or pass --trust-code.",
    ),
    "CT322": Code(
        "section left to a default", _E, "Add the section, or compare the default in the bundle with what Clara used."
    ),
    # arguments
    "CT401": Code("required argument missing", _E, "Add the argument; every published configuration gives it."),
    "CT402": Code(
        "unknown argument", _W, "Clara's documentation does not list this argument; it has no effect in the bundle."
    ),
    "CT403": Code("wrong type of an argument", _E, "Correct the value; the default is used if there is one."),
    "CT404": Code(
        "argument without counterpart", _I, "The value has no place in the bundle; the message gives the reason."
    ),
    "CT405": Code("argument removed since", _W, "Today's class has no such argument; compare the values carefully."),
    "CT406": Code("default changed since", _I, "The default was different then; the bundle states the old value."),
    # across components
    "CT501": Code(
        "no key metric", _W, "Mark one metric with is_key_metric; the first is used to select the best model."
    ),
    "CT502": Code("two key metrics", _E, "Mark exactly one; the first is used to select the best model."),
    "CT503": Code(
        "metric of a field that nothing produces", _E, "Correct the field, or add the aux-op whose tag it names."
    ),
    "CT504": Code("number of tags does not fit", _E, "Give one tag, or one for the average and one for each class."),
    "CT505": Code("name used twice", _E, "Each aux-op needs a tag of its own, and each metric a log_label of its own."),
    "CT506": Code(
        "number of channels does not fit", _E, "Check num_classes against the label channels and one-hot settings."
    ),
    "CT507": Code(
        "no class left", _E, "skip_background with one class leaves nothing to measure; Clara raised ValueError."
    ),
    "CT508": Code(
        "changed meaning", _W, "Read the message: the bundle does what was intended, not what Clara computed."
    ),
    "CT509": Code("data list not found", _W, "Correct DATASET_JSON, or pass --datalist when the bundle is run."),
    "CT510": Code("data list without the key", _E, "Correct data_list_key or the data list."),
    "CT511": Code(
        "label_format does not fit", _E, "label_format has one entry per label: 1 for binary, k for k classes."
    ),
    "CT512": Code("channels last", _I, "MONAI is channels-first throughout; every data_format was rewritten."),
    "CT513": Code("crop sizes differ", _W, "output_crop_size should equal the size that the crop transform produces."),
    "CT514": Code(
        "validation never runs", _W, "Lower num_training_epoch_per_valid or raise epochs, for example --set epochs=4."
    ),
    "CT515": Code(
        "aux-op with a scanning window", _W, "What Clara showed in this case is not documented; compare carefully."
    ),
    "CT516": Code("effective batch size", _I, "The number of crops that one optimizer step sees."),
    "CT517": Code(
        "cached subset", _W, "Clara trained on the cached items only; the bundle goes through all of them each epoch."
    ),
    "CT518": Code("sections do not agree", _W, "The first value counts."),
    "CT519": Code(
        "no model for the evaluation", _F, "A frozen graph holds no definition; put config_train.json beside the file."
    ),
    "CT520": Code("unused aux-op output", _I, "It is computed, but no validation metric reads it."),
    "CT522": Code(
        "unknown output of the network",
        _F,
        "Answer with --set, for example --set classes=3 activation=softmax; the migrator does not guess.",
    ),
    "CT524": Code("metric of a field against itself", _W, "Correct field or label_field."),
    "CT525": Code(
        "files per image do not fit",
        _E,
        "Each file of an image is one channel: correct output_image_channels or the data list.",
    ),
    "CT526": Code("field that nothing loads", _E, "Correct the field, or add it to the transform that loads files."),
    "CT527": Code("training and validation differ", _E, "Both need the number of channels that the network takes."),
    "CT528": Code(
        "crop does not fit the network",
        _E,
        "Choose a crop whose sides can be halved as often as the network halves them.",
    ),
    "CT529": Code(
        "learning rate for several GPUs",
        _W,
        "Run configs/multi_gpu_train.json on as many GPUs, or divide the learning rate by their number.",
    ),
    "CT523": Code("images not found", _W, "Correct DATA_ROOT, or pass --dataset_dir when the bundle is run."),
    "CT521": Code("data list entries do not fit", _W, "Each entry needs an image and, for training, a label."),
    # safety
    "CT601": Code("text that MONAI would evaluate", _I, "It is written as a quoted literal and stays text."),
    "CT602": Code(
        "key that MONAI would execute", _F, "A key of this name would run code through the bundle; remove it."
    ),
    "CT603": Code("path leaves the folder", _W, "The path was replaced by the bundle's own output folder."),
    # Clara Train 4
    "CT801": Code(
        "weights that were not copied", _E, "Save the weights alone, with torch.save(network.state_dict(), file)."
    ),
    "CT802": Code("weights migrated", _I, "Evaluation and inference read them from the bundle's models folder."),
    "CT803": Code("values per class", _I, "Pass --aux-ops to add them under names of their own."),
    "CT804": Code(
        "no network for the evaluation", _W, "Put config_train.json beside the file; TorchScript needs no definition."
    ),
    "CT808": Code(
        "weights that do not fit",
        _E,
        "Evaluation and inference cannot load them: migrate the configuration that they were trained with.",
    ),
    "CT806": Code("not complete", _W, "MONAI requires it today; add it if you want to run the bundle that way."),
    "CT809": Code(
        "left out of the evaluation", _I, "It needs the training, which evaluate.json and inference.json do not have."
    ),
    "CT807": Code("bundle of an older MONAI", _I, "Pass -o to write the bundle for today's MONAI."),
    "CT805": Code("kept as it was", _W, "The bundle does what Clara did; check whether that is what you want."),
    # the bundle
    "CT701": Code("manual work needed", _E, "Complete the stub in the bundle's scripts/manual.py."),
    "CT702": Code("bundle not valid", _F, "This is a bug in the migrator: please report it with the configuration."),
    "CT703": Code("folder exists", _F, "Choose another folder, or pass --force."),
    "CT705": Code(
        "check failed",
        _E,
        "The location is where the failing object comes from; if the configuration is right, please report this.",
    ),
    "CT706": Code(
        "check passed",
        _I,
        "The bundle trained two iterations, validated, evaluated and wrote predictions that could be read.",
    ),
    "CT707": Code("no configuration chosen", _F, "Name one of the training configurations instead of the folder."),
    "CT708": Code(
        "packages missing", _W, "The configuration is fine: install the packages, then run the command again."
    ),
    "CT704": Code("rules not usable", _F, "A rules file must define RULES, a list of monai_auxops.migrate.rules.Rule."),
}
