"""Networks, their decoders and a runtime in one HTML page, which finds people without Python and without a network connection."""
