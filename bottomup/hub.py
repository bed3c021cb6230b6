"""Sharing a trained model: a folder, or a repository of a hub, that ``bottomup.load`` and ``weights=`` read by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard, ModelHubMixin

from bottomup.checkpoint import Checkpoint, load_checkpoint, save_folder
from bottomup.plan.model import ModelPlan
from bottomup.zoo.hub import downloaded
from bottomup.zoo.weights import checkpoint_file

_CARD = """---
{{ card_data }}
---

# {{ title }}

{{ description }}

```python
import bottomup

people = bottomup.load("{{ name }}")("photo.jpg").instances  # those worth showing, best first
people.keypoints  # (people, K, 2) px of the photo, NaN = not found
```

or `bottomup predict weights={{ name }} images=photo.jpg`.

| | |
|---|---|
{% for what, value in facts.items() -%}
| {{ what }} | {{ value }} |
{% endfor %}
{{ note }}
"""
_NO_NOTE = "What it was trained on, and what may be done with it, its author says here."


class Pretrained(
    ModelHubMixin,
    library_name="bottomup",
    pipeline_tag="keypoint-detection",
    tags=["bottomup", "pose-estimation"],
    model_card_template=_CARD,
):
    """A trained model as hubs keep it: ``save_pretrained(FOLDER)``, ``push_to_hub(NAME)``, ``from_pretrained(FOLDER or NAME)``.

    ``checkpoint`` holds the weights that predict, the averaged ones where there are, and the configuration of the model with
    its decoder; they come back bit for bit. The methods are those of huggingface_hub's mixin, with its options. Of the model card,
    README.md, ``model_card_kwargs`` sets "title", "name" and "note", a few words on data and licence.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @classmethod
    def of(cls, weights: str | Path) -> Self:
        """The model of a checkpoint's file, a network's name in the zoo, a folder or a hub's name; CheckpointError for none."""
        return cls(load_checkpoint(checkpoint_file(weights)))

    def generate_model_card(self, *, title: str | None = None, name: str = "user/name", note: str = _NO_NOTE) -> ModelCard:
        """The card of this model, from what its configuration says."""
        facts = _facts(self.checkpoint)
        found = "Finds everybody in an image, however many, in one pass of the network (bottom-up)."
        card: ModelCard = ModelCard.from_template(
            self._hub_mixin_info.model_card_data,
            template_str=self._hub_mixin_info.model_card_template,
            title=title or f"{facts['method']}, {facts['backbone']}",
            description=found,
            name=name,
            facts=facts,
            note=note,
        )
        return card

    def _save_pretrained(self, save_directory: Path) -> None:
        save_folder(save_directory, self.checkpoint)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Self:
        """The model of a folder, or of a hub's repository; ``options`` are the mixin's, of downloading."""
        folder = Path(model_id)
        return cls(load_checkpoint(folder if folder.is_dir() else downloaded(model_id, **options)))


def _facts(checkpoint: Checkpoint) -> dict[str, str]:
    """What a configuration says of its model, in words for a table."""
    model, task = ModelPlan.of(checkpoint.config), checkpoint.task
    count = sum(tensor.numel() for tensor in checkpoint.weights.values())
    facts = {
        "method": str(checkpoint.config.get("method") or "of its own"),
        "backbone": model.backbone.name if model.backbone is not None else "none",
        "heads": ", ".join(model.heads),
        "decoder": model.decoder.name if model.decoder is not None else "none",
        "input": f"{model.side} side {model.input_size} px",
        "parameters": f"{count:,}",
        "finds": ", ".join(task.categories),
    }
    if task.skeleton is not None:
        facts["keypoints"] = ", ".join(task.skeleton.keypoints)
    return facts | {"written by": f"bottomup {checkpoint.versions.get('bottomup', '?')}"}
