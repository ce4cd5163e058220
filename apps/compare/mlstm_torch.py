"""20 steps on the inputs of an mLSTM's memory, read plainly: one head of width 4, 8 tokens, the loss sum(h^2)."""
import time

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def numbers(*shape, phase):
    return (0.5 * torch.sin(1.7 * torch.arange(torch.Size(shape).numel()) + phase).reshape(shape)).requires_grad_()


q, k, v = (numbers(8, 4, phase=p) for p in (1, 2, 3))
i, f = numbers(8, phase=4), numbers(8, phase=5)
optimizer = torch.optim.SGD([q, k, v, i, f], lr=0.1)
times = []
for step in range(20):
    start = time.perf_counter()
    log_forget = F.logsigmoid(f)
    C, n, m, hs = torch.zeros(4, 4), torch.zeros(4), None, []
    for t in range(8):
        new_m = i[t] if m is None else torch.maximum(log_forget[t] + m, i[t])
        keep = torch.tensor(0.0) if m is None else torch.exp(log_forget[t] + m - new_m)
        write, m = torch.exp(i[t] - new_m), new_m
        C = keep * C + write * torch.outer(k[t], v[t])
        n = keep * n + write * k[t]
        hs.append(C.T @ q[t] / (torch.maximum((q[t] @ n).abs(), torch.exp(-m)) + 1e-6))
    loss = torch.stack(hs).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    times.append(time.perf_counter() - start)
print(f"loss {loss.item():.12f}")
print(f"{1e3 * min(times):.3f} ms, the fastest step")
