"""mtl-serve: a bundle behind HTTP. Nothing here imports torch."""
