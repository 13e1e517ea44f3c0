"""What all tests share: 8 CPU devices, a cache folder of their own, the shared datasets."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from running import finished, launch
from task_file import blend

from vaejax.distributed.processes import STOP_SIGNALS

__all__ = ['blend', 'finished', 'launch']

ROOT = Path(__file__).parent.parent
# The slowest modules, slowest first.
LONG = 'test_docs', 'test_survival', 'test_hosts', 'test_submit', 'test_invariants', 'test_judges'
LONG += 'test_sweep', 'test_default_run', 'test_read_only', 'test_source', 'test_stream'
SHARED = ROOT.parent / 'shared' / 'tensorflow_datasets'


def pytest_configure(config):
  """Before JAX is first used. Child processes inherit all but the number of devices; those of
  `launch` (running.py) compile as users' do."""
  # What compiled programs consist of is millions of objects, which live as long as the tests.
  gc.set_threshold(50_000, 20, 100)
  config.cache_home = tempfile.mkdtemp(prefix='vaejax-tests-')
  os.environ['XDG_CACHE_HOME'] = config.cache_home
  # All workers and their children share what is compiled, and sessions that name a folder for it.
  if not hasattr(config, 'workerinput'):
    kept = os.environ.get('TESTS_COMPILED') or os.path.join(config.cache_home, 'compiled')
    os.environ['JAX_COMPILATION_CACHE_DIR'] = kept
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  os.environ.pop('TFDS_DATA_DIR', None)
  if config.option.markexpr == 'gpu':  # on the machine's own device, compiled as users' runs are
    os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')  # several workers share it
    return
  os.environ.setdefault('JAX_PLATFORMS', 'cpu')
  # Most of the time would go into compiling for speed, and into the passes of MLIR that emit fused
  # loops. Bits are compared as users compile, by chunks.jit_as_users and `launch`.
  cheap = '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
  cheap += ' --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
  os.environ.setdefault('XLA_FLAGS', cheap)
  import jax

  jax.config.update('jax_num_cpu_devices', 8)


def pytest_collection_modifyitems(items):
  """Modules that take minutes begin first: at the end one worker would wait for the other."""
  place = {name: number for number, name in enumerate(LONG)}
  items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def pytest_unconfigure(config):
  shutil.rmtree(config.cache_home, ignore_errors=True)


@pytest.fixture(scope='session', autouse=True)
def no_ignored_signals():
  """A script's background job ignores SIGINT and one of nohup SIGHUP, which programs inherit. Here
  they have no effect either, but programs that tests start get them."""
  for number in STOP_SIGNALS:
    if signal.getsignal(number) == signal.SIG_IGN:
      signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def no_modules_of_another_test():
  """Tests write packages of this name, each its own."""
  yield
  for name in [name for name in sys.modules if name.split('.')[0] == 'mylab']:
    del sys.modules[name]


@pytest.fixture
def project(monkeypatch):
  """The project's folder, as the working directory: configs/ and launch.py are there."""
  monkeypatch.chdir(ROOT)
  return ROOT


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
  """The workdir of a finished smoke run with an average; to be copied rather than changed."""
  from vaejax.cli.main import main

  workdir = tmp_path_factory.mktemp('trained') / 'run'
  # A batch that no two devices share: one is quicker here than eight.
  words = 'smoke,ema=0.9,batch_size=11,schedule.lr=cosine,best=elbo,data.validation=0.1'
  config = f'--config={ROOT}/configs/vae.py:{words}'
  assert main(['train', config, f'--workdir={workdir}']) == 0
  return workdir


@pytest.fixture
def copied(trained, tmp_path):
  """A copy of that run, to be changed."""
  return Path(shutil.copytree(trained, tmp_path / 'run'))


@pytest.fixture(scope='session')
def shared_data():
  """The folder of prepared TFDS datasets (mnist, ...) that lies beside a checkout."""
  if not SHARED.is_dir():
    pytest.skip(f'no prepared datasets in {SHARED}')
  return SHARED
