"""Whichever is imported first: nothing heavy is loaded early, and MONAI's bundle parser finds the short names."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARSE = 'ConfigParser({"op": {"_target_": "DiceMaskedOutput", "tags": ["dice"]}, "imports": ["$import monai_auxops"]})'
ORDERS = {
    "a name of ours first": "from monai_auxops import AuxStatsHandler; from monai.bundle import ConfigParser",
    "monai first": "import monai; from monai.bundle import ConfigParser",
    "monai_auxops first, and a name of it": "import monai_auxops as ma; ma.ComputeDice; "
    "from monai.bundle import ConfigParser",
    "a probe before the import": "import importlib.util as u; u.find_spec('monai'); u.find_spec('monai_auxops'); "
    "from monai.bundle import ConfigParser",
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


def test_the_import_system_is_left_alone():
    finders = "[getattr(finder, '__name__', type(finder).__name__) for finder in sys.meta_path]"
    assert run(f"import sys; before = {finders}; import monai_auxops; print(before == {finders})") == "True"


def test_nothing_heavy_is_loaded_before_it_is_needed():
    heavy = "{'torch', 'monai', 'ignite', 'numpy'} & set(sys.modules)"
    assert run(f"import sys, monai_auxops; print({heavy})") == "set()"
