"""The number formats that networks run in."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "fp16"]
Asked = Literal["auto"] | Precision
PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_on(device: torch.device, asked: Asked) -> Precision:
    """What was asked for; of "auto" bf16 where the device has instructions for it, and fp32 elsewhere.

    A processor without them multiplies matrices of bf16 forty times as slowly as those of float32.
    """
    if asked != "auto":
        return asked
    return "bf16" if _computes_bf16(device) else "fp32"


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
