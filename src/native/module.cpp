// What Python sees, and the choice of a level.  Compiled for every machine of the architecture.
//
// Python checks dtype, device, shape and contiguity (engines/cpu.py) and hands over addresses: reading
// a tensor through DLPack costs 5 µs, an address 0.2.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "calls.hpp"
#include "contract.hpp"
#include "trainer.hpp"

namespace unrolled {

#if defined(__x86_64__)
namespace v4 {
extern const Entry<float> f32;
extern const Entry<double> f64;
}
namespace v3 {
extern const Entry<float> f32;
extern const Entry<double> f64;
}
#endif
namespace baseline {
extern const Entry<float> f32;
extern const Entry<double> f64;
}

namespace {
thread_local Arena* lent = nullptr;
}

void lend(Arena* arena) { lent = arena; }

void hold(bool on) {
  if (!lent) return;
  lent->kept = on ? lent->used : 0;
  lent->kept_live = on ? lent->live : 0;
}

void* workspace(long bytes) {
  if (lent) {
    const long at = lent->used, end = at + (bytes + 63) / 64 * 64;
    lent->used = end;
    lent->wanted = std::max(lent->wanted, end);
    ++lent->live;
    if (end <= lent->size) return lent->at + at;
  }
  void* memory = std::aligned_alloc(64, (static_cast<std::size_t>(bytes) + 63) / 64 * 64);
  if (!memory) throw std::bad_alloc();
  expect_large(memory, bytes);
  return memory;
}

void expect_large(const void* at, long bytes) {
#if defined(__linux__)
  constexpr std::uintptr_t page = 2u << 20;
  const auto first = (reinterpret_cast<std::uintptr_t>(at) + page - 1) / page * page;
  const auto last = (reinterpret_cast<std::uintptr_t>(at) + static_cast<std::uintptr_t>(bytes)) / page * page;
  // A hint: where the system does not take it, nothing changes.
  if (at && last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)at, (void)bytes;
#endif
}

void release(void* memory) {
  if (lent && memory) {
    if (--lent->live == lent->kept_live) lent->used = lent->kept;
    if (memory >= lent->at && memory < lent->at + lent->size) return;
  }
  std::free(memory);
}

namespace {

struct Level {
  std::string name;
  const Entry<float>* f32;
  const Entry<double>* f64;
};

// The levels that this machine has, the best first.
std::vector<Level> levels() {
  std::vector<Level> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) found.push_back({"v4", &v4::f32, &v4::f64});
  if (__builtin_cpu_supports("x86-64-v3")) found.push_back({"v3", &v3::f32, &v3::f64});
#endif
  found.push_back({"baseline", &baseline::f32, &baseline::f64});
  return found;
}

Level chosen = levels().front();

std::vector<std::string> level_names() {
  std::vector<std::string> names;
  for (const Level& level : levels()) names.push_back(level.name);
  return names;
}

void use_level(const std::string& name) {
  for (const Level& level : levels())
    if (level.name == name) {
      chosen = level;
      return;
    }
  throw nanobind::value_error("this machine has no such level");
}

template <class T> const Entry<T>& entry();
template <> const Entry<float>& entry() { return *chosen.f32; }
template <> const Entry<double>& entry() { return *chosen.f64; }

// Lets other Python threads run, where there is time enough for them to.
template <class Work> void unlocked(const Shape& s, Work work) {
  if (double(s.T) * s.B * s.G() * s.H * (s.I + s.H) < 3e5) return work();
  nanobind::gil_scoped_release released;
  work();
}

// Packed weights, kept from call to call by whoever calls again; see weights.hpp.
class Weights {
 public:
  Weights() = default;
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;
  ~Weights() {
    if (kept) kept->drop(kept);
  }
  Kept* kept = nullptr;
  std::mutex mutex;
};

template <class T> void forward(Weights* weights, const nanobind::args& given) {
  const auto call = ForwardCall::read<T, Pass<T>>(given);
  unlocked(call, [&] {
    // A second thread in the same layer packs for itself.
    std::unique_lock<std::mutex> lock;
    if (weights) lock = std::unique_lock(weights->mutex, std::try_to_lock);
    entry<T>().forward(call, call, call, lock.owns_lock() ? &weights->kept : nullptr);
  });
}

template <class T> void backward(const nanobind::args& given) {
  const auto call = BackwardCall::read<T, Pass<T>>(given);
  unlocked(call, [&] { entry<T>().backward(call, call, call, call); });
}

// Layers stepped one after the other, each reading where the one below writes.
class Stack {
 public:
  Stack() = default;
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() {
    for (Stepper* layer : layers) layer->drop(layer);
  }
  template <class T> void add(const nanobind::args& given) {
    const auto call = ForwardCall::read<T, Pass<T>>(given);
    layers.push_back(entry<T>().stepper(call, call, call));
  }
  void step() {
    if (error.is_valid()) {
      PyErr_SetObject(error.type().ptr(), error.ptr());
      throw nanobind::python_error();
    }
    for (Stepper* layer : layers) layer->step(layer);
  }
  // From now on a step raises this, whoever has kept hold of `step`; with None it steps again.
  void refuse(nanobind::object why) { error = why.is_none() ? nanobind::object() : why; }

 private:
  std::vector<Stepper*> layers;
  nanobind::object error;
};

template <class T> double busy(long rounds) { return entry<T>().busy(rounds); }

template <class T> void sigmoid(std::uintptr_t from, std::uintptr_t to, long count) {
  entry<T>().sigmoid(reinterpret_cast<const T*>(from), reinterpret_cast<T*>(to), count);
}

template <class T> void tanh(std::uintptr_t from, std::uintptr_t to, long count) {
  entry<T>().tanh(reinterpret_cast<const T*>(from), reinterpret_cast<T*>(to), count);
}

}  // namespace
}  // namespace unrolled

NB_MODULE(_native, m) {
  using namespace unrolled;
  nanobind::set_leak_warnings(false);  // what is alive when Python ends is nobody's fault
  m.def("levels", level_names, "The levels of instruction sets that this machine has, the best first.");
  m.def("level", [] { return chosen.name; }, "The level in use.");
  m.def("use_level", use_level, "Use another; ValueError if this machine does not have it.");
  nanobind::class_<Weights>(m, "Weights").def(nanobind::init<>());
  m.def("forward_f32", forward<float>, nanobind::arg().none(), nanobind::arg("args"));
  m.def("forward_f64", forward<double>, nanobind::arg().none(), nanobind::arg("args"));
  m.def("backward_f32", backward<float>);
  m.def("backward_f64", backward<double>);
  // Attributes of its own: in them it keeps alive what it reads and writes.
  nanobind::class_<Stack>(m, "Stack", nanobind::dynamic_attr())
      .def(nanobind::init<>())
      .def("add_f32", &Stack::add<float>)
      .def("add_f64", &Stack::add<double>)
      .def("step", &Stack::step)
      .def("refuse", &Stack::refuse, nanobind::arg().none());
  bind_contract(m);
  bind_trainer<float>(m, "Trainer_f32", entry<float>);
  bind_trainer<double>(m, "Trainer_f64", entry<double>);
  m.def("busy_f32", busy<float>);
  m.def("busy_f64", busy<double>);
  m.def("sigmoid_f32", sigmoid<float>);
  m.def("sigmoid_f64", sigmoid<double>);
  // Named in full: clang's own library puts a template of that name into the global namespace.
  m.def("tanh_f32", unrolled::tanh<float>);
  m.def("tanh_f64", unrolled::tanh<double>);
}
