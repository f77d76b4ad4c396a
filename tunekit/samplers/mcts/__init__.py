"""Tree search over the discrete structure of a space, in our form and DeepArchitect's."""
