"""What the data list of an MMAR says, and the facts that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from monai_auxops.migrate.conversion.config import BoundConfig, collect
from monai_auxops.migrate.conversion.network import settle
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading import datalist

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.reading.datalist import DataList
    from monai_auxops.migrate.rules.facts import Facts


def look_for_images(project: Project) -> None:
    """Look for the images, so that the next command can tell what is missing."""
    if project.train is None:
        return
    facts, pipeline = project.train.facts["train"], project.train.first("train", "image_pipeline")
    folder = datalist.data_folder(facts.data_root, project.mmar.root)
    missing = datalist.missing_from(folder, project.data)
    project.data_is_missing = missing is not None
    if missing and pipeline is not None:
        project.log.add("CT523", pipeline.component.where, missing)


def check_lists_of_evaluations(project: Project) -> None:
    """Check that the data list has what evaluation and inference read."""
    for config in (project.evaluate, project.infer):
        if config is None or project.data is None:
            continue
        key = str(config.variables.values.get("DATA_LIST_KEY") or "validation")
        if not project.data.counts.get(key):
            source = config.variables.sources.get("DATA_LIST_KEY", config.file)
            known = ", ".join(name for name, count in project.data.counts.items() if count)
            message = f'{config.file} reads the list "{key}", which the data list does not have'
            project.log.add("CT510", Where(source), message, f"it has {known}" if known else "")


def settled_facts(project: Project, config: BoundConfig, base: Facts, keep: bool) -> dict[str, Facts]:
    """Return the final facts of each part: what the rows provide, what the data list knows, what follows from both."""
    facts = collect(config, base)
    found = _datalist(project, config, facts)
    if found is not None and (keep or project.data is None):
        project.data = found
    output = str(config.variables.values.get("MMAR_EVAL_OUTPUT_PATH", ""))
    if found is not None and config.trains:
        _check_files_per_image(config, facts["train"], found, project.log)
    label_format = found.label_format if found is not None else ()
    settled = {name: settle(value, project.answers, label_format) for name, value in facts.items()}
    first = next(iter(settled.values()))
    patch = first.patch_size or first.crop_size
    return {
        name: value.update(patch_size=value.patch_size or value.crop_size or patch, output_dir=output)
        for name, value in settled.items()
    }


def _check_files_per_image(config: BoundConfig, facts: Facts, data: DataList, log: Log) -> None:
    repeated = any(item.component.name == "RepeatChannel" for item in config.at("train", "pre_transforms"))
    if data.channels > 1 and data.channels != facts.in_channels and not repeated:
        message = f"an image of the data list has {data.channels} files, output_image_channels is {facts.in_channels}"
        log.add("CT525", config.at("train", "image_pipeline")[0].component.where, message)


def _datalist(project: Project, config: BoundConfig, facts: Mapping[str, Facts]) -> DataList | None:
    part = "train" if config.trains else ""
    pipeline = next(iter(config.at(part, "image_pipeline")), None)
    if pipeline is None or not facts[part].datalist:
        return None
    pipelines = [item for part in ("train", "validate") for item in config.at(part, "image_pipeline")]
    keys = {str(item.args["data_list_key"]): item.component.where for item in pipelines if not item.manual}
    return datalist.read(facts[part].datalist, keys, project.mmar.root, pipeline.component.where, project.log)
