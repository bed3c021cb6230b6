"""What the published HRNets have in common: timm's names, and how wide they are."""

from __future__ import annotations

import timm

from bottomup.importers.published import Published


def sizes(published: Published, prefix: str) -> list[str]:
    """The overrides that say which backbone `hrnet` it is, whose names begin with ``prefix`` in a file."""
    width = published.size(f"{prefix}stage2.0.branches.0.0.conv1.weight")
    network = f"hrnet_w{width}"
    return ["backbone=hrnet_w32", f"backbone.network={network}" if timm.is_model(network) else f"backbone.width={width}"]
