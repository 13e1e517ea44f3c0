"""Inference of latents from a partial observation of x, as pure functions on a Latent."""
