"""Maps of one kind each: predicted, made from annotations, judged, joined; the file name is the registered name."""
