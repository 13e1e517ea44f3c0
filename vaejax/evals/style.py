"""Whether transfers show the content of the one image in the style of the other, as two judges read
them."""

import jax.numpy as jnp

from vaejax.data import load
from vaejax.data.styles import names
from vaejax.errors import UserError
from vaejax.evals.means import share
from vaejax.evaluation import judges
from vaejax.types import Eval, Example, Method


def make(method: Method, config, example: Example) -> Eval:
  """Every image of the split in the style of the row before it, of those pairs whose styles differ.

  Judges of the same data in the same styles, trained apart (configs/judge.py:NAME,content and
  NAME,style) and found in the cache, read content and style. As shares of what they read right:
  `transfer_content`; `transfer_style`, and the same of every style that was asked for, as in
  `transfer_style_thick`; `reconstruction_content` and `reconstruction_style`, of every image from
  its own codes; and `content_kept`, transfer_content / reconstruction_content. Rows without a label
  count in none of content.

  Raises UserError for a method that translates nothing, for data without styles or classes, and for
  judges that are not there, or damaged.
  """
  if 'translate' not in method.predict:
    raise UserError(f'style needs transfers, which {config.method} does not make')
  kind = load.styles(config.data)
  if not kind:
    raise UserError(f'style needs data in styles: {config.data.name} has none, set data.styles')
  reads = {'content': 'label', 'style': 'style'}
  asked = {name: judges.find('', config.data, field) for name, field in reads.items()}
  styles = names(kind)

  def read(name, image, key):
    """The class that a judge finds in images [B, H, W, C] of the run's range: [B]."""
    judge = asked[name]
    batch = {'image': judge.example.to_data(example.to_unit(image))}
    return jnp.argmax(judge.method.predict['classify'](judge.variables, batch, key)['logits'], -1)

  def look(variables, batch, key, hyper):
    before = lambda x: jnp.roll(x, 1, axis=0)
    mask, content, wanted = batch['mask'], batch['label'], before(batch['style'])
    pairs = {'image': batch['image'], 'style_image': before(batch['image'])}
    transfer = method.predict['translate'](variables, pairs, key)['image']
    again = method.predict['reconstruct'](variables, batch, key)['image']
    labelled = mask * (content >= 0)
    differ = mask * before(mask) * (wanted != batch['style'])
    of_each = differ * (wanted == jnp.arange(len(styles))[:, None])  # [styles, B]
    found = {
      'examples': jnp.sum(mask),
      'labelled': jnp.sum(labelled),
      'labelled_pairs': differ @ (content >= 0),
      'pairs': jnp.sum(differ),
      'transfer_content': differ @ (read('content', transfer, key) == content),
      'reconstruction_content': labelled @ (read('content', again, key) == content),
      'reconstruction_style': mask @ (read('style', again, key) == batch['style']),
      'each': jnp.sum(of_each, axis=1),
      'right': of_each @ (read('style', transfer, key) == wanted),
    }
    return found, {}

  def finish(sums, rows):
    sums = sums['test']
    found = {
      'reconstruction_content': share(sums['reconstruction_content'], sums['labelled']),
      'reconstruction_style': share(sums['reconstruction_style'], sums['examples']),
      'transfer_content': share(sums['transfer_content'], sums['labelled_pairs']),
    }
    if found['reconstruction_content'][0]:
      kept = found['transfer_content'][0] / found['reconstruction_content'][0]
      found['content_kept'] = kept, None
    found['transfer_style'] = share(sums['right'].sum(), sums['pairs'])
    for name, right, each in zip(styles, sums['right'], sums['each'], strict=True):
      if each:
        found[f'transfer_style_{name}'] = share(right, each)
    return found

  given = ['reconstruction_content', 'reconstruction_style', 'transfer_content', 'content_kept']
  given += ['transfer_style']
  given += [f'transfer_style_{name}' for name in styles]
  protocol = {'pairs': 'each row in the style of the row before it, where their styles differ'}
  for name, judge in asked.items():
    protocol[f'{name}_judge'] = judge.read
    protocol[f'{name}_judge_accuracy'] = judge.accuracy
    protocol[f'{name}_judge_checksum'] = judge.checksum[:16]
  return Eval({'test': look}, finish, lambda: given, protocol)
