"""20 steps of a small MLP: 4 inputs, 8 tanh, 3 classes, a batch of 8."""
import math
import time

from scalar_engine import Value


def numbers(n, phase):
    return [0.5 * math.sin(1.7 * i + phase) for i in range(n)]


x = [numbers(4, b) for b in range(8)]
targets = [b % 3 for b in range(8)]
w1, b1 = [Value(v) for v in numbers(32, 1)], [Value(0.0) for _ in range(8)]
w2, b2 = [Value(v) for v in numbers(24, 2)], [Value(0.0) for _ in range(3)]
parameters = w1 + b1 + w2 + b2
times = []
for step in range(20):
    start = time.perf_counter()
    loss = Value(0.0)
    for row, target in zip(x, targets):
        h = [sum((w1[o * 4 + i] * row[i] for i in range(4)), b1[o]).tanh() for o in range(8)]
        logits = [sum((w2[o * 8 + i] * h[i] for i in range(8)), b2[o]) for o in range(3)]
        total = sum((v.exp() for v in logits), Value(0.0))
        loss = loss + (total.log() + logits[target] * -1.0) * (1 / 8)
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.5 * p.grad
    times.append(time.perf_counter() - start)
print(f"loss {loss.data:.12f}")
print(f"{1e3 * min(times):.3f} ms, the fastest step")
