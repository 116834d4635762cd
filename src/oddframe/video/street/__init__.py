"""The simulated plaza, from the ground up: drawing, figures, place, crowd, oddities. `video.simulate` films it."""
