// A network that is trained in C++: what Python says of it, one thing after the other, and the memory
// that its steps need.  Compiled for every machine, with module.cpp.
#include "trainer.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "calls.hpp"

namespace unrolled {
namespace {

#define UNROLLED_TEXT(name) #name,
constexpr const char* stops[] = {UNROLLED_STOP(UNROLLED_TEXT)};

template <class T> struct State {
  UNROLLED_STATE(UNROLLED_FIELD)
};
struct Kind {
  UNROLLED_KIND(UNROLLED_FIELD)
};
struct Room {
  UNROLLED_ROOM(UNROLLED_FIELD)
};
template <class T> struct Block {
  UNROLLED_BLOCK(UNROLLED_FIELD)
};
// What the trainer is told of a layer of each kind.
template <class T> struct Lstm : Shape, Inputs<T>, State<T> {};
template <class T> struct Elman : Shape, Kind, Inputs<T>, State<T> {};

// Shapes were checked in Python.
template <class T> class Trainer {
 public:
  Trainer(const Entry<T>& entry, int threads) : entry(entry), threads(threads) {}
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  void add_lstm(const nanobind::args& given) {
    const auto layer = LstmCall::read<T, Lstm<T>>(given);
    layers.push_back({false, {}, layer, layer, {}, {}, layer.h, layer.c});
    layers.back().shape.threads = threads;
  }

  void add_elman(const nanobind::args& given) {
    const auto layer = ElmanCall::read<T, Elman<T>>(given);
    layers.push_back({true, layer.activation, layer, layer, {}, {}, layer.h, layer.c});
  }

  void set_head(const nanobind::args& given) { head = HeadCall::read<T, Head<T>>(given); }
  void set_loss(const nanobind::args& given) {
    loss = LossCall::read<T, Loss>(given);
    quantiles.assign(loss.quantiles, loss.quantiles + loss.levels);
    loss.quantiles = quantiles.data();
  }
  void set_rule(const nanobind::args& given) { rule = RuleCall::read<T, Rule>(given); }

  // One of the layers' or of the head's parameters, which are told by where they lie.
  void add_parameter(const nanobind::args& given) { learned.push_back(LearnedCall::read<T, Learned<T>>(given)); }

  void reserve(const nanobind::args& given) {
    const auto wanted = RoomCall::read<T, Room>(given);
    if (wanted.most_rows <= room.most_rows && wanted.most_B <= room.most_B) return;
    room = {std::max(wanted.most_rows, room.most_rows), std::max(wanted.most_B, room.most_B)};
    memory.clear();
    for (std::size_t k = 0; k < layers.size(); ++k) make_room(layers[k], k > 0);
    for (std::size_t k = 1; k < layers.size(); ++k) layers[k - 1].d.d_y = layers[k].d.d_x;
    const long rows = room.most_rows, H = head.H = layers.back().shape.H, O = head.O;
    head.output = take(rows * O);
    head.d_output = take(rows * O);
    head.d_h = take(rows * H);
    head.d_w = take(O * H);
    head.d_b = take(O);
    for (Learned<T>& l : learned) l.gradient = gradient_of(l.value);
  }

  // A step for each of `count` batches; returns how many were made.
  long run(const nanobind::args& given) {
    const auto block = BlockCall::read<T, Block<T>>(given);
    Training<T> net{layers.data(), long(layers.size()), head, loss, rule, learned.data(), long(learned.size()), clip,
                    Stop::none, 0};
    long made = 0;
    {
      nanobind::gil_scoped_release released;
      while (made < block.count && net.stop == Stop::none) {
        // The first step shows what memory the passes want; it is there from the second on.
        const long some = arena.size ? block.count - made : 1;
        lend(&arena);
        try {
          made += entry.train(net, block.batches + made, some, block.losses + made);
        } catch (...) {
          lend(nullptr);
          throw;
        }
        lend(nullptr);
        grow();
      }
    }
    stop = stops[static_cast<int>(net.stop)];
    found = net.found;
    return made;
  }

  // Of each parameter, whether its momentum still holds nothing.
  bool fresh(std::size_t k) const { return learned[k].fresh; }

  const char* stop = stops[0];  // a member of Stop
  double found = 0;
  double clip = 0;

 private:
  struct Free {
    void operator()(void* memory) const { release(memory); }
  };

  T* take(long count) {
    memory.emplace_back(workspace((count + slack) * long(sizeof(T))));
    return static_cast<T*>(memory.back().get());
  }

  void make_room(TrainedLayer<T>& layer, bool above) {
    const long H = layer.shape.H, I = layer.shape.I, rows = room.most_rows, state = room.most_B * H;
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

  const T* gradient_of(const T* value) const {
    if (value == head.w) return head.d_w;
    if (value == head.b) return head.d_b;
    for (const TrainedLayer<T>& layer : layers) {
      const Inputs<T>& in = layer.in;
      const Gradients<T>& d = layer.d;
      if (value == in.w_ih) return d.d_w_ih;
      if (value == in.w_hh) return d.d_w_hh;
      if (value == in.b_ih || value == in.b_hh) return d.d_b_ih;
      if (value == in.p) return d.d_p;
    }
    throw nanobind::value_error("a parameter is neither a layer's nor the head's");
  }

  void grow() {
    if (arena.wanted <= arena.size) return;
    arena_memory.reset();
    arena.size = 0;
    // Weights that stay in L2 are read over and over: with small pages their addresses would not
    // stay where addresses are looked up.
    constexpr long page = 2l << 20;
    const bool large = arena.wanted > page / 8;
    const long size = large ? (arena.wanted + page - 1) / page * page + page : arena.wanted;
    arena_memory.reset(workspace(size));
    const auto at = reinterpret_cast<std::uintptr_t>(arena_memory.get());
    const std::uintptr_t first = large ? (at + page - 1) / page * page : at;
    arena.at = reinterpret_cast<char*>(first);
    arena.size = size - long(first - at);
  }

  const Entry<T>& entry;
  int threads;
  std::vector<TrainedLayer<T>> layers;
  Head<T> head{};
  std::vector<double> quantiles;
  Loss loss{};
  Rule rule{};
  std::vector<Learned<T>> learned;
  Room room{};
  std::vector<std::unique_ptr<void, Free>> memory;
  std::unique_ptr<void, Free> arena_memory;
  Arena arena{};
};

}  // namespace

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
      .def_prop_ro("stop", [](const Of& self) { return self.stop; })
      .def_rw("clip", &Of::clip)
      .def_ro("found", &Of::found);
}

template void bind_trainer(nanobind::module_&, const char*, const Entry<float>& (*)());
template void bind_trainer(nanobind::module_&, const char*, const Entry<double>& (*)());

}  // namespace unrolled
