// What the extension says of its own arguments, so that Python can look before the first call whether
// it would hand over the same.
#pragma once

#include <nanobind/nanobind.h>

namespace unrolled {

// Adds `takes` and `members` to the module.
void bind_contract(nanobind::module_& m);

}  // namespace unrolled
