"""Training, judging, predicting and measuring, as functions of plans."""
