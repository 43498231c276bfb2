"""Convert the components of a file: rows, wiring, code, names of weights. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4 import inverting, signatures, wiring
from monai_auxops.migrate.clara4.adapt import Adapted, adapt, dictionary_form, knows
from monai_auxops.migrate.clara4.code import lambda_text
from monai_auxops.migrate.clara4.dialect import Dialect
from monai_auxops.migrate.clara4.finish import UNKNOWN_CODE, Finisher, argument_place, shorten
from monai_auxops.migrate.clara4.item import Block, Item, block_of
from monai_auxops.migrate.clara4.kinds import dictionary_hint, fits_package, why_misplaced
from monai_auxops.migrate.clara4.values import Values, codes_in
from monai_auxops.migrate.conversion.binding import REFERS_TO_NOTHING
from monai_auxops.migrate.diagnostics import Log, Outcome, did_you_mean
from monai_auxops.migrate.encode import Expr, UnsafeKeyError, check_key

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.clara3 import Clara3
    from monai_auxops.migrate.clara4.components import Occurrence

_LIBRARIES: Final = ("monai.", "torch.", "ignite.")
_OWN: Final = (
    "Your own code, copied as it is to scripts/custom. What kind of class it is cannot be known without running it: "
    "--check tells whether it works with today's MONAI."
)
_OWN_STUB: Final = "Your own code: pass --trust-code to copy it into the bundle, or write the class by hand."


class Converter:
    """Converts the occurrences of one file."""

    def __init__(
        self, values: Mapping[str, Values], dialect: Dialect, known: frozenset[str], old: Clara3, trust: bool, log: Log
    ) -> None:
        self.values, self.dialect, self.log = values, dialect, log
        self.known, self.old, self.trust = known, old, trust
        self.pictures = False
        self.finisher = Finisher(log)

    def item(self, found: Occurrence) -> Item:
        """Convert one occurrence."""
        return self.finisher.with_references(self._converted(found))

    def _converted(self, found: Occurrence) -> Item:
        if found.off:
            return Item(found, Outcome.DROPPED, found.off)
        if not found.refers:
            return Item(found, Outcome.MANUAL, REFERS_TO_NOTHING)
        values = self.values[found.place.part]
        args = values.arguments(found.args)
        if self._unsafe(found, args):
            return Item(found, Outcome.MANUAL, "MONAI would interpret a key of its arguments.")
        if found.path and not found.path.startswith(_LIBRARIES):
            return self._own(found, args)
        if found.path and not _is_of_library(found):
            return self._unknown(found, args, found.path)
        known = knows(found.name) and not self._is_of_31(found, args)
        return self._known(found, args) if known else self._other(found, args)

    def _is_of_31(self, found: Occurrence, args: Mapping[str, Any]) -> bool:
        """Tell by its arguments whether a name shared by MONAI and Clara Train 3.1, such as ``Dice``, is of 3.1."""
        then = signatures.find(found.name)
        unknown = set(args) - (then.known(self.dialect.version) if then is not None else set())
        return bool(unknown) and self.old.knows(found, unknown)

    def _unsafe(self, found: Occurrence, args: Mapping[str, Any]) -> bool:
        try:
            _check_keys(args)
        except UnsafeKeyError as error:
            self.log.add("CT602", found.where, f"MONAI would interpret the key {error}")
            return True
        return False

    def _own(self, found: Occurrence, args: dict[str, Any]) -> Item:
        """Convert a class of the MMAR's custom folder."""
        row = adapt(found.name, {}, self.dialect.version)
        if row.manual and knows(found.name):
            return self.finisher.manual(found, args, row.why)
        if not _is_path(found.path):
            self.log.add("CT301", found.where, f"{found.path!r} is not the path of a Python class")
            return Item(found, Outcome.MANUAL, "Not the path of a Python class.", given=args)
        if not self.trust or codes_in(args):
            self.log.add("CT312", found.where, f"{found.path} is your own {found.place.key} in PyTorch")
            return Item(found, Outcome.MANUAL, _OWN_STUB, given=args)
        wires = wiring.wire_arguments(found.place.key, found.name, args, self.section(found))
        row = Adapted(f"scripts.custom.{found.path}", wires, Outcome.APPROXIMATE, _OWN)
        return self.finisher.item(found, self.section(found), args, row)

    def _other(self, found: Occurrence, args: dict[str, Any]) -> Item:
        """Convert a name of Clara Train 3.1, which early access mixed in, or report an unknown one."""
        old = self.old.convert(found)
        if old is not None:
            blocks = tuple(self._wired(found, target, args) for target, args in old.blocks)
            return Item(found, old.outcome, old.reason, old.notes, args, blocks, creates=old.creates)
        return self._unknown(found, args, found.name)

    def _unknown(self, found: Occurrence, args: dict[str, Any], name: str) -> Item:
        hint = did_you_mean(found.name, signatures.names())
        if name:
            self.log.add("CT301", found.where, f'unknown {found.place.key} "{name}"', hint)
        return Item(found, Outcome.MANUAL, "Not a class of MONAI, PyTorch or Ignite.", given=args)

    def _wired(self, found: Occurrence, target: str, args: Mapping[str, Any]) -> Block:
        return block_of(target, wiring.wire_arguments(found.place.key, found.name, args, self.section(found)))

    def _known(self, found: Occurrence, args: dict[str, Any]) -> Item:
        """Convert a class of MONAI, torch or Ignite that can serve in its section."""
        name = dictionary_form(found.name, args)
        wrong = why_misplaced(found.place, name)
        if wrong:
            self.log.add("CT313", found.where, wrong, dictionary_hint(name))
            return Item(found, Outcome.MANUAL, f"{wrong}.", given=args)
        return self._placed(found, args)

    def _placed(self, found: Occurrence, args: dict[str, Any]) -> Item:
        """Convert a class of MONAI, torch or Ignite in its own section."""
        section = self.section(found)
        if found.name == "TransformInverter":
            return self._as_transforms(found, args, inverting.inverter(args, section))
        if found.name == "SegmentationSaver":
            return self._as_transforms(found, args, inverting.saver(args, self.dialect.version))
        if found.place == ("train", "pre_transforms") and found.name.startswith("SaveImage"):
            return Item(found, Outcome.DROPPED, "It wrote every training crop for inspection, in every epoch.")
        notes: list[str] = []
        given, args = args, self._states(found, dict(args), notes)
        args, parts = inverting.metric(args, self.dialect.version)
        args = self._rows_first(found, args)
        if found.name in ("Lambdad", "LambdaD", "LambdaDict"):
            return self._lambda(found, given, args)
        wires = wiring.wire_arguments(found.place.key, found.name, args, section)
        row = adapt(found.name, wires, self.dialect.version)
        row = replace(row, notes=(*notes, *row.notes))
        return self.finisher.item(found, section, given, row, self._post(parts))

    def _rows_first(self, found: Occurrence, args: dict[str, Any]) -> dict[str, Any]:
        """Name the reader of pictures for MONAI 0.5, which read rows first."""
        if (
            not self.pictures
            or self.dialect is Dialect.V41
            or not found.name.startswith("LoadImage")
            or "reader" in args
        ):
            return args
        return {**args, "reader": "PILReader"}

    def _states(self, found: Occurrence, args: dict[str, Any], notes: list[str]) -> dict[str, Any]:
        """Write the content and the location of a checkpoint."""
        for name in {"CheckpointSaver": ["save_dict"], "CheckpointLoader": ["load_dict"]}.get(found.name, []):
            args[name], lost = wiring.states(args.get(name), self.known)
            if "train_conf" in lost:
                notes.append(wiring.STATES_LEFT_OUT)
            for state in set(lost) - wiring.NO_STATES:
                self.log.add("CT320", argument_place(found, name), f'{found.name}: there is no "{state}" in a bundle')
        if found.name == "CheckpointLoader":
            node = found.args.get("load_path") if found.args is not None else None
            path = str(self.values[found.place.part].variables.resolve(node)) if node is not None else ""
            args["load_path"] = wiring.checkpoint(path)
            folder = PurePosixPath(str(self.values[found.place.part].variables.values.get("MMAR_CKPT_DIR", "")))
            if path and PurePosixPath(path).parent.name != folder.name:
                notes.append(f"the bundle reads {wiring.weights_name(path)} in its models folder: copy the file there")
        return args

    def _as_transforms(self, found: Occurrence, args: Mapping[str, Any], parts: list[inverting.Part] | None) -> Item:
        if parts is None:
            text = codes_in(dict(args))[0].text
            self.log.add("CT321", found.where, f"{found.name}: {shorten(text)} has none of the known forms")
            return self.finisher.manual(found, args, UNKNOWN_CODE)
        _, why = inverting.HANDLERS[found.name]
        return Item(found, Outcome.EXACT, why, given=args, post=self._post(parts))

    def _post(self, parts: list[inverting.Part]) -> tuple[Block, ...]:
        made = [adapt(name, args, self.dialect.version) for name, args in parts]
        return tuple(block_of(row.target, row.args) for row in made)

    def _lambda(self, found: Occurrence, given: Mapping[str, Any], args: dict[str, Any]) -> Item:
        """Convert arithmetic in a string: with consent it is wrapped so that an item keeps its affine."""
        code = codes_in(args.get("func"))
        text = lambda_text(code[0].text) if len(code) == 1 else None
        if text is None or not self.trust:
            why = "Code of the MMAR on an array: pass --trust-code to wrap it for today's MetaTensor."
            arithmetic = code[0].text if code else "?"
            self.log.add("CT321", found.where, f"{found.name}: {shorten(arithmetic)} is arithmetic")
            return Item(found, Outcome.MANUAL, why, given=given)
        func = Expr(f"$lambda x: monai.utils.convert_to_dst_type(({text})(x.numpy()), x)[0]")
        row = adapt(found.name, {**args, "func": func}, self.dialect.version)
        note = "your code runs on the array, and the result keeps the affine"
        blocks = (block_of(row.target, row.args),)
        return Item(found, Outcome.EQUIVALENT, row.why, (note,), given, blocks, unused=row.unused)

    def section(self, found: Occurrence) -> str:
        """Return the bundle's section of an occurrence; an evaluation's own file becomes validate."""
        return self.values[found.place.part].section


def _check_keys(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, child in value.items():
            check_key(key)
            _check_keys(child)
    elif isinstance(value, list):
        for child in value:
            _check_keys(child)


def _is_path(path: str) -> bool:
    return path.count(".") > 0 and all(part.isidentifier() and part.isascii() for part in path.split("."))


def _is_of_library(found: Occurrence) -> bool:
    """Tell whether the class of a path's last part is one of the package that the path names."""
    then = signatures.find(found.name)
    library, dot, _ = then.target.partition(".") if then is not None else ("", "", "")
    return found.path.partition(".")[0] == (library if dot else "monai") and fits_package(found.path, found.name)
