"""What the convolutional network grew up with and the zoo has no place for.

RealTime      the gradients of a recurrent network while it runs (Williams and Zipser, 1989)
rtrl, bptt    the gradients of a whole sequence, carried forwards, and sent back through time
"""

from __future__ import annotations

from convlens.classics.rtrl import Gradients, RealTime, bptt, rtrl

__all__ = ["Gradients", "RealTime", "bptt", "rtrl"]
