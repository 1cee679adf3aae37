// A network that is trained in C++; see trainer.cpp.
#pragma once

#include <nanobind/nanobind.h>

#include "arguments.hpp"

namespace unrolled {

// Adds the class `name` to the module.  entry: gives the level in use when a trainer is made.
template <class T> void bind_trainer(nanobind::module_& m, const char* name, const Entry<T>& (*entry)());
extern template void bind_trainer(nanobind::module_&, const char*, const Entry<float>& (*)());
extern template void bind_trainer(nanobind::module_&, const char*, const Entry<double>& (*)());

}  // namespace unrolled
