"""Latents given a partial observation of x, as pure functions on a Latent.

They are optimised, drawn by pseudo-Gibbs sampling, or by importance resampling. Each function takes
one example and returns several versions of its latents; jax.vmap gives many examples.
"""
