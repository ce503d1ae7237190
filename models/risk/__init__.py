"""The shipped credit model: features, training, scoring and the reasons it gives."""
