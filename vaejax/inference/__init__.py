"""Latents given an observation of x: optimised, by pseudo-Gibbs sampling, by importance weights.

Each file is one method. Their functions take a Latent, so any family of models will do, and complete
one example, of which they return several versions; jax.vmap gives many.
"""
