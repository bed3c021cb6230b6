"""Bodies of data sets: COCO, CrowdPose, MPII, AI Challenger and MHP."""

from __future__ import annotations

from bottomup.skeletons.skeleton import Skeleton


def sided(*names: str) -> tuple[tuple[str, str], ...]:
    """The pairs of what a body has on its left and on its right."""
    return tuple((f"left_{name}", f"right_{name}") for name in names)


# The tree is that of PersonLab's decoder (tfjs posenet poseChain, see its §3.1), rooted at the nose.
COCO = Skeleton(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    flip_pairs=sided("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    edges=(
        ("nose", "left_eye"), ("left_eye", "left_ear"), ("nose", "right_eye"), ("right_eye", "right_ear"),
        ("nose", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("nose", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ),
    sigmas=(.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089),
    order=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_hip",
        "right_hip", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
)  # fmt: skip

CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    flip_pairs=sided("shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    edges=(
        ("neck", "head"), ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ),
    sigmas=(.079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079),
    order=(
        "head", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

# MPII publishes no sigmas (it is judged by PCKh): COCO's where the keypoint exists, the shoulder's for the spine and head.
MPII = Skeleton(
    name="mpii",
    keypoints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    flip_pairs=sided("ankle", "knee", "hip", "wrist", "elbow", "shoulder"),
    edges=(
        ("thorax", "upper_neck"), ("upper_neck", "head_top"), ("thorax", "right_shoulder"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("thorax", "left_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("thorax", "pelvis"), ("pelvis", "right_hip"),
        ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("pelvis", "left_hip"), ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"),
    ),
    sigmas=(.089, .087, .107, .107, .087, .089, .079, .079, .079, .079, .062, .072, .079, .079, .072, .062),
    order=(
        "head_top", "upper_neck", "thorax", "right_shoulder", "left_shoulder", "pelvis", "right_hip", "left_hip",
        "right_elbow", "left_elbow", "right_wrist", "left_wrist", "right_knee", "left_knee", "right_ankle",
        "left_ankle",
    ),
)  # fmt: skip

# Sigmas: half the deltas of AI Challenger's own evaluation.
AIC = Skeleton(
    name="aic",
    keypoints=(
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ),
    flip_pairs=sided("shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    edges=(
        ("neck", "head_top"), ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ),
    sigmas=(
        .01388152, .01515228, .01057665, .01417709, .01497891, .01402144, .03909642, .03686941, .01981803, .03843971,
        .03412318, .02415081, .01291456, .01236173,
    ),
    order=(
        "head_top", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

# MHP v2 has MPII's keypoints and publishes no sigmas: these are mmpose's, after COCO's, by which published AP is measured.
MHP = Skeleton(
    name="mhp",
    keypoints=MPII.keypoints,
    flip_pairs=MPII.flip_pairs,
    edges=MPII.edges,
    sigmas=(.089, .083, .107, .107, .083, .089, .026, .026, .026, .026, .062, .072, .179, .179, .072, .062),
    order=MPII.order,
)  # fmt: skip

# PoseTrack publishes no sigmas (it is judged by PCKh): COCO's where the keypoint exists, the shoulder's for head and neck.
POSETRACK18 = Skeleton(
    name="posetrack18",
    keypoints=("nose", "head_bottom", "head_top", *COCO.keypoints[3:]),
    flip_pairs=COCO.flip_pairs[1:],
    edges=(
        ("head_bottom", "nose"), ("nose", "left_ear"), ("nose", "right_ear"), ("head_bottom", "head_top"),
        ("head_bottom", "left_shoulder"), ("head_bottom", "right_shoulder"),
        *(edge for edge in COCO.edges if not {*edge} & {"nose", "left_eye", "right_eye"}),
    ),
    sigmas=(.026, .079, .079, *COCO.sigmas[3:]),
    order=("head_top", "head_bottom", "nose", *COCO.order[3:]),
)  # fmt: skip
