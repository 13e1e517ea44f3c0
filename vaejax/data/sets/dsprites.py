"""dSprites (Matthey et al. 2017): white shapes of six factors, 64x64. TFDS stores it as 0 and 1.

The published files, which have named factors, are read by their path, see readers/factored.py.
"""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY | {'data.binarise': 'threshold'}
WHITE = 1
