// Trajectories as in PyTorch 1.13:
//   w = torch.tensor([0.5, -1.25, 2], dtype=torch.float64, requires_grad=True); b likewise, [0.1]
//   for 4 steps: zero_grad(); loss = (w ** 2 * torch.tensor([1, 2, 3])).sum() * 0.5 + torch.sin(w).sum() * b[0]
//     loss.backward(); clip_grad_norm_([w, b], 1.0) where it says so; optimizer.step(); print(torch.cat([w, b]))
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

/// The parameters of the trajectories, with their gradient in closed form.
template <Real T>
struct Problem {
  Tensor<T> w = Tensor<T>::leaf(cast<T>(Array<double>({3}, {0.5, -1.25, 2})));
  Tensor<T> b = Tensor<T>::leaf(cast<T>(Array<double>({1}, {0.1})));
  Tensor<T> idle = Tensor<T>::leaf(Array<T>({2}, {T(7), T(8)}));  // never has a gradient

  Parameters<T> parameters() { return {{"w", &w}, {"idle", &idle}, {"b", &b}}; }

  void compute_gradients() {
    Array<T> dw({3}), db({1});
    for (int64_t i = 0; i < 3; ++i) {
      const T x = w.value().data()[i];
      dw.edit()[i] = T(static_cast<float>(i + 1)) * x + std::cos(x) * b.value().item();
      db.edit()[0] += std::sin(x);
    }
    w.set_grad(dw);
    b.set_grad(db);
  }

  /// The distance of w and b from PyTorch's values.
  double error(const Numbers& expected) const {
    const T* v = w.value().data();
    return relative_error(Array<T>({4}, {v[0], v[1], v[2], b.value().item()}), Array<double>({4}, expected));
  }
};

using Trajectory = std::vector<Numbers>;

/// Takes a step for each point of the trajectory and compares.
template <Real T, class Optimizer, class Settings>
void check_trajectory(const Settings& settings, double lr, const Trajectory& expected, double limit) {
  Problem<T> problem;
  Optimizer optimizer(problem.parameters(), settings);
  for (const Numbers& point : expected) {
    problem.compute_gradients();
    optimizer.step(lr);
    CHECK(problem.error(point) <= limit);
  }
  CHECK(values(problem.idle.value()) == std::vector<T>{T(7), T(8)});
}

// torch.optim.AdamW([w, b], lr=0.1, weight_decay=0.01)
const Trajectory kAdamW = {{0.3995000017013797, -1.1487500004051097, 1.8980000001678308, -9.999772592042544e-05},
                           {0.3018499359719733, -1.0478523470230015, 1.796245963898656, -0.09998541235520243},
                           {0.2115302787937641, -0.9474531660587653, 1.6948608765028375, -0.19955109221284742},
                           {0.13630846673508462, -0.8476797719827613, 1.5939925706632099, -0.29873098192742553}};

}  // namespace

TEST_CASE("optim: AdamW as in PyTorch") {
  check_trajectory<double, AdamW<double>>(AdamWSettings{}, 0.1, kAdamW, 1e-12);
  check_trajectory<float, AdamW<float>>(AdamWSettings{}, 0.1, kAdamW, 1e-6);
}

TEST_CASE("optim: AdamW with other settings, as the article writes it") {
  const AdamWSettings settings = {.beta1 = 0.7, .beta2 = 0.8, .eps = 0.03, .weight_decay = 0.2};
  Problem<double> problem;
  AdamW<double> optimizer(problem.parameters(), settings);
  double p = problem.b.value().item(), m = 0, v = 0;
  for (int t = 1; t <= 4; ++t) {
    problem.compute_gradients();
    const double g = problem.b.grad().item(), lr = 0.1 / t;
    optimizer.step(lr);
    m = settings.beta1 * m + (1 - settings.beta1) * g;
    v = settings.beta2 * v + (1 - settings.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(settings.beta1, t)), v_hat = v / (1 - std::pow(settings.beta2, t));
    p -= lr * (m_hat / (std::sqrt(v_hat) + settings.eps) + settings.weight_decay * p);
    CHECK(problem.b.value().item() == doctest::Approx(p).epsilon(1e-13));
  }
}

TEST_CASE("optim: AdamW with clipping and the cosine schedule as in PyTorch") {
  // torch.optim.lr_scheduler.CosineAnnealingLR(AdamW([w, b], lr=0.1, weight_decay=0.01), 5), stepped after the
  // optimizer
  const Trajectory expected = {{0.39950001104384486, -1.1487500026296116, 1.8980000010894078, -9.998523869748921e-05},
                               {0.3106823548257409, -1.0573135745364755, 1.8058192403265712, -0.09058120668956934},
                               {0.2500964023575645, -0.9912523301034551, 1.7391658890623003, -0.15602326990763127},
                               {0.22122867630131257, -0.9564215819621271, 1.7040003180451724, -0.1905675743558129}};
  const Numbers norms = {6.491110710771331, 6.167633451624946, 5.86990716832081, 5.6514886440206045};
  const Numbers rates = {0.1, 0.09045084971874738, 0.06545084971874737, 0.03454915028125263};
  Problem<double> problem;
  AdamW<double> optimizer(problem.parameters(), {});
  for (size_t step = 0; step < expected.size(); ++step) {
    problem.compute_gradients();
    CHECK(clip_grad_norm(problem.parameters(), 1.0) == doctest::Approx(norms[step]).epsilon(1e-12));
    const double lr = learning_rate(Schedule::cosine, 0.1, static_cast<int64_t>(step), 5);
    CHECK(lr == doctest::Approx(rates[step]).epsilon(1e-14));
    optimizer.step(lr);
    CHECK(problem.error(expected[step]) <= 1e-12);
  }
}

TEST_CASE("optim: AdamW continues bit for bit from its state") {
  Problem<double> whole, first;
  AdamW<double> of_whole(whole.parameters(), {}), of_first(first.parameters(), {});
  const auto step = [](Problem<double>& problem, AdamW<double>& optimizer) {
    problem.compute_gradients();
    optimizer.step(0.1);
  };
  for (int i = 0; i < 6; ++i) step(whole, of_whole);
  for (int i = 0; i < 3; ++i) step(first, of_first);
  Problem<double> second;
  std::copy_n(first.w.value().data(), 3, second.w.edit());
  std::copy_n(first.b.value().data(), 1, second.b.edit());
  AdamW<double> of_second(second.parameters(), {});
  of_second.restore(of_first.state());
  for (int i = 0; i < 3; ++i) step(second, of_second);
  CHECK(same_bits(second.w.value(), whole.w.value()));
  CHECK(same_bits(second.b.value(), whole.b.value()));
  CHECK(of_second.state().steps == 6);

  AdamW<double>::State bad = of_first.state();
  bad.first_moments[0] = Array<double>({4});
  CHECK(thrown([&] { of_second.restore(bad); }) == "adamw: the moments of w must have its shape [3], they have [4]");
  std::swap(bad.first_moments, bad.second_moments);
  CHECK(thrown([&] { of_second.restore(bad); }) == "adamw: the moments of w must have its shape [3], they have [4]");
  bad.first_moments.pop_back();
  CHECK(thrown([&] { of_second.restore(bad); }) == "adamw: 2 moments for 3 parameters");
  bad.steps = -1;
  CHECK(thrown([&] { of_second.restore(bad); }) == "adamw: the number of steps cannot be negative, it is -1");
}

TEST_CASE("optim: SGD as in PyTorch") {
  // torch.optim.SGD([w, b], lr=0.05)
  const Trajectory plain = {{0.47061208719054815, -1.1265766118119764, 1.7020807341827358, 0.07801308269628508},
                            {0.443604865236913, -1.015595270224912, 1.4472792493451208, 0.05091907167457886},
                            {0.4191250903895476, -0.9153777514065047, 1.2298736922013738, 0.022329812685805025},
                            {0.39714898269818266, -0.8245204674156823, 1.0450193321710235, -0.0055009435552930966}};
  check_trajectory<double, Sgd<double>>(SgdSettings{}, 0.05, plain, 1e-12);
  check_trajectory<float, Sgd<float>>(SgdSettings{}, 0.05, plain, 1e-6);
  // torch.optim.SGD([w, b], lr=0.05, momentum=0.9, weight_decay=0.1)
  const Trajectory heavy = {{0.46811208719054814, -1.1203266118119763, 1.6920807341827357, 0.07751308269628508},
                            {0.41020808298148487, -0.8876736832087119, 1.153149785996758, 0.02970660967791639},
                            {0.33417093034227197, -0.5860178781210338, 0.48877125029595225, -0.04032978811142019},
                            {0.2492630341671256, -0.25131573903320925, -0.18314859601415814, -0.1153848836087285}};
  check_trajectory<double, Sgd<double>>(SgdSettings{0.9, 0.1}, 0.05, heavy, 1e-12);
}

TEST_CASE("optim: clipping keeps small gradients and scales large ones to the bound") {
  Problem<double> problem;
  problem.w.set_grad(Array<double>({3}, {3, 0, 0}));
  problem.b.set_grad(Array<double>({1}, {4}));
  CHECK(clip_grad_norm(problem.parameters(), 10) == 5);
  CHECK(values(problem.w.grad()) == Numbers{3, 0, 0});
  const Array<double> kept = problem.w.grad();
  CHECK(clip_grad_norm(problem.parameters(), 1) == 5);
  CHECK(problem.w.grad().data()[0] == doctest::Approx(3 / (5 + 1e-6)).epsilon(1e-15));
  CHECK(problem.b.grad().data()[0] == doctest::Approx(4 / (5 + 1e-6)).epsilon(1e-15));
  CHECK(kept.data()[0] == 3);  // copies of a gradient do not change
  CHECK(!problem.idle.grad().defined());
  problem.b.set_grad(Array<double>({1}, {kNaN}));
  const Array<double> before = problem.w.grad();
  CHECK(std::isnan(clip_grad_norm(problem.parameters(), 1)));
  CHECK(same_bits(problem.w.grad(), before));  // NaN stays where it arose
}

TEST_CASE("optim: schedules") {
  CHECK(learning_rate(Schedule::constant, 0.3, 7, 10) == 0.3);
  CHECK(learning_rate(Schedule::cosine, 0.3, 0, 10) == 0.3);
  CHECK(learning_rate(Schedule::cosine, 0.3, 5, 10) == doctest::Approx(0.15).epsilon(1e-15));
  CHECK(learning_rate(Schedule::cosine, 0.3, 10, 10) == 0);
  CHECK(parse_schedule("cosine") == Schedule::cosine);
  CHECK(name(parse_schedule("constant")) == "constant");
  CHECK(thrown([] { parse_schedule("linear"); }) == "schedule: cosine and constant are allowed, not 'linear'");
}
