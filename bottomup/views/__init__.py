"""An image seen several times, mirrored and at several scales, and how what was seen becomes one: maps, or instances."""

from bottomup.views.batches import make_view
from bottomup.views.found import Found
from bottomup.views.joining import join_predictions, join_views
from bottomup.views.maps import merge, unflip
from bottomup.views.seeing import Kind, Seen, Views

__all__ = ["Found", "Kind", "Seen", "Views", "join_predictions", "join_views", "make_view", "merge", "unflip"]
