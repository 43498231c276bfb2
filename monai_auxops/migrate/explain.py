"""``monai-auxops components`` and ``explain``: the rules as text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.codes import CODES
from monai_auxops.migrate.diagnostics import did_you_mean
from monai_auxops.migrate.rules import OMIT, REQUIRED, Each, Param, Rule, RuleBook
from monai_auxops.migrate.rules.values import arguments_read

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.base import Target

_FACTS: Final = {
    "activation": "the activation moves to loss, post-processing and aux-ops",
    "out_channels": "the output channels of the network",
    "in_channels": "the input channels of the network",
    "label_channels": "used to check the labels",
    "spatial_dims": "the spatial dimensions of the network",
    "crop_size": "the patch size",
    "patch_size": "the bundle's patch_size",
    "channels_last": "MONAI is channels-first throughout",
    "label_format": "the outputs of a classification network",
    "weight_decay": "the optimizer's weight_decay",
    "samples": "the samples of one image in a batch",
    "datalist": "the bundle's datalist",
    "data_root": "the bundle's dataset_dir",
    "data_key": "the list in the data list",
    "batched_by_transforms": "the batch size",
    "channel_names": "the names of the channels",
    "task": "segmentation or classification",
}


def targets_of(rule: Rule) -> list[Target]:
    """Return a row's targets; a repeated target appears once."""
    return [target.example() if isinstance(target, Each) else target for target in rule.targets]


def target_names(rule: Rule) -> str:
    """Return what a component becomes, in words."""
    return " + ".join(dict.fromkeys(target.name for target in targets_of(rule))) or "-"


def components(book: RuleBook, form: str = "text") -> str:
    """Return the compatibility table."""
    if form == "json":
        return json.dumps([_row(rule) for rule in book.rules], indent=1) + "\n"
    if form == "markdown":
        return "\n".join(_markdown(book)) + "\n"
    return "\n".join(_text(book)) + "\n"


def _row(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "section": rule.section.value,
        "bundle": target_names(rule),
        "outcome": rule.outcome.value,
        "reason": rule.why,
        "older_names": list(rule.also),
    }


def _markdown(book: RuleBook) -> Iterator[str]:
    yield "| section | Clara Train | MONAI bundle | outcome | why |"
    yield "| --- | --- | --- | --- | --- |"
    for rule in book.rules:
        names = " + ".join(f"`{name}`" for name in target_names(rule).split(" + ") if name != "-") or "-"
        yield f"| {rule.section.value} | `{rule.name}` | {names} | {rule.outcome.value} | {rule.why} |"


def _text(book: RuleBook) -> Iterator[str]:
    section = None
    for rule in book.rules:
        if rule.section is not section:
            section = rule.section
            yield f"{section.value}"
        yield f"  {rule.outcome.value:<11} {rule.name:<40} {target_names(rule)}"


def explain(name: str, book: RuleBook) -> str | None:
    """Return what is known about a component or a diagnostic code, or None."""
    if name.upper() in CODES:
        return _code(name.upper())
    rows = {id(rule): rule for known, rule in book.names().items() if known.lower() == name.lower()}
    if not rows:
        return None
    return "\n".join(line for rule in rows.values() for line in _component(rule)) + "\n"


def suggestion(name: str, book: RuleBook) -> str:
    """Return the nearest known name as a hint."""
    return did_you_mean(name, [*book.names(), *CODES])


def _code(name: str) -> str:
    code = CODES[name]
    return f"{name}: {code.title} ({code.severity.value})\n\n  {code.advice}\n"


def _component(rule: Rule) -> Iterator[str]:
    yield f"{rule.name} ({rule.section.value}): {rule.outcome.value}"
    yield ""
    yield from _wrap(f"In Clara Train   {rule.clara}", 2, 19)
    yield from _wrap(f"In the bundle    {target_names(rule)}", 2, 19)
    yield from _wrap(f"Why              {rule.why}", 2, 19)
    if rule.source:
        yield from _wrap(f"Source           {rule.source}", 2, 19)
    if rule.also:
        yield from _wrap(f"In TLT 1.x       {', '.join(rule.also)}", 2, 19)
    if rule.params:
        yield ""
        yield "  Arguments"
        for param in rule.params:
            yield from _argument(rule, param)
    if rule.caveats:
        yield ""
        yield "  In some configurations"
        for caveat in rule.caveats:
            yield from _wrap(caveat.summary, 4, 4)
    yield from _example(rule)
    yield ""


def _argument(rule: Rule, param: Param) -> Iterator[str]:
    """Show an argument and where it goes; a long one takes a line of its own."""
    signature, first = _signature(param), 4
    if len(signature) > 30:
        yield f"    {signature}"
        signature, first = "", 36
    yield from _wrap(f"{signature:<32}{_destination(rule, param)}".lstrip(), first, 36)


def _example(rule: Rule) -> Iterator[str]:
    """Show a component before and after."""
    if rule.example is None:
        return
    yield ""
    yield "  For example"
    yield from _wrap(json.dumps(rule.example.clara), 4, 6)
    yield "  becomes" if rule.example.bundle else "  becomes nothing (see above)"
    for block in rule.example.bundle:
        yield from _wrap(json.dumps(block), 4, 6)


def _wrap(text: str, first: int, rest: int) -> list[str]:
    return textwrap.wrap(
        text,
        80,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _signature(param: Param) -> str:
    if param.default is REQUIRED:
        return param.name
    return f"{param.name}=?" if param.default is OMIT else f"{param.name}={param.default!r}"


def _destination(rule: Rule, param: Param) -> str:
    """Say where an argument goes."""
    found = [
        f"{target.name.removeprefix('monai_auxops.')}({key})"
        for target in targets_of(rule)
        for key, value in target.args.items()
        if param.name in arguments_read(value)
    ]
    if found:
        return "; ".join(dict.fromkeys(found))
    facts = [_FACTS.get(name, name) for name, value in rule.facts.items() if param.name in arguments_read(value)]
    return param.note or "; ".join(facts) or "decides which of the above is used"
