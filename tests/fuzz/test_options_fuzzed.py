"""Whatever is typed is a configuration, or one sentence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bottomup.engine.settings import Settings
from bottomup.plan.data import DataPlan
from bottomup.plan.judging import evaluate_plan
from bottomup.plan.model import ModelPlan
from bottomup.plan.predicting import predict_plan
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.workflows.samples import training_set
from tests.fuzz.outcomes import outcome
from tests.fuzz.strategies import JUNK, changed

KEYS = [
    *("input_size", "side", "scales", "head_scales", "flip", "views", "batch_size", "precision", "max_people", "limit", "seed"),
    *("workers", "backbone", "backbone.name", "backbone.channels", "heads", "heads.heatmap", "heads.heatmap.sigma"),
    *("heads.tags.weight", "decoder", "decoder.name", "decoder.window", "data", "data.split", "data.max_people", "necks"),
    *("engine.steps", "engine.batch_size", "engine.clip", "engine.optimiser", "engine.optimiser.lr", "engine.average"),
    *("engine.schedule", "augment", "augment.rotate", "augment.scale", "given", "freeze", "trained", "oracle", "output"),
    *("experiment", "method", "nonsense", "validation.limit"),
]
LITERALS = [
    *(
        "",
        "null",
        "true",
        "-1",
        "0",
        "1",
        "[1]",
        "[1,2]",
        "{}",
        "{a: 1}",
        "[[[[[[[[1]]]]]]]]",
        "nan",
        "inf",
        "1e400",
        "10**9",
        "..",
    ),
    *("a b", "'a,b'", "${seed}", "${nothing}", "???", "1,2", "~", "@", "=", "{heatmap: {sigma: x}}", "99999999999999999999"),
    *("[" * 300, "é", "/etc/passwd"),
]
VALUES = st.one_of(st.sampled_from(LITERALS), st.text(max_size=10), JUNK.map(str))
SIGNS = st.sampled_from(["", "", "", "+", "++", "~"])
PLANS = {"train": train_plan, "evaluate": evaluate_plan, "predict": predict_plan}
WHOLE = train_plan(["experiment=demo/associative_embedding"]).plain()


@st.composite
def override(draw: st.DrawFn) -> str:
    sign, key = draw(SIGNS), draw(st.sampled_from(KEYS) | st.text(max_size=8))
    return sign + key + draw(st.sampled_from(["=", "=", "=", ""])) + draw(VALUES)


@given(command=st.sampled_from(sorted(PLANS)), overrides=st.lists(override(), min_size=1, max_size=2))
def test_anything_typed(command: str, overrides: list[str]) -> None:
    outcome("options", lambda: PLANS[command](["experiment=demo/associative_embedding", *overrides]))


@given(plain=changed(WHOLE["data"]))
def test_plain_data_of_data_sets(plain: dict[str, object]) -> None:
    outcome("options", lambda: DataPlan.of(plain))


@given(plain=changed(WHOLE["engine"]))
def test_plain_data_of_engines(plain: dict[str, object]) -> None:
    outcome("options", lambda: Settings.of(plain))


@given(plain=changed({key: WHOLE[key] for key in ("method", "backbone", "necks", "heads", "decoder", "input_size", "side")}))
def test_plain_data_of_models(plain: dict[str, object]) -> None:
    outcome("options", lambda: ModelPlan.of(plain))


def test_the_whole_is_a_configuration() -> None:
    plan = train_plan(["experiment=demo/associative_embedding"])
    model, _ = ModelPlan.of(WHOLE).compose(Task(COCO))
    assert training_set(plan, plan.data.dataset("train", 4), model)[(0, 0)].image is not None
