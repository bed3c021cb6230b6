"""Images and annotations: read, augmented and collated into method-free batches."""
