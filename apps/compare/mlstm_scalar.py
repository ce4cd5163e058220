"""20 steps on the inputs of an mLSTM's memory, read plainly: one head of width 4, 8 tokens, the loss sum(h^2)."""
import math
import time

from scalar_engine import Value


def numbers(n, phase):
    return [Value(0.5 * math.sin(1.7 * j + phase)) for j in range(n)]


def dot(a, b):
    return sum((x * y for x, y in zip(a, b)), Value(0.0))


q, k, v = (numbers(32, phase) for phase in (1, 2, 3))
i, f = numbers(8, 4), numbers(8, 5)
parameters = q + k + v + i + f
times = []
for step in range(20):
    start = time.perf_counter()
    C = [[Value(0.0)] * 4 for _ in range(4)]
    n, m, loss = [Value(0.0)] * 4, None, Value(0.0)
    for t in range(8):
        qt, kt, vt = (x[4 * t:4 * t + 4] for x in (q, k, v))
        log_forget = ((f[t] * -1.0).exp() + 1.0).log() * -1.0
        new_m = i[t] if m is None else (log_forget + m).maximum(i[t])
        keep = Value(0.0) if m is None else (log_forget + m + new_m * -1.0).exp()
        write, m = (i[t] + new_m * -1.0).exp(), new_m
        C = [[keep * C[r][c] + write * kt[r] * vt[c] for c in range(4)] for r in range(4)]
        n = [keep * n[r] + write * kt[r] for r in range(4)]
        divisor = dot(qt, n).abs().maximum((m * -1.0).exp()) + 1e-6
        for c in range(4):
            h = dot(qt, [C[r][c] for r in range(4)]) * divisor.reciprocal()
            loss = loss + h * h
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.1 * p.grad
    times.append(time.perf_counter() - start)
print(f"loss {loss.data:.12f}")
print(f"{1e3 * min(times):.3f} ms, the fastest step")
