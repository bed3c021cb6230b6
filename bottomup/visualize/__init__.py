"""Pictures of what goes in and what comes out; images are (3, H, W) uint8 RGB as in Sample, pictures (H, W, 3) uint8 RGB."""

from bottomup.drawing.poses import draw_instances
from bottomup.drawing.sheets import contact_sheet, save_png, side_by_side
from bottomup.visualize.grouping import draw_grouping, plot_histogram
from bottomup.visualize.maps import draw_heatmap, draw_ignore, draw_instance_tags, draw_strongest, draw_tags
from bottomup.visualize.offsets import draw_offsets
from bottomup.visualize.outputs import draw_outputs
from bottomup.visualize.people import draw_people
from bottomup.visualize.tags import plot_tags

__all__ = [
    "contact_sheet",
    "draw_grouping",
    "draw_heatmap",
    "draw_ignore",
    "draw_instance_tags",
    "draw_instances",
    "draw_offsets",
    "draw_outputs",
    "draw_people",
    "draw_strongest",
    "draw_tags",
    "plot_histogram",
    "plot_tags",
    "save_png",
    "side_by_side",
]
