"""What is inferred with a trained model, as pure functions on arrays and on a Latent.

Latents given a partial observation of x are optimised, or drawn by pseudo-Gibbs sampling or by
importance resampling (optimise, gibbs, importance): each function takes one example and returns
several versions of its latents, and jax.vmap gives many examples. The others are places in latent
space (space, points), ways through it (paths, traversal, attributes), and classes (by_class).
"""
