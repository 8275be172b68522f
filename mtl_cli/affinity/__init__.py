"""Which tasks belong together: measured in one joint run, and groups that follow from it."""
