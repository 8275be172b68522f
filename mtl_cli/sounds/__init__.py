"""Reading sounds, and what networks see of them."""
