"""What a student learns from the teacher's lists."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def listwise(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of the two softmaxes over each list (n, length)."""
    log_student = functional.log_softmax(student, dim=1)
    return functional.kl_div(
        log_student, functional.log_softmax(teacher / temperature, dim=1), reduction="batchmean", log_target=True
    )


def margin_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared error of the margins of the first passage over the others (Hofstaetter et al. 2020, arXiv:2010.02666)."""
    return functional.mse_loss(student[:, :1] - student[:, 1:], teacher[:, :1] - teacher[:, 1:])
