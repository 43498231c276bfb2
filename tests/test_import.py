"""Whoever is imported first: nothing heavy before it is needed, and MONAI's bundle parser finds the short names."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARSE = 'ConfigParser({"op": {"_target_": "DiceMaskedOutput", "tags": ["dice"]}, "imports": ["$import monai_auxops"]})'
ORDERS = {
    "a name of ours first": "from monai_auxops import AuxStatsHandler; from monai.bundle import ConfigParser",
    "monai first": "import monai; from monai.bundle import ConfigParser",
    "monai_auxops first": "import monai_auxops; from monai.bundle import ConfigParser",
    "a part of it first": "import monai_auxops.migrate; import monai; from monai.bundle import ConfigParser",
    "only the bundle": "from monai.bundle import ConfigParser",
}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_parser_finds_short_names(order):
    assert run(f"{order}; print({PARSE}.get_parsed_content('op'))") == "DiceMaskedOutput(tags=('dice',))"


@pytest.mark.parametrize("module", ["core.context", "ops.dice_base", "handlers"])
def test_every_module_can_be_the_first(module):
    assert (
        run(f"import monai_auxops.{module}, monai_auxops; print(monai_auxops.ComputeDice('d'))")
        == "ComputeDice(tag='d')"
    )


def test_monai_looks_as_it_would_without_us():
    attributes = "monai.__spec__.loader.__class__.__name__, monai.__file__, monai.__loader__.__class__.__name__"
    with_us = run(f"import monai_auxops, monai; print({attributes})")
    assert with_us == run(f"import monai; print({attributes})")


def test_nothing_heavy_is_loaded_before_it_is_needed():
    heavy = "{'torch', 'monai', 'ignite', 'numpy'} & set(sys.modules)"
    assert run(f"import sys, monai_auxops; print({heavy})") == "set()"
