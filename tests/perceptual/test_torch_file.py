"""Files of torch.save, which PyTorch 2.14 wrote in both of its formats:

  a = torch.arange(6.0).reshape(2, 3)
  torch.save(OrderedDict(w=a.t(), tail=a[1], half=torch.tensor([0.5, 1.5]).half(),
    p=torch.nn.Parameter(torch.tensor([1.0, -2.0])), n=torch.tensor(7)), 'zip.pth')

and with _use_new_zipfile_serialization=False.
"""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vaejax.perceptual import torch_file

HERE = Path(__file__).parent


@pytest.mark.parametrize('name', ['zip.pth', 'legacy.pth'])
def test_both_formats_are_read(name):
  got = torch_file.arrays((HERE / name).read_bytes())
  assert list(got) == ['w', 'tail', 'half', 'p', 'n']
  np.testing.assert_array_equal(got['w'], np.arange(6.0).reshape(2, 3).T)
  np.testing.assert_array_equal(got['tail'], [3, 4, 5])
  assert got['half'].dtype == np.float16 and got['half'].tolist() == [0.5, 1.5]
  assert got['p'].tolist() == [1, -2] and got['n'].dtype == np.int64 and got['n'] == 7


@pytest.mark.parametrize('name', ['zip.pth', 'legacy.pth'])
def test_a_cut_file_is_refused(name):
  data = (HERE / name).read_bytes()
  with pytest.raises((ValueError, pickle.UnpicklingError)):
    torch_file.arrays(data[: len(data) // 2])


def test_another_file_is_refused():
  with pytest.raises((ValueError, pickle.UnpicklingError)):
    torch_file.arrays(b'not a pickle')


def test_no_code_runs():
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w') as file:
    file.writestr('archive/data.pkl', b'cposix\nsystem\n(S"true"\ntR.')
  with pytest.raises(pickle.UnpicklingError, match=r'posix.system is not allowed'):
    torch_file.arrays(buffer.getvalue())
