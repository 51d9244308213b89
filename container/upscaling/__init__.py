"""Ways to enlarge pictures: by resampling, by this project's tiny network, by networks of a model folder."""
