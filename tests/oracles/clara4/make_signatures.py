"""Merge what `list_signatures.py` printed in several environments into the table that the migrator reads.

python make_signatures.py OLD.json … TODAY.json > monai_auxops/migrate/clara4/signatures.json
"""

import json
import sys
from pathlib import Path


def target_of(item, ambiguous):
    """Return what a bundle names: MONAI's short name where it is the only one of it."""
    short = item["module"].startswith("monai.") and item["class"] not in ambiguous
    return item["class"] if short else "{}.{}".format(item["module"], item["class"])


def change(old, today):
    """Return how a class of an old version differs from today's: arguments gone, not yet there, other defaults."""
    now = today["args"] if today else {}
    gone = sorted(name for name in old["args"] if name not in now)
    new = sorted(name for name in now if name not in old["args"])
    kept = {name: value for name, value in sorted(old["args"].items()) if name in now and now[name] != value}
    defaults = {name: value for name, value in kept.items() if value != "<required>" and "lambda" not in str(value)}
    named = {"gone": gone, "new": new, "defaults": defaults}
    if old["others"]:
        named["others"] = True
    if today is None:
        named["args"] = old["args"]
        named["gone"] = []
    return {key: value for key, value in named.items() if value}


def history(name, olds, today):
    """Return [version, change] for each version in which the class came or changed; None where it did not exist."""
    found = []
    for table in olds:
        old = table["classes"].get(name)
        item = change(old, today) if old else None
        if not found or found[-1][1] != item:
            found.append([table["monai"], item])
    return found[1:] if len(found) > 1 and found[0][1] is None else found


def is_alias(name, tables):
    """Tell a second name (`RandFlipD`, `Unet`) of a class that has the same first name in every version."""
    firsts = {table["classes"][name]["class"] for table in tables if name in table["classes"]}
    first = next(iter(firsts))
    same = [table for table in tables if (name in table["classes"]) != (first in table["classes"])]
    return len(firsts) == 1 and first != name and not same


def main(paths):
    """Print the table."""
    tables = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    *olds, last = tables
    names = sorted(set().union(*(table["classes"] for table in tables)))
    aliases = {
        name: next(table["classes"][name]["class"] for table in tables if name in table["classes"])
        for name in names
        if is_alias(name, tables)
    }
    rows = {name: row_of(name, olds, last) for name in names if name not in aliases}
    lines = ['{{"monai": {}, "aliases": {},'.format(json.dumps(last["monai"]), json.dumps(aliases)), '"classes": {']
    lines += [",\n".join(f"{json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in rows.items())]
    sys.stdout.write("\n".join([*lines, "}}"]) + "\n")


def row_of(name, olds, last):
    """Return what the table says of one class."""
    today = last["classes"].get(name)
    row = {"history": history(name, olds, today)}
    if today is not None:
        row.update({"target": target_of(today, last["ambiguous"]), "args": today["args"]})
        if today["others"]:
            row["others"] = True
        if today["kinds"]:
            row["kinds"] = today["kinds"]
    return row


if __name__ == "__main__":
    main(sys.argv[1:])
