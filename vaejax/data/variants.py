"""Which sequences of code points are variants of one pictograph, and their skin tones."""

TONES = '1F3FB', '1F3FC', '1F3FD', '1F3FE', '1F3FF'
JOINERS = '200D', 'FE0F'
VARIANTS = '2640', '2642', '27A1', '1F9B0', '1F9B1', '1F9B2', '1F9B3'  # gender, direction, hair
ADULT, CHILD, PERSON_OLDER = '1F9D1', '1F9D2', '1F9D3'
SAME = {  # people who differ in gender
  **dict.fromkeys(('1F468', '1F469', '1F471'), ADULT),  # the last is blond
  **dict.fromkeys(('1F466', '1F467'), CHILD),
  **dict.fromkeys(('1F474', '1F475'), PERSON_OLDER),
  **dict.fromkeys(('1F46C', '1F46D'), '1F46B'),  # holding hands
  '1F478': '1F934',  # royalty
  '1F57A': '1F483',  # dancing
  '1F936': '1F385',  # Christmas
}
SEQUENCES = {  # sequences of people that are variants of a single code, and equal flags
  f'{ADULT}-1F91D-{ADULT}': '1F46B',
  f'{ADULT}-2764-{ADULT}': '1F491',
  f'{ADULT}-2764-1F48B-{ADULT}': '1F48F',
  f'{ADULT}-1F384': '1F385',
  **dict.fromkeys(('1F1E7-1F1FB', '1F1F8-1F1EF'), '1F1F3-1F1F4'),  # Norway
  **dict.fromkeys(('1F1E8-1F1F5', '1F1F2-1F1EB'), '1F1EB-1F1F7'),  # France
  '1F1ED-1F1F2': '1F1E6-1F1FA',  # Australia
  '1F1E8-1F1F6': '1F1F8-1F1E6',  # Saudi Arabia
  '1F1E9-1F1EC': '1F1EE-1F1F4',  # British Indian Ocean Territory
  '1F1EA-1F1E6': '1F1EA-1F1F8',  # Spain
  '1F1FA-1F1F2': '1F1FA-1F1F8',  # United States
}
FAMILY = '1F46A'


def base(unified: str) -> str:
  """An emoji, in code points such as '1F468-1F3FB-200D-1F4BB', without its variants: skin tone,
  gender, hair and direction. Flags that look the same are one."""
  codes = [code for code in unified.split('-') if code not in JOINERS]
  if all(code in TONES for code in codes):
    return TONES[0]
  kept = [code for code in codes if code not in (*TONES, *VARIANTS)] or codes
  kept = [SAME.get(code, code) for code in kept]
  if len(kept) > 1 and set(kept) <= {ADULT, CHILD}:
    return FAMILY
  joined = '-'.join(kept)
  return SEQUENCES.get(joined, joined)


def tone(unified: str) -> int:
  """The skin tone of an emoji: 0 without one, 1 to 5, and 6 for several."""
  tones = {TONES.index(code) + 1 for code in unified.split('-') if code in TONES}
  return 6 if len(tones) > 1 else max(tones, default=0)


def untoned(file: str) -> str:
  """The name of a picture's file, such as 'google/1f468-1f3fb-200d-1f4bb.png', without skin tones.
  Names without code points stay as they are."""
  folder, slash, name = file.rpartition('/')
  stem, dot, ending = name.partition('.')
  codes = stem.split('-')
  kept = [code for code in codes if code.upper() not in (*TONES, 'FE0F')] or codes
  return f'{folder}{slash}{"-".join(kept)}{dot}{ending}'
