"""The public face for Python, which `import mtl_cli` offers: load, train, evaluate, Run, Predictor."""
