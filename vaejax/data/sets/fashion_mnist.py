"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 70,000 images of clothing in the format of
MNIST."""

from vaejax.data.sets.mnist import ARCHIVES, DRAWN, FILES, SUITS, read  # noqa: F401
