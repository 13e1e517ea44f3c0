"""The files of a page that an export writes, and those of its runtime."""

import re

import pytest
from untrained import untrained

from vaejax.errors import UserError
from vaejax.export import site
from vaejax.export.write import write


def test_its_policy_allows_its_own_files_alone():
  html = site.page({})['index.html'].decode()
  policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
  rules = dict(rule.strip().split(' ', 1) for rule in policy.split(';'))
  assert rules['default-src'] == "'none'" and rules['connect-src'] == "'self'"
  assert rules['script-src'] == "'self' 'wasm-unsafe-eval'"
  # It comes before all that it rules.
  assert html.index('Content-Security') < min(html.index('<link'), html.index('<script'))


@pytest.mark.parametrize(
  ('config', 'why'),
  [
    ('judge.py:smoke', 'has no function here that makes pictures'),
    pytest.param('superres.py:smoke', 'that it translates', marks=pytest.mark.slow),
  ],
)
def test_what_cannot_be_a_page_is_one_line_and_leaves_nothing(tmp_path, config, why):
  with pytest.raises(UserError, match=why) as error:
    write(untrained(config), ('web',), tmp_path / 'out')
  assert len(str(error.value).splitlines()) == 1
  assert not [path for path in tmp_path.rglob('*') if path.is_file()]


@pytest.mark.parametrize('content', [None, '[]', '{', '{"name": "other"}'])
def test_a_folder_that_is_not_the_runtime(tmp_path, content):
  if content is not None:
    (tmp_path / 'package.json').write_text(content)
  with pytest.raises(UserError, match='npm install onnxruntime-web') as error:
    site.runtime(tmp_path)
  assert len(str(error.value).splitlines()) == 1


def test_the_files_of_the_runtime_are_those_that_it_loads(tmp_path):
  about = '{"name": "onnxruntime-web", "version": "9.0.0"}'
  (tmp_path / 'package.json').write_text(about)
  (tmp_path / 'dist').mkdir()
  loaded = 'ort-wasm-new.mjs', 'ort-wasm-new.wasm'
  for name in (*site.ENTRIES, *loaded, 'ort.all.mjs'):
    (tmp_path / 'dist' / name).write_text('import("./ort-wasm-new.mjs")')
  assert set(site.runtime(tmp_path)) == {'package.json', *site.ENTRIES, *loaded}
  for name in (loaded[1], site.ENTRIES[0]):
    (tmp_path / 'dist' / name).unlink()
    with pytest.raises(UserError, match=rf'9\.0\.0, has no dist/{re.escape(name)}'):
      site.runtime(tmp_path)
