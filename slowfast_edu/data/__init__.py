"""Clips in: out of files, or rendered.

Read ``decode`` and ``video`` (exact frames of a file; ``encode`` writes one), then
``transforms``, then ``annotations`` (which file shows what; ``ava`` with boxes, ``lines``
and ``formats`` below them), then ``batches`` and ``datasets`` (samples for a loader) and
``survey`` (what a dataset holds). ``figures`` renders clips and needs none of these but
``batches``.
"""
