"""placeholder"""
import jax
def conv(x, kernel, stride=1, lowering=None):
  return jax.lax.conv_general_dilated(x, kernel, (stride, stride), 'SAME', dimension_numbers=('NHWC','HWIO','NHWC'))
def conv_transpose(x, kernel, stride=1, lowering=None):
  return jax.lax.conv_transpose(x, kernel, (stride, stride), 'SAME', dimension_numbers=('NHWC','HWIO','NHWC'))
