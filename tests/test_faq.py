"""The FAQ explains every warning about data that contradicts the options."""

from __future__ import annotations

import copy
import inspect
import math
import re
import warnings
from pathlib import Path

import pytest
import torch

from monai_auxops import ComputeDice, NegLoss
from monai_auxops.ops import contradictions
from tests.ops.test_contradictions import FOUR, SAID, WIDE

FAQ = Path(__file__).parents[1] / "docs" / "faq.md"


def warned(op, predictions, label, **rest):
    """Return the warning of an epoch of one batch, without the op's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        op = copy.deepcopy(op)
        op._warned = set()
        op.reset()
        op(predictions, label, **rest)
        op.aggregate()
    return str(caught[-1].message).removeprefix(f"{op!r}: ")


def faq_rows():
    text = FAQ.read_text(encoding="utf-8").split("## What does a warning at the end of an epoch mean?")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_faq_explains_every_warning_and_names_its_remedies():
    messages = [warned(op, predictions, label) for op, predictions, label, _ in SAID.values()]
    messages.append(warned(ComputeDice("d", skip_background=True), WIDE, torch.zeros_like(FOUR)))
    messages.append(warned(NegLoss("n"), WIDE, FOUR, loss=torch.tensor(math.nan)))
    used = set()
    for message in messages:
        found = [row for row in faq_rows() if re.search(re.escape(row[0]).replace("…", ".+"), message)]
        assert len(found) == 1, message
        used.add(found[0][0])
        remedies = set(re.findall(r"pass (\w+)=|leave out (\w+)=|with (\w+)=|(\w+)= on it", message))
        for option in filter(None, (name for names in remedies for name in names)):
            assert f"`{option}=" in found[0][2], message
    assert used == {row[0] for row in faq_rows()}


@pytest.mark.parametrize("arguments", [(1, 1), (1, 3)])
def test_the_faq_explains_every_message_of_the_module(arguments):
    number, channels = arguments
    texts = [
        contradictions.no_class(number, channels),
        contradictions.unknown_labels(number, "labels", channels),
        contradictions.not_probabilities(number, 1, 0.5, channels),
        contradictions.already_probabilities("use_sigmoid=True"),
        contradictions.overlap(number, 1, "pass is_independent_predictions=True"),
    ]
    functions = [name for name, f in vars(contradictions).items() if inspect.isfunction(f) and _is_message(f)]
    assert len(texts) == len(functions), functions
    for text in texts:
        assert any(re.search(re.escape(row[0]).replace("…", ".+"), text) for row in faq_rows()), text


def _is_message(function):
    return function.__module__ == contradictions.__name__ and inspect.signature(function).return_annotation == "str"
