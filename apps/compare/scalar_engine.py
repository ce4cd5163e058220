"""Autograd on single numbers, in the style of micrograd: the closure of each op stands where the op is."""
import math


class Value:
    def __init__(self, data, inputs=()):
        self.data = data
        self.grad = 0.0
        self.inputs = inputs
        self.send = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def send():
            self.grad += out.grad
            other.grad += out.grad
        out.send = send
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def send():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.send = send
        return out

    def unary(self, data, slope):
        out = Value(data, (self,))

        def send():
            self.grad += slope * out.grad
        out.send = send
        return out

    def exp(self):
        y = math.exp(self.data)
        return self.unary(y, y)

    def log(self):
        return self.unary(math.log(self.data), 1 / self.data)

    def tanh(self):
        y = math.tanh(self.data)
        return self.unary(y, 1 - y * y)

    def reciprocal(self):
        return self.unary(1 / self.data, -1 / self.data**2)

    def abs(self):
        return self.unary(abs(self.data), math.copysign(1, self.data))

    def maximum(self, other):
        out = Value(max(self.data, other.data), (self, other))

        def send():
            larger = self if self.data >= other.data else other
            larger.grad += out.grad
        out.send = send
        return out

    def backward(self):
        order, seen, pending = [], set(), [(self, False)]
        while pending:  # depth first, with a list: recursion would end at 1,000
            node, done = pending.pop()
            if done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                pending.append((node, True))
                pending.extend((input, False) for input in node.inputs)
        self.grad = 1.0
        for node in reversed(order):
            node.send()
