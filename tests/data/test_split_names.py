"""Short names of splits."""

from vaejax.data.split_names import complete


def test_a_known_name_stays():
  both = lambda: ('train', 'val', 'validation')
  assert complete('val[:3]+valid', both) == 'val[:3]+validation'
  assert complete('val', lambda: ('train', 'test')) == 'val'
  assert complete('val', lambda: ('train', 'validation')) == 'validation'
