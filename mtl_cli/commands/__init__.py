"""Commands: from what was typed to plain configs, with sweeps, help and messages."""
