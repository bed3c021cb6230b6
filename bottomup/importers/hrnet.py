"""What the published HRNets have in common: timm's names, how wide they are, and HigherHRNet's finer stage."""

from __future__ import annotations

from bottomup.importers.naming import Names
from bottomup.importers.published import Published

_BLOCKS = 4  # residual ones behind a transposed convolution


def sizes(published: Published, prefix: str = "") -> list[str]:
    """The overrides that say which backbone `hrnet` it is, whose names in a file begin with ``prefix``."""
    import timm  # late: it takes seconds, and most commands import no file

    width = published.size(f"{prefix}stage2.0.branches.0.0.conv1.weight")
    network = f"hrnet_w{width}"
    return ["backbone=hrnet_w32", f"backbone.network={network}" if timm.is_model(network) else f"backbone.width={width}"]


def higher_names(backbone: str = "", head: str = "") -> Names:
    """HigherHRNet's names, whose parts' in a file begin with these prefixes."""
    return (
        (r"^backbone\.network\.", backbone),
        (r"^necks\.finer\.finer\.(\d+)\.up\.", rf"{head}deconv_layers.\1.0."),
        *((rf"^necks\.finer\.finer\.(\d+)\.blocks\.{b}\.", rf"{head}deconv_layers.\1.{b + 1}.0.") for b in range(_BLOCKS)),
        (r"^heads\.(heatmap|tags)\.heads\.(\d+)\.conv\.", rf"{head}final_layers.\2."),
    )
