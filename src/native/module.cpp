// What Python sees, and the choice of a level.  Compiled for every machine of the architecture.
//
// Python checks dtype, device, shape and contiguity (engines/cpu.py) and hands over addresses: reading
// a tensor through DLPack costs 5 µs, an address 0.2.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "arguments.hpp"

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

void in_parallel(int count, void (*work)(void*, int), void* context) {
  std::vector<std::exception_ptr> failed(count);
  auto guarded = [&](int k) {
    try {
      work(context, k);
    } catch (...) {
      failed[k] = std::current_exception();
    }
  };
  // Threads of our own for one call: no pool to outlive a fork, no second OpenMP beside torch's.
  std::vector<std::thread> threads;
  int begun = 1;
  try {
    for (threads.reserve(count - 1); begun < count; ++begun) threads.emplace_back(guarded, begun);
  } catch (...) {
    // No thread to be had: this one does the rest.
  }
  guarded(0);
  for (int k = begun; k < count; ++k) guarded(k);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : failed)
    if (error) std::rethrow_exception(error);
}

void* workspace(long bytes) {
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

void release(void* memory) { std::free(memory); }

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

using Address = std::uintptr_t;

template <class T> T* at(Address a) { return reinterpret_cast<T*>(a); }

Shape shape_of(const std::vector<long>& s) {
  return {s[0], s[1], s[2], s[3], static_cast<Forget>(s[4]), s[5] != 0, s[6] != 0, static_cast<int>(s[7])};
}

template <class T> Inputs<T> inputs_of(const std::vector<Address>& a) {
  using Flag = const std::uint8_t;
  return {at<const T>(a[0]),  at<const T>(a[1]),  at<const T>(a[2]),  at<const T>(a[3]), at<const T>(a[4]),
          at<const T>(a[5]),  at<const T>(a[6]),  at<const T>(a[7]),  at<Flag>(a[8]),    at<Flag>(a[9]),
          at<const T>(a[10]), at<const T>(a[11]), at<const T>(a[12]), at<const T>(a[13]), a[14] != 0};
}

template <class T> Outputs<T> outputs_of(const std::vector<Address>& a) {
  return {at<T>(a[0]), at<T>(a[1]), at<T>(a[2]), at<T>(a[3]), at<T>(a[4])};
}

template <class T> Gradients<T> gradients_of(const std::vector<Address>& a) {
  return {at<const T>(a[0]), at<const T>(a[1]), at<const T>(a[2]), at<const T>(a[3]), at<const T>(a[4]), at<T>(a[5]),
          at<T>(a[6]),       at<T>(a[7]),       at<T>(a[8]),       at<T>(a[9]),       at<T>(a[10]),      at<T>(a[11])};
}

template <class T> const Entry<T>& entry();
template <> const Entry<float>& entry() { return *chosen.f32; }
template <> const Entry<double>& entry() { return *chosen.f64; }

using Numbers = std::vector<long>;
using Addresses = std::vector<Address>;

template <class T> void forward(const Numbers& shape, const Addresses& in, const Addresses& out) {
  nanobind::gil_scoped_release released;
  entry<T>().forward(shape_of(shape), inputs_of<T>(in), outputs_of<T>(out));
}

template <class T>
void backward(const Numbers& shape, const Addresses& in, const Addresses& out, const Addresses& d) {
  nanobind::gil_scoped_release released;
  entry<T>().backward(shape_of(shape), inputs_of<T>(in), outputs_of<T>(out), gradients_of<T>(d));
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
  template <class T> void add(const Numbers& shape, const Addresses& in, const Addresses& out) {
    layers.push_back(entry<T>().stepper(shape_of(shape), inputs_of<T>(in), outputs_of<T>(out)));
  }
  void step() {
    for (Stepper* layer : layers) layer->step(layer);
  }

 private:
  std::vector<Stepper*> layers;
};

template <class T> double busy(long rounds) { return entry<T>().busy(rounds); }

template <class T> void sigmoid(Address from, Address to, long count) {
  entry<T>().sigmoid(at<const T>(from), at<T>(to), count);
}

template <class T> void tanh(Address from, Address to, long count) {
  entry<T>().tanh(at<const T>(from), at<T>(to), count);
}

}  // namespace
}  // namespace unrolled

NB_MODULE(_native, m) {
  using namespace unrolled;
  m.def("levels", level_names, "The levels of instruction sets that this machine has, the best first.");
  m.def("level", [] { return chosen.name; }, "The level in use.");
  m.def("use_level", use_level, "Use another; ValueError if this machine does not have it.");
  m.def("forward_f32", forward<float>);
  m.def("forward_f64", forward<double>);
  m.def("backward_f32", backward<float>);
  m.def("backward_f64", backward<double>);
  nanobind::class_<Stack>(m, "Stack")
      .def(nanobind::init<>())
      .def("add_f32", &Stack::add<float>)
      .def("add_f64", &Stack::add<double>)
      .def("step", &Stack::step);
  m.def("busy_f32", busy<float>);
  m.def("busy_f64", busy<double>);
  m.def("sigmoid_f32", sigmoid<float>);
  m.def("sigmoid_f64", sigmoid<double>);
  // Named in full: clang's own library puts a template of that name into the global namespace.
  m.def("tanh_f32", unrolled::tanh<float>);
  m.def("tanh_f64", unrolled::tanh<double>);
}
