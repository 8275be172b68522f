"""From what was typed to plain configs: composing, sweeps, help and messages."""
