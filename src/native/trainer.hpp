// A network that is trained in C++: what Python says of it, one thing after the other, and the memory
// that its steps need.  Compiled for every machine, with module.cpp.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "training.hpp"

namespace unrolled {

// Addresses arrive as whole numbers, 0 for null; shapes were checked in Python.
template <class T> class Trainer {
 public:
  using Address = std::uintptr_t;

  Trainer(const Entry<T>& entry, int threads) : entry(entry), threads(threads) {}
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  void add_lstm(long I, long H, int forget, bool peephole, bool identity, Address w_ih, Address w_hh, Address b_ih,
                Address b_hh, Address p, Address h, Address c) {
    TrainedLayer<T> layer{};
    layer.shape = {0, 0, I, H, static_cast<Forget>(forget), peephole, identity, threads};
    read(layer, w_ih, w_hh, b_ih, b_hh, h);
    layer.in.p = at(p);
    layer.c = at(c);
    layers.push_back(layer);
  }

  void add_elman(long I, long H, int activation, Address w_ih, Address w_hh, Address b_ih, Address b_hh, Address h) {
    TrainedLayer<T> layer{};
    layer.elman = true;
    layer.activation = static_cast<Activation>(activation);
    layer.shape.I = I;
    layer.shape.H = H;
    read(layer, w_ih, w_hh, b_ih, b_hh, h);
    layers.push_back(layer);
  }

  void set_head(long O, Address w, Address b, bool last) {
    head.O = O;
    head.w = at(w);
    head.b = at(b);
    head.last = last;
  }

  void set_loss(int criterion, int over, double factor, long ignored) {
    loss = {static_cast<Criterion>(criterion), static_cast<Over>(over), factor, ignored};
  }

  void set_rule(int method, double rate, double decay, double momentum, double dampening, double beta1, double beta2,
                double eps, double rate_decay, bool nesterov, bool centered, double most) {
    rule = {static_cast<Method>(method), rate, decay, momentum, dampening, beta1, beta2, eps, rate_decay, nesterov,
            centered};
    clip = most;
  }

  // layer: the number of layers stands for the head.  slot: w_ih, w_hh, b_ih, b_hh, p; or w, b.
  void add_parameter(std::size_t layer, int slot, long count, Address value, Address first, Address second,
                     Address third, Address step, bool fresh) {
    learned.push_back({at(value), nullptr, at(first), at(second), at(third), reinterpret_cast<float*>(step), count, fresh, false});
    places.push_back({layer, slot});
  }

  // Memory for batches of up to so many rows T·B, and B.
  void reserve(long rows, long B) {
    if (rows <= most_rows && B <= most_B) return;
    most_rows = rows = std::max(rows, most_rows);
    most_B = B = std::max(B, most_B);
    memory.clear();
    for (std::size_t k = 0; k < layers.size(); ++k) make_room(layers[k], k > 0);
    for (std::size_t k = 1; k < layers.size(); ++k) layers[k - 1].d.y = layers[k].d.d_x;
    const long H = head.H = layers.back().shape.H, O = head.O;
    head.said = take(rows * O);
    head.d_said = take(rows * O);
    head.d_h = take(rows * H);
    head.d_w = take(O * H);
    head.d_b = take(O);
    for (std::size_t k = 0; k < learned.size(); ++k) learned[k].gradient = gradient_at(places[k]);
  }

  // A step for each of `count` batches; returns how many were made.
  long run(Address batches, long count, Address losses) {
    Training<T> net{layers.data(), long(layers.size()), head, loss, rule, learned.data(), long(learned.size()), clip,
                    Stop::none, 0};
    long made = 0;
    {
      nanobind::gil_scoped_release released;
      const auto* batch = reinterpret_cast<const Batch<T>*>(batches);
      while (made < count && net.stop == Stop::none) {
        // The first step shows what memory the passes want; it is there from the second on.
        const long some = arena.size ? count - made : 1;
        lend(&arena);
        try {
          made += entry.train(net, batch + made, some, at(losses) + made);
        } catch (...) {
          lend(nullptr);
          throw;
        }
        lend(nullptr);
        grow();
      }
    }
    stop = int(net.stop);
    found = net.found;
    return made;
  }

  // Of each parameter, whether its momentum still holds nothing.
  bool fresh(std::size_t k) const { return learned[k].fresh; }

  int stop = 0;
  double found = 0;

 private:
  struct Place {
    std::size_t layer;
    int slot;
  };
  struct Free {
    void operator()(void* memory) const { release(memory); }
  };

  static T* at(Address address) { return reinterpret_cast<T*>(address); }

  void read(TrainedLayer<T>& layer, Address w_ih, Address w_hh, Address b_ih, Address b_hh, Address h) {
    layer.in.w_ih = at(w_ih);
    layer.in.w_hh = at(w_hh);
    layer.in.b_ih = at(b_ih);
    layer.in.b_hh = at(b_hh);
    layer.h = at(h);
  }

  T* take(long count) {
    memory.emplace_back(workspace((count + slack) * long(sizeof(T))));
    return static_cast<T*>(memory.back().get());
  }

  void make_room(TrainedLayer<T>& layer, bool above) {
    const long H = layer.shape.H, I = layer.shape.I, rows = most_rows, state = most_B * H;
    const long gates = layer.elman ? H : layer.shape.G() * H;
    layer.out = {take(state + rows * H) + state, take(state), nullptr, nullptr, nullptr};
    if (!layer.elman) {
      layer.out.c_n = take(state);
      layer.out.gates = take(rows * 4 * H);
      layer.out.c = take(rows * H);
    }
    layer.d = {};
    layer.d.d_x = above ? take(rows * I) : nullptr;
    layer.d.d_w_ih = take(gates * I);
    layer.d.d_w_hh = take(gates * H);
    if (layer.in.b_ih) layer.d.d_b_ih = take(gates);  // that of b_hh is the same
    if (layer.in.p) layer.d.d_p = take((layer.shape.G() - 1) * H);
  }

  const T* gradient_at(const Place& place) const {
    if (place.layer == layers.size()) return place.slot ? head.d_b : head.d_w;
    const Gradients<T>& d = layers[place.layer].d;
    const T* of[] = {d.d_w_ih, d.d_w_hh, d.d_b_ih, d.d_b_ih, d.d_p};
    return of[place.slot];
  }

  void grow() {
    if (arena.wanted <= arena.size) return;
    room.reset();
    arena.size = 0;
    // Weights that stay in L2 are read over and over: with small pages their addresses would not
    // stay where addresses are looked up.
    constexpr long page = 2l << 20;
    const bool large = arena.wanted > page / 8;
    const long size = large ? (arena.wanted + page - 1) / page * page + page : arena.wanted;
    room.reset(workspace(size));
    const auto at = reinterpret_cast<std::uintptr_t>(room.get());
    const std::uintptr_t first = large ? (at + page - 1) / page * page : at;
    arena.at = reinterpret_cast<char*>(first);
    arena.size = size - long(first - at);
  }

  const Entry<T>& entry;
  int threads;
  std::vector<TrainedLayer<T>> layers;
  Head<T> head{};
  Loss loss{};
  Rule rule{};
  double clip = 0;
  std::vector<Learned<T>> learned;
  std::vector<Place> places;
  long most_rows = 0, most_B = 0;
  std::vector<std::unique_ptr<void, Free>> memory;
  std::unique_ptr<void, Free> room;
  Arena arena{};
};

// entry: gives the level in use when a trainer is made.
template <class T> void bind_trainer(nanobind::module_& m, const char* name, const Entry<T>& (*entry)()) {
  using Of = Trainer<T>;
  nanobind::class_<Of>(m, name)
      .def("__init__", [entry](Of* self, int threads) { new (self) Of(entry(), threads); })
      .def("add_lstm", &Of::add_lstm)
      .def("add_elman", &Of::add_elman)
      .def("set_head", &Of::set_head)
      .def("set_loss", &Of::set_loss)
      .def("set_rule", &Of::set_rule)
      .def("add_parameter", &Of::add_parameter)
      .def("reserve", &Of::reserve)
      .def("run", &Of::run)
      .def("fresh", &Of::fresh)
      .def_ro("stop", &Of::stop)
      .def_ro("found", &Of::found);
}

}  // namespace unrolled
