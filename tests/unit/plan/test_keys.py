"""Which keys there are at every level, and what stays of a component's options where another one is named."""

from __future__ import annotations

import pytest

from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config, with_typed
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan
from bottomup.plan.training import train_plan


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_key_that_is_there_may_have_a_plus_before_it(sign: str) -> None:
    config = load_config("train", [f"{sign}engine.steps=3", f"{sign}input_size=96", f"{sign}heads.segmentation={{}}"])
    assert (config["engine"]["steps"], config["input_size"], config["heads"]["segmentation"]) == (3, 96, {})


@pytest.mark.parametrize("sign", ["", "+", "++"])
@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("batch_size", "engine.batch_size"),
        ("sigma", "heads.heatmap.sigma"),
        ("validation.maxpeople", "validation.max_people"),
        ("backbone.stack", "backbone.stacks"),
        ("engine.schedule.warm_up", "engine.schedule.warmup"),
    ],
)
def test_a_key_that_is_not_there_is_refused_with_the_one_that_was_meant(sign: str, key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"no key named '{key}'; did you mean {meant}\?"):
        load_config("train", [f"{sign}{key}=4"])


@pytest.mark.parametrize(
    ("typed", "gone"),
    [
        (["method=personlab", "engine.optimiser.name=adam"], ("engine", "optimiser", "momentum")),
        (["method=personlab", "engine.optimiser={name: adam}"], ("engine", "optimiser", "momentum")),
        (["backbone.name=dilated"], ("backbone", "growth")),
        (["method=multiposenet", "necks.people.name=keypoint_pyramid"], ("necks", "people", "levels")),
        (["heads.tags.name=short_offsets"], ("heads", "tags", "dim")),
        (["experiment=demo/associative_embedding", "decoder.name=prn"], ("decoder", "tag_threshold")),
        (["experiment=demo/associative_embedding", "data.name=coco"], ("data", "height")),
    ],
    ids=lambda value: " ".join(value),
)
def test_options_of_another_component_that_nobody_typed_are_left_out(typed: list[str], gone: tuple[str, ...]) -> None:
    *place, option = gone
    before, after = (
        load_config("train", [text for text in typed if text.startswith(("method", "exp"))]),
        load_config("train", typed),
    )
    for name in place:
        before, after = before[name], after[name]
    assert option in before and option not in after


def test_options_that_were_typed_are_never_left_out() -> None:
    named = ["method=personlab", "engine.optimiser.name=adam", "engine.optimiser.momentum=0.5"]
    with pytest.raises(ConfigError, match=r"no key named 'engine\.optimiser\.momentum'"):
        load_config("train", named)
    with pytest.raises(ConfigError, match=r"no key named 'engine\.optimiser\.momentum'"):
        load_config("train", ["method=personlab", "engine.optimiser={name: adam, momentum: 0.5}"])
    for typed, meant in (("heads={tags: {dimm: 2}}", "heads.tags.dim"), ("backbone={stack: 2}", "backbone.stacks")):
        with pytest.raises(ConfigError, match=rf"did you mean {meant}\?"):
            load_config("train", [typed])


def test_what_is_typed_lies_on_what_was_saved() -> None:
    saved = {"decoder": {"name": "personlab", "radius": 9}, "heads": {"a": {}, "b": {"sigma": 1}}, "input_size": 3}
    composed = {"decoder": {"name": "prn", "window": 5}, "heads": {"b": {"sigma": 2}, "c": {}}, "input_size": 7}
    assert with_typed(saved, composed, []) == saved
    assert with_typed(saved, composed, ["decoder=prn"])["decoder"] == composed["decoder"]
    assert with_typed(saved, composed, ["decoder.window=5"])["decoder"] == {"name": "personlab", "radius": 9, "window": 5}
    assert with_typed(saved, composed, ["~heads.a", "heads.b.sigma=2", "+heads.c={}"])["heads"] == {"b": {"sigma": 2}, "c": {}}
    assert saved["heads"] == {"a": {}, "b": {"sigma": 1}}  # untouched


def test_a_checkpoint_s_decoder_judges_the_options_that_are_typed() -> None:
    saved = ModelPlan.of(load_config("train", ["method=personlab"])).carried()
    own = ModelPlan.of(load_config("predict", ["decoder.masks=exclusive"]))
    decoder = own.of_checkpoint(saved, ["decoder.masks=exclusive"]).decoder
    assert decoder is not None and (decoder.name, decoder.options["masks"]) == ("personlab", "exclusive")
    with pytest.raises(ConfigError, match=r"did you mean decoder\.masks\?"):
        ModelPlan.of(load_config("predict", ["decoder.maskz=1"])).of_checkpoint(saved, ["decoder.maskz=1"])
    named = ModelPlan.of(load_config("predict", ["decoder.name=prn"])).of_checkpoint(saved, ["decoder.name=prn"]).decoder
    assert named is not None and (named.name, dict(named.options)) == ("prn", {})


def test_a_checkpoint_s_data_are_taken_unless_others_are_chosen() -> None:
    saved = train_plan(["data=synthetic", "data.size=64", "data.split=train", "data.keep=true"]).data.carried()
    assert "split" not in saved and "keep" not in saved

    def taken(*typed: str) -> DataPlan:
        return DataPlan.of(load_config("evaluate", [*typed, "weights=a.pt"])["data"]).of_checkpoint(saved, typed)

    assert (taken().name, taken().options, taken().called("val")) == ("synthetic", {"size": 64}, "synthetic, val")
    assert taken("data.split=test", "data.images=3").called("val") == "synthetic, test"
    assert taken("data.images=3").options == {"size": 64, "images": 3}
    assert taken("data=synthetic").options == {}
    with pytest.raises(ConfigError, match=r"did you mean data\.size\?"):
        taken("data.siz=3")
