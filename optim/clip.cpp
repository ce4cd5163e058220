#include "optim/clip.h"

namespace orthoread {

template <Real T>
double clip_grad_norm(const Parameters<T>& parameters, double max_norm) {
  double squares = 0;
  for (const auto& [name, tensor] : parameters) {
    const Array<T>& grad = tensor->grad();
    for (int64_t i = 0; i < grad.size(); ++i) squares += value_of(grad.data()[i]) * value_of(grad.data()[i]);
  }
  const double norm = std::sqrt(squares);
  const double factor = max_norm / (norm + 1e-6);
  if (!(factor < 1)) return norm;
  for (const auto& [name, tensor] : parameters) {
    Array<T> grad = tensor->grad();
    if (!grad.defined()) continue;
    tensor->set_grad({});  // so that `grad` is the only owner, and edit() copies nothing
    T* to = grad.edit();
    for (int64_t i = 0; i < grad.size(); ++i) to[i] *= number<T>(factor);
    tensor->set_grad(std::move(grad));
  }
  return norm;
}

template double clip_grad_norm(const Parameters<float>&, double);
template double clip_grad_norm(const Parameters<double>&, double);

}  // namespace orthoread
