"""Optimizers. Clara's take any argument of their TensorFlow class; an L2 term of the model becomes weight decay."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.kinds import flag, number
from monai_auxops.migrate.rules.values import OMIT, A, F

_PARAMS = Expr("$@network.parameters()")
_RATE = Param("learning_rate", OMIT, number)
_DECAY = F(lambda facts: facts.weight_decay or OMIT)
_REGULARIZED = Caveat(
    lambda facts: bool(facts.weight_decay),
    "the model's regularization, a term of Clara's total loss, becomes weight_decay",
    Outcome.APPROXIMATE,
)
_LOCKING = Param("use_locking", False, note="PyTorch updates in one thread")


_LEARNING_RATE = F(
    lambda learning_rate: Expr("@learning_rate") if learning_rate is OMIT else learning_rate,
)


def _betas(first: float, second: float) -> tuple[tuple[Param, ...], F]:
    params = (Param("beta1", first, number), Param("beta2", second, number), Param("epsilon", 1e-8, number))
    return params, F(lambda beta1, beta2: [beta1, beta2])


_ADAM_PARAMS, _ADAM_BETAS = _betas(0.9, 0.999)
_NOVOGRAD_PARAMS, _NOVOGRAD_BETAS = _betas(0.95, 0.99)

OPTIMIZERS: Final = (
    Rule(
        name="Adam",
        section=Section.OPTIMIZER,
        params=(_RATE, *_ADAM_PARAMS, _LOCKING),
        targets=(
            T(
                "torch.optim.Adam",
                params=_PARAMS,
                lr=_LEARNING_RATE,
                betas=_ADAM_BETAS,
                eps=A("epsilon"),
                weight_decay=_DECAY,
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same update up to where TensorFlow adds epsilon.",
        clara="TensorFlow's AdamOptimizer.",
        caveats=(_REGULARIZED,),
    ),
    Rule(
        name="Momentum",
        section=Section.OPTIMIZER,
        params=(_RATE, Param("momentum", 0.9, number), Param("use_nesterov", False, flag), _LOCKING),
        targets=(
            T(
                "torch.optim.SGD",
                params=_PARAMS,
                lr=_LEARNING_RATE,
                momentum=A("momentum"),
                nesterov=A("use_nesterov"),
                weight_decay=_DECAY,
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same update.",
        clara="TensorFlow's MomentumOptimizer.",
        caveats=(_REGULARIZED,),
    ),
    Rule(
        name="NovoGrad",
        section=Section.OPTIMIZER,
        params=(
            _RATE,
            *_NOVOGRAD_PARAMS,
            Param("weight_decay", 0.0, number),
            Param("grad_averaging", False, flag),
            Param("use_nesterov", False, flag, note="MONAI's has no Nesterov form"),
        ),
        targets=(
            T(
                "Novograd",
                params=_PARAMS,
                lr=_LEARNING_RATE,
                betas=_NOVOGRAD_BETAS,
                eps=A("epsilon"),
                weight_decay=F(lambda weight_decay, facts: weight_decay or facts.weight_decay),
                grad_averaging=A("grad_averaging"),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="MONAI's is the Adam-like form of the same method; Clara's defaults (0.95, 0.99) replace MONAI's.",
        clara="Layer-wise normalized gradients with momentum.",
        caveats=(_REGULARIZED,),
    ),
)
