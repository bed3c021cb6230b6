"""What every neck must keep to, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork

from bottomup.backbones.dilated import Dilated
from bottomup.contracts import NECKS, FeatureSpec, Level, Neck, Source
from bottomup.geometry import Grid, enlarge
from bottomup.head_stack import HeadStack
from bottomup.heads.heatmap import Heatmap
from bottomup.necks._aligned_pyramid import AlignedPyramid
from bottomup.necks.deconvolution import Deconvolution
from bottomup.necks.fpn import Fpn
from bottomup.necks.higher_resolution import HigherResolution
from bottomup.necks.keypoint_pyramid import KeypointPyramid
from bottomup.skeletons import COCO
from bottomup.types import Features, Task

SIZE = (128, 256)  # a multiple of the stride of P7
CHANNELS = {"C2": 4, "C3": 6, "C4": 8, "C5": 10}
SOURCE: list[FeatureSpec] = [{name: Level(c, Grid.centred(2 ** int(name[1]))) for name, c in CHANNELS.items()}]
FINEST: list[FeatureSpec] = [{"C2": SOURCE[0]["C2"]}]
BUILD: dict[str, Callable[[list[FeatureSpec]], Neck]] = {
    "fpn": partial(Fpn, channels=8),
    "fpn [3, 7]": partial(Fpn, channels=8, levels=[3, 7]),
    "fpn [4, 4]": partial(Fpn, channels=8, levels=[4, 4]),
    "deconvolution": partial(Deconvolution, channels=8),
    "deconvolution once": partial(Deconvolution, channels=8, layers=1),
    "higher_resolution": lambda _: HigherResolution(FINEST, blocks=1),
    "higher_resolution twice": lambda _: HigherResolution(FINEST, channels=6, blocks=2, doublings=2),
    "keypoint_pyramid": partial(KeypointPyramid, channels=8, reduced=4),
    "keypoint_pyramid own": partial(KeypointPyramid, channels=8, reduced=4, intermediate="own"),
    "keypoint_pyramid plain": partial(KeypointPyramid, channels=8, reduced=4, intermediate=None, concat=False),
    "keypoint_pyramid linear": partial(KeypointPyramid, channels=8, reduced=4, smoothed="sums", reduction="linear"),
}
necks = pytest.mark.parametrize("name", BUILD)


def make_neck(name: str) -> Neck:
    torch.manual_seed(0)
    return BUILD[name](SOURCE)


def make_features(images: int = 2) -> list[Features]:
    generator = torch.Generator().manual_seed(1)
    return [
        {name: torch.randn(images, level.channels, *level.grid.shape(SIZE), generator=generator) for name, level in spec.items()}
        for spec in SOURCE
    ]


def test_all_registered_necks_are_tested_here() -> None:
    assert {name.split()[0] for name in BUILD} == set(NECKS.names())


@necks
def test_features_have_the_declared_levels_channels_and_cells(name: str) -> None:
    neck = make_neck(name)
    stages = neck(make_features())
    for features, spec in zip(stages, neck.stages, strict=True):
        assert list(features) == list(spec)
        assert [level.grid.stride for level in spec.values()] == sorted(level.grid.stride for level in spec.values())
        for level, maps in features.items():
            channels, grid, coarse = spec[level]
            assert maps.shape[1:] == (channels, *(coarse or grid).shape(SIZE))
            assert spec[level].enlarge(maps).shape[1:] == (channels, *grid.shape(SIZE))


@necks
def test_every_parameter_gets_a_gradient(name: str) -> None:
    neck = make_neck(name)
    torch.stack([maps.square().mean() for stage in neck(make_features()) for maps in stage.values()]).sum().backward()
    assert not [key for key, p in neck.named_parameters() if p.grad is None]


@necks
def test_an_image_has_the_same_features_alone_and_in_a_batch(name: str) -> None:
    neck, features = make_neck(name).eval(), make_features()  # batch norm by its statistics
    whole = neck(features)
    single = neck([{level: maps[:1] for level, maps in stage.items()} for stage in features])
    for one, all_images in zip(single, whole, strict=True):
        for level, maps in one.items():
            torch.testing.assert_close(maps, all_images[level][:1], rtol=1e-4, atol=1e-5)


@necks
def test_compiled_and_exported_equal_eager(name: str) -> None:
    neck, features = make_neck(name).eval(), make_features()
    fast = torch.compile(neck, fullgraph=True, backend="aot_eager")(features)
    exported = torch.export.export(neck, (features,)).module()(features)
    for eager, *others in zip(neck(features), fast, exported, strict=True):
        for level, maps in eager.items():
            for other in others:
                torch.testing.assert_close(other[level], maps)


def test_the_fpn_reads_the_last_stage() -> None:
    neck = Fpn([{"C4": Level(3, Grid.cornered(16))}, *SOURCE], channels=8)
    features = make_features()
    for level, maps in neck([{"C4": torch.zeros(2, 3, 1, 1)}, *features])[-1].items():
        torch.testing.assert_close(neck([{}, *features])[-1][level], maps)


def test_levels_made_beyond_the_backbone_s_need_none_that_nobody_reads() -> None:
    neck = Fpn(SOURCE, channels=8, levels=[3, 7])
    neck.keep({"P3", "P6"})
    levels = neck(make_features())[-1]
    (levels["P3"].sum() + levels["P6"].sum() + levels["P7"].sum()).backward()
    assert [name for name, parameter in neck.named_parameters() if parameter.grad is None] == []


def test_convolutions_follow_each_level_that_is_read() -> None:
    neck = Fpn(SOURCE, channels=8, levels=[2, 7], convolutions=2)
    neck.keep({"P2", "P6"})
    towers = [name for name, _ in neck.named_parameters() if name.startswith("towers")]
    assert {name.split(".")[1] for name in towers} == {"P2", "P6"} and len(towers) == 2 * 2 * 2
    assert all((maps >= 0).all() for name, maps in neck(make_features())[-1].items() if name in ("P2", "P6"))


@pytest.mark.parametrize("neck", [partial(Fpn, convolutions=2), partial(KeypointPyramid, reduced=4)])
def test_batch_norm_makes_features_those_of_any_scale_of_the_backbones(neck: Callable[..., Neck]) -> None:
    torch.manual_seed(0)
    normed, features = neck(SOURCE, channels=8, batch_norm=True), make_features()
    larger = [{level: 100 * maps for level, maps in stage.items()} for stage in features]
    for stage, of_larger in zip(normed(features), normed(larger), strict=True):
        for level, maps in stage.items():
            torch.testing.assert_close(of_larger[level], maps, rtol=1e-2, atol=1e-2)  # variances are of + 1e-5


def test_of_sums_alone_the_coarsest_level_sees_its_own_cell_only() -> None:
    """C5 is the sum of nothing: without a 3x3 convolution K5 is a linear map of each cell of it."""
    for smoothed, reach in (("all", 9), ("sums", 1)):
        neck, features = KeypointPyramid(SOURCE, channels=8, reduced=4, smoothed=smoothed), make_features(1)
        features[-1]["C5"].requires_grad_()
        *_, k5, _ = neck(features)
        k5["K5"][0, :, 1, 3].sum().backward()
        gradient = features[-1]["C5"].grad
        assert gradient is not None and int((gradient.abs().sum(1) > 0).sum()) == reach


def test_a_linear_reduction_is_one() -> None:
    maps = torch.randn(1, 8, 4, 8)
    for reduction, linear in (("relu", False), ("linear", True)):
        reduce = KeypointPyramid(SOURCE, channels=8, reduced=4, reduction=reduction).reductions["D3"]
        assert torch.allclose(reduce(maps) + reduce(-maps), 2 * reduce(0 * maps), atol=1e-5) == linear


@pytest.mark.parametrize("levels", [[2], [6, 7], [1, 5], [5, 3], [2, 6], [2, 8], [2, 3, 4, 5]])
def test_the_fpn_refuses_levels_that_it_cannot_make(levels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"levels (are|should be) "):
        Fpn(SOURCE, levels=levels)


def test_the_fpn_refuses_a_source_without_its_levels() -> None:
    with pytest.raises(ValueError, match="offers stack; use backbone pyramid"):
        Fpn([{"stack": Level(8, Grid.centred(4))}])


def test_deconvolutions_read_the_deepest_of_the_coarsest_and_halve_the_stride_each_time() -> None:
    twice = [SOURCE[0] | {"C6": Level(12, Grid.centred(32))}]
    assert Deconvolution(twice, channels=8).read == "C6"
    assert [Deconvolution(SOURCE, layers=n).stages[-1]["up"].grid.stride for n in (1, 2, 3, 4)] == [16, 8, 4, 2]


def test_a_deconvolution_moves_nothing() -> None:
    """Flipping what it reads flips what it makes, where its weights are alike from both sides."""
    neck = make_neck("deconvolution").eval()
    with torch.no_grad():
        for layer in neck.layers:
            if isinstance(layer, torch.nn.ConvTranspose2d):
                layer.weight.copy_((layer.weight + layer.weight.flip(-1)) / 2)
    features = make_features()
    (made,) = neck(features)
    (mirrored,) = neck([{name: maps.flip(-1) for name, maps in features[-1].items()}])
    torch.testing.assert_close(mirrored["up"].flip(-1), made["up"])


@pytest.mark.parametrize(
    ("source", "layers"), [(Level(8, Grid.cornered(16)), 2), (Level(8, Grid.centred(4)), 3), (Level(8, Grid.centred(12)), 3)]
)
def test_a_stride_that_cannot_be_halved_so_often_is_refused(source: Level, layers: int) -> None:
    with pytest.raises(ValueError, match="use backbone pyramid, or fewer layers"):
        Deconvolution([{"C5": source}], layers=layers)


def test_finer_stages_take_in_what_is_predicted_on_the_one_before() -> None:
    neck = HigherResolution(FINEST, channels=6, blocks=1, doublings=2)
    neck.connect(3)
    asked = []

    def feed_back(features: Features, stage: int) -> torch.Tensor:
        (maps,) = features.values()
        asked.append((stage, maps.shape[-1]))
        return maps.new_full((len(maps), 3, *maps.shape[-2:]), fed[stage])

    fed = [0.0, 0.0]
    first = neck.eval()(make_features(), feed_back)
    assert asked == [(0, SIZE[1] // 4), (1, SIZE[1] // 2)]
    fed = [0.0, 1.0]
    second = neck(make_features(), feed_back)
    alike = [torch.equal(*(stage[name] for stage in pair)) for pair in zip(first, second, strict=True) for name in pair[0]]
    assert alike == [True, True, False]


def test_a_finer_stage_is_not_built_on_a_pyramid() -> None:
    with pytest.raises(ValueError, match="offers C2, C3, C4, C5, the coarser of which would come to nothing"):
        HigherResolution(SOURCE)


@pytest.mark.parametrize("source", [Level(8, Grid.cornered(4)), Level(8, Grid.centred(1))])
def test_a_stride_that_has_no_half_is_refused(source: Level) -> None:
    with pytest.raises(ValueError, match="neck higher_resolution: 1 doublings"):
        HigherResolution([{"C2": source}])


@pytest.mark.parametrize("grid", [Grid.cornered(16), Grid.centred(12)])
def test_the_fpn_refuses_grids_that_are_not_nested(grid: Grid) -> None:
    with pytest.raises(ValueError, match="nested"):
        Fpn([SOURCE[0] | {"C4": Level(8, grid)}])


def test_where_cells_tile_the_image_the_pyramid_is_torchvisions() -> None:
    torch.manual_seed(0)
    levels = {name: level for name, level in SOURCE[0].items() if name in ("C2", "C3", "C4", "C5")}
    ours = AlignedPyramid(list(levels.values()), 8)
    theirs = FeaturePyramidNetwork([level.channels for level in levels.values()], 8)
    theirs.load_state_dict(ours.state_dict())
    features = {name: maps for name, maps in make_features()[0].items() if name in levels}
    for name, maps in theirs(features).items():
        torch.testing.assert_close(ours(features)[name], maps)


@pytest.mark.parametrize("kind", [Grid.centred, Grid.cornered])
def test_enlarging_moves_nothing(kind: Callable[[int], Grid]) -> None:
    """A map that holds its own cells' centres holds, on a finer grid, centres at most half a coarse cell off."""
    coarse, fine = kind(16), kind(4)
    side = 64 + (1 if kind == Grid.cornered else 0)
    centres = coarse.centres(coarse.cells(side), torch.zeros(1))
    maps = centres[None, None, :, None].expand(1, 1, -1, len(centres))
    enlarged = enlarge(maps, coarse, fine, fine.shape((side, side)))[0, 0, :, 0]
    off = enlarged - fine.centres(fine.cells(side), torch.zeros(1))
    assert off.abs().max() <= 8 and off.mean().abs() <= 2  # a tie goes one way


def test_pyramids_stand_on_a_dilated_network_at_any_stride() -> None:
    for stride in (8, 16, 32):
        backbone = Dilated(network="resnet18", output_stride=stride, levels=(2, 5)).eval()
        people = Fpn(backbone.stages, channels=8, levels=[3, 7])
        keypoints = KeypointPyramid(backbone.stages, channels=8, reduced=4)
        features = backbone(torch.zeros(1, 3, 257, 257))
        for neck in (people, keypoints):
            for stage, found in zip(neck.stages, neck(features), strict=True):
                for name, level in stage.items():
                    assert level.enlarge(found[name]).shape[-2:] == level.grid.shape((257, 257)), (stride, name)


@pytest.mark.parametrize("grid", [Grid.centred, Grid.cornered])
def test_what_heads_make_of_coarse_levels_is_enlarged_instead_of_the_levels(grid: Callable[[int], Grid]) -> None:
    """A 1x1 convolution commutes with enlarging: the same maps and gradients, of features that stay as small as they are."""
    source: list[FeatureSpec] = [{name: Level(level.channels, grid(level.grid.stride)) for name, level in SOURCE[0].items()}]
    neck = KeypointPyramid(source, channels=8, reduced=4)
    size = (128, 256) if grid == Grid.centred else (129, 257)
    read = [{name: torch.randn(1, level.channels, *level.grid.shape(size)) for name, level in source[0].items()}]
    stages = neck(read)
    assert sum(maps.numel() for stage in stages[1:-1] for maps in stage.values()) < stages[0]["K2"].numel() / 2
    for features, spec in zip(stages, neck.stages, strict=True):
        head = Heatmap(Source(spec), Task(COCO), criterion="mse")
        stack = HeadStack([head], [tuple(spec)], "keypoints")
        (level,), (maps,) = spec.values(), features.values()
        made, plain = stack.run(-1, features, {})["heatmap"], head.conv(level.enlarge(maps))
        torch.testing.assert_close(made, plain, atol=1e-6, rtol=0)
        assert made.shape[-2:] == head.grids["heatmap"].shape(size)
        wanted = torch.rand_like(made)
        gradients = [torch.autograd.grad((it - wanted).square().mean(), maps, retain_graph=True)[0] for it in (made, plain)]
        torch.testing.assert_close(*gradients, atol=1e-6, rtol=0)


def test_heads_that_look_around_get_enlarged_features() -> None:
    neck = make_neck("keypoint_pyramid")
    features, spec = neck(make_features())[1], neck.stages[1]

    class Wide(Heatmap):
        pointwise = False

    head = Wide(Source(spec), Task(COCO))
    stack = HeadStack([head], [tuple(spec)], "keypoints")
    maps = spec["K3"].enlarge(features["K3"])
    torch.testing.assert_close(stack.run(-1, features, {})["heatmap"], head.conv(maps))
