"""The verb `explore`: its address, its end, and its mistakes in one line."""

import copy
import signal
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest
from explored import Client, wait_until_open
from untrained import untrained

import vaejax
from vaejax.cli.main import main
from vaejax.explore.latents import latents_of
from vaejax.explore.learned import NONE, learn_or_say
from vaejax.explore.serve import make_page


def test_it_serves_until_a_signal_and_ends_cleanly(launch, trained):
  process = launch.start('explore', f'--workdir={trained}')
  address = process.stdout.readline().strip()
  assert address.startswith('http://127.0.0.1:') and len(address.split('/')[3]) >= 32
  about = Client(address).get('about.json')
  assert about['title'] == 'vae · digits' and about['latents']['size'] == 4
  process.send_signal(signal.SIGINT)
  result = launch.end(process)
  assert result.status == 0 and result.out == ''
  assert [line for line in result.lines if 'preparing' not in line] == []


HANGS = """
import sys, time, vaejax
from vaejax.explore import serve
serve.learn_or_say = lambda *a: time.sleep(600)
serve.explore(vaejax.load(sys.argv[1]))
"""


def test_a_second_signal_ends_it_even_if_a_computation_hangs(trained):
  command = [sys.executable, '-c', HANGS, str(trained)]
  process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
  try:
    lines = iter(process.stdout.readline, '')
    address = next(line.strip() for line in lines if line.startswith('http'))
    wait_until_open(address)
    process.send_signal(signal.SIGINT)
    with pytest.raises(OSError):  # refused, as soon as it does not listen any more
      for _ in range(600):
        Client(address).get('about.json')
        time.sleep(0.05)
    time.sleep(0.5)
    assert process.poll() is None  # it waits for the computation
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT
  finally:
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_port_in_use_is_one_line(trained, capsys):
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    port = taken.getsockname()[1]
    assert main(['explore', f'--workdir={trained}', f'--port={port}']) == 2
  shown = capsys.readouterr()
  assert shown.out == '' and shown.err.count('\n') == 1
  assert f'port {port} cannot be used (Address already in use)' in shown.err


@pytest.mark.parametrize('missing', ['starlette', 'uvicorn'])
def test_a_missing_extra_is_one_line(trained, capsys, monkeypatch, missing):
  monkeypatch.setitem(sys.modules, missing, None)
  assert main(['explore', f'--workdir={trained}']) == 2
  shown = capsys.readouterr().err
  assert shown.count('\n') == 1 and "pip install -e '.[explore]'" in shown


@pytest.mark.parametrize('config', ['vae.py:smoke', 'gan.py:smoke'])
def test_a_diverged_run_is_one_line(config):
  run = copy.copy(untrained(config))
  run.variables = jax.tree.map(lambda x: x * jnp.nan, run.variables)
  with pytest.raises(vaejax.UserError, match='has diverged') as error:
    make_page(run, 0, lambda text: None)
  assert '\n' not in str(error.value)


def test_a_run_that_makes_no_pictures_has_nothing_to_explore(served):
  with pytest.raises(ValueError, match='nothing to explore in a run of classifier'):
    served('judge.py:smoke')


def test_a_page_without_its_data_says_so(trained, tmp_path):
  (tmp_path / 'gone').mkdir()
  run = vaejax.load(trained)
  run.config.data.name = str(tmp_path / 'gone')
  lines = []
  assert learn_or_say(run, latents_of(run), lines.append) == NONE
  assert len(lines) == 1 and 'no examples and no attributes' in lines[0]
