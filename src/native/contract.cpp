// The names of what Python hands over, from the lists that the structs and enums are made of.
#include "contract.hpp"

#include "calls.hpp"

namespace unrolled {
namespace {

// A table's row is read as a `Batch`, so it must consist of its numbers and of nothing else.
static_assert(sizeof(Batch<float>) == BatchPart::size * 8 && sizeof(Batch<double>) == BatchPart::size * 8);

void add_names(nanobind::list& to, const char* const* names, std::size_t count) {
  for (std::size_t k = 0; k < count; ++k) to.append(names[k]);
}

template <class... Parts> nanobind::tuple names_of(Call<Parts...>) {
  nanobind::list names;
  (add_names(names, Parts::names, Parts::size), ...);
  return nanobind::tuple(names);
}

// The calls' arguments, and the columns of a table of batches.
nanobind::dict takes() {
  nanobind::dict found;
  found["forward"] = names_of(ForwardCall{});
  found["backward"] = names_of(BackwardCall{});
  found["add_lstm"] = names_of(LstmCall{});
  found["add_elman"] = names_of(ElmanCall{});
  found["set_head"] = names_of(HeadCall{});
  found["set_loss"] = names_of(LossCall{});
  found["set_rule"] = names_of(RuleCall{});
  found["add_parameter"] = names_of(LearnedCall{});
  found["reserve"] = names_of(RoomCall{});
  found["run"] = names_of(BlockCall{});
  found["batches"] = names_of(Call<BatchPart>{});
  return found;
}

#define UNROLLED_NUMBER(name) numbers[#name] = static_cast<long>(Enum::name);
#define UNROLLED_NUMBERS(NAME, LIST) \
  {                                  \
    using Enum = NAME;               \
    nanobind::dict numbers;          \
    LIST(UNROLLED_NUMBER)            \
    found[#NAME] = numbers;          \
  }

// Each enum's members and their numbers.
nanobind::dict members() {
  nanobind::dict found;
  UNROLLED_NUMBERS(Forget, UNROLLED_FORGET)
  UNROLLED_NUMBERS(Activation, UNROLLED_ACTIVATION)
  UNROLLED_NUMBERS(Criterion, UNROLLED_CRITERION)
  UNROLLED_NUMBERS(Over, UNROLLED_OVER)
  UNROLLED_NUMBERS(Method, UNROLLED_METHOD)
  UNROLLED_NUMBERS(Stop, UNROLLED_STOP)
  return found;
}

}  // namespace

void bind_contract(nanobind::module_& m) {
  m.def("takes", takes, "The names of each call's arguments, in order, and of a batch's columns.");
  m.def("members", members, "The numbers of each enum's members.");
}

}  // namespace unrolled
