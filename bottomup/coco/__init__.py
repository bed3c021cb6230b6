"""COCO annotation files as they are found: records, people, masks and skeletons, checked and completed."""
