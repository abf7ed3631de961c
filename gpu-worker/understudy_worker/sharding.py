"""Tensors of which a rank may hold only a part."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def full(tensor: Tensor) -> Tensor:
    """The whole tensor. Every rank must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, whole: Tensor) -> Tensor:
    """A new tensor with the values of `whole`, which every rank has, placed and cut as `tensor` is."""
    if isinstance(tensor, DTensor):
        return distribute_tensor(whole.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None)
    return torch.empty_like(tensor, dtype=whole.dtype).copy_(whole)
