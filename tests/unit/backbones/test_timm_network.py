"""What timm cannot give is refused when a model is composed, in words."""

from __future__ import annotations

import pytest
import timm

from bottomup.backbones.dilated import Dilated
from bottomup.backbones.pyramid import Pyramid


def test_a_misspelt_network_names_a_few_near_ones() -> None:
    with pytest.raises(ValueError, match="near ones: resnet50") as caught:
        Pyramid(network="resnet5O")
    assert len(str(caught.value)) < 300


def test_a_network_may_name_its_weights() -> None:
    tagged = Pyramid(network="test_resnet.r160_in1k")
    assert tagged.stages == Pyramid(network="test_resnet").stages


@pytest.mark.parametrize("network", ["densenet121", "hrnet_w18_small"])
def test_a_network_that_cannot_be_dilated_names_those_that_can(network: str) -> None:
    with pytest.raises(ValueError, match=r"networks that dilate: resnet\*"):
        Dilated(network=network)


def test_cells_that_lie_elsewhere_than_the_grid_says_are_refused() -> None:
    """A ConvNeXt cuts the image into squares: n·s + 1 px give n cells."""
    with pytest.raises(ValueError, match="test_convnext gives maps"):
        Dilated(network="test_convnext")


def test_a_network_of_one_input_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Pyramid(network="swin_tiny_patch4_window7_224")


def test_weights_that_cannot_be_fetched_name_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: object) -> object:
        if pretrained:
            raise FileNotFoundError("no network")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ValueError, match=r"could not be fetched.*backbone\.weights=PATH"):
        Pyramid(network="test_resnet", pretrained=True)
