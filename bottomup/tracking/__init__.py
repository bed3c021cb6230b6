"""Identities along a video: who of a frame is who of the frames before, by keypoints, masks and tags."""

from bottomup.tracking.cues import Cues as Cues
from bottomup.tracking.smoothing import Smoothing as Smoothing
from bottomup.tracking.tracker import Tracker as Tracker
