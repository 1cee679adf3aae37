// Work on several threads: on torch's own where they can be had, otherwise on threads for one call.
#include "arguments.hpp"

#include <exception>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <unistd.h>
#endif

namespace unrolled {
namespace {

// One call's work, and what went wrong in each part of it.
struct Job {
  int count;
  void (*work)(void*, int);
  void* context;
  std::vector<std::exception_ptr> failed;

  void take(int k) {
    try {
      work(context, k);
    } catch (...) {
      failed[k] = std::current_exception();
    }
  }
};

#if defined(__linux__)
const pid_t loaded_by = getpid();

// The OpenMP that torch runs on, which `import torch` makes visible to all.  After an operation of
// torch its threads spin for some milliseconds; threads of ours would find the other cores taken
// (24 ms where 16 are enough, at 100,32,256,256 on two cores).  Torch's wheels bring a library of
// their own name, so it is asked for by what it exports, and not linked with.
struct OpenMP {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  int (*thread)();
  int (*threads)();

  OpenMP()
      : parallel(find<decltype(parallel)>("GOMP_parallel")),
        thread(find<decltype(thread)>("omp_get_thread_num")),
        threads(find<decltype(threads)>("omp_get_num_threads")) {}

  template <class F> static F find(const char* name) { return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name)); }

  // A child that was forked has none of the threads that the library believes it has.
  bool usable() const { return parallel && thread && threads && loaded_by == getpid(); }
};

const OpenMP& openmp() {
  static const OpenMP found;
  return found;
}

// As many threads as torch would take here, whatever that number is.
bool on_torchs_threads(Job& job) {
  if (!openmp().usable()) return false;
  const auto part = [](void* given) {
    Job& all = *static_cast<Job*>(given);
    for (int k = openmp().thread(); k < all.count; k += openmp().threads()) all.take(k);
  };
  openmp().parallel(part, &job, 0, 0);
  return true;
}
#else
bool on_torchs_threads(Job&) { return false; }
#endif

void on_threads_of_our_own(Job& job) {
  std::vector<std::thread> threads;
  int begun = 1;
  try {
    for (threads.reserve(job.count - 1); begun < job.count; ++begun) threads.emplace_back(&Job::take, &job, begun);
  } catch (...) {
    // No thread to be had: this one does the rest.
  }
  job.take(0);
  for (int k = begun; k < job.count; ++k) job.take(k);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

void in_parallel(int count, void (*work)(void*, int), void* context) {
  if (count == 1) return work(context, 0);
  Job job{count, work, context, std::vector<std::exception_ptr>(count)};
  if (!on_torchs_threads(job)) on_threads_of_our_own(job);
  for (const std::exception_ptr& error : job.failed)
    if (error) std::rethrow_exception(error);
}

}  // namespace unrolled
