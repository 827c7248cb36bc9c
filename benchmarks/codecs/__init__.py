"""The codec cases (c/codec.x) by several codecs, each a process of its own:

python -m benchmarks.codecs NAME SECONDS
"""
