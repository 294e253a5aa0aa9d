"""Video in: decoding, transforms, and the figures that the samples are rendered from."""
