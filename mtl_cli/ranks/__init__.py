"""The processes of one run: who they are, what they send each other, and what becomes of them."""
