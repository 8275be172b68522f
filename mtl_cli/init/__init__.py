"""mtl-init: looking at files, guessing, writing YAML."""
