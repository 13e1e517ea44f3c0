"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 and 10,000 pieces of clothing, in the
form of MNIST."""

from vaejax.data.sets.mnist import ARCHIVES, DRAWN, FILES, SUITS, read  # noqa: F401
