"""The command as a user types it; reports answer at once and load neither torch nor MONAI."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from monai_auxops.cli import main
from monai_auxops.migrate.codes import CODES
from monai_auxops.migrate.rules import RULES

MMAR = Path(__file__).parent / "golden" / "brats" / "source"
HEAVY = ("torch", "monai", "ignite", "numpy")
LIGHT = [
    ["--help"],
    ["migrate", "--help"],
    ["explain", "DiceMaskedOutput"],
    ["explain", "CT503"],
    ["components"],
    ["components", "--format", "markdown"],
    ["migrate", str(MMAR)],
    ["migrate", str(MMAR), "--diff"],
    ["migrate", str(MMAR), "--format", "html"],
    ["migrate", str(MMAR), "--format", "json", "--set", "epochs=3"],
]
PROBE = f"""
import sys
from monai_auxops.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", LIGHT, ids=lambda arguments: " ".join(arguments[:1] + arguments[-1:])[-40:])
def test_reports_load_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert done.stdout


def seconds(*arguments):
    """Return the processor time of a command: a busy machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def import_of_torch():
    return min(seconds("-c", "import torch") for _ in range(3))


@pytest.mark.parametrize("arguments", [*LIGHT, ["explain", "NegLoss"]], ids=lambda a: " ".join(a[:1] + a[-1:])[-40:])
def test_an_answer_comes_at_once(arguments, import_of_torch):
    """Before what computes could have been imported."""
    assert min(seconds("-m", "monai_auxops", *arguments) for _ in range(3)) < import_of_torch


def test_ten_thousand_components_take_ten_times_a_thousand(tmp_path):
    arguments = {"fields": "image", "a_min": 0, "a_max": 1, "b_min": 0, "b_max": 1}
    transform = {"name": "ScaleIntensityRange", "args": arguments}
    config = json.loads((MMAR / "config" / "config_train.json").read_text())
    times = []
    for number in (1_000, 10_000):
        config["train"]["pre_transforms"] = [transform] * number
        path = tmp_path / "config_train.json"
        path.write_text(json.dumps(config, indent=2))
        times.append(seconds("-m", "monai_auxops", "migrate", str(path)))
    assert times[1] < 10 * times[0]  # less, for both start the interpreter


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_component_is_explained(rule, capsys):
    assert main(["explain", rule.name.lower()]) == 0
    text = capsys.readouterr().out
    assert rule.why.split()[0] in text
    assert all(param.name in text for param in rule.params)
    assert all(len(line) <= 80 or " " not in line.strip() for line in text.splitlines())


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code, capsys):
    assert main(["explain", code]) == 0
    assert CODES[code].title in capsys.readouterr().out


def test_an_unknown_name(capsys):
    assert main(["explain", "DiceMaskedOutpt"]) == 2
    assert 'did you mean "DiceMaskedOutput"' in capsys.readouterr().err
    assert main(["explain", "zzzzzzzz"]) == 2
    assert "components" in capsys.readouterr().err


def test_the_table_has_every_row(capsys):
    assert main(["components", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    older = lines[: lines.index("")] if "" in lines else lines
    assert len(older) == len(RULES) + 2
    assert all(line.count(" | ") == 4 for line in older)
    assert main(["components", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= len(RULES)
    assert main(["components"]) == 0
    assert "DiceMaskedOutput" in capsys.readouterr().out


def test_reports_fit_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main(["migrate", str(MMAR), "--verbose"])
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines() if "monai-auxops migrate" not in line)
    main(["migrate", str(MMAR), "--diff"])
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


def test_colors_only_where_a_terminal_shows_them(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["migrate", str(MMAR)])
    assert "\033[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["migrate", str(MMAR)])
    assert "\033[" not in capsys.readouterr().out


def test_a_closed_pipe_is_not_an_error():
    command = f"{sys.executable} -m monai_auxops components | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_a_check_says_what_it_found(capsys, monkeypatch):
    passed = {"ok": True, "message": "two iterations"}
    monkeypatch.setattr("monai_auxops.migrate.trial.trial.run_child", lambda *_: passed)
    assert main(["migrate", str(MMAR), "--check"]) == 0
    assert "Check passed: two iterations." in capsys.readouterr().out


def test_usage_errors():
    with pytest.raises(SystemExit) as error:
        main(["migrate"])
    assert error.value.code == 2


def test_an_op_is_described_before_its_migration(capsys):
    assert main(["explain", "DiceMaskedOutput"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("DiceMaskedOutput\n\nDice with a tag per class")
    assert text.index("skip_background: leave out class 0") < text.index("In Clara Train")
    assert main(["explain", "MetricOpp"]) == 2
    assert 'did you mean "MetricOp"' in capsys.readouterr().err


@pytest.mark.parametrize(("argument", "owner"), [
    ("class_names", "ComputeDice, DiceMaskedOutput"),
    ("ignore_index", "ComputeDice, DiceMaskedOutput"),
    ("report_path", "every aux-op"),
])  # fmt: skip
def test_an_argument_names_the_ops_that_accept_it(capsys, argument, owner):
    assert main(["explain", argument]) == 0
    assert f"\n  {owner}: " in capsys.readouterr().out


def test_an_argument_is_described_once_for_an_op(capsys):
    assert main(["explain", "skip_background"]) == 0
    assert capsys.readouterr().out.count(" leave out class 0.\n") == 2  # ComputeDice and DiceMaskedOutput


def test_a_long_argument_keeps_its_destination_in_the_column(capsys):
    assert main(["explain", "DiceMaskedOutput"]) == 0
    after = capsys.readouterr().out.partition("    is_independent_predictions=False\n")[2]
    assert after.startswith(" " * 36 + "DiceMaskedOutput(is_independent_predictions);\n" + " " * 36)


def test_without_a_command_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 0
    assert "first steps:" in capsys.readouterr().out


def test_a_console_that_lacks_a_letter_ends_no_command():
    told = subprocess.run(
        [sys.executable, "-c", "from monai_auxops.cli import main; main(['explain', 'CT101']); print('0.8 ± 0.1')"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, rb"0.8 \xb1 0.1")
