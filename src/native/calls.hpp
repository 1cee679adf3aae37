// How Python's arguments become the structs of arguments.hpp and training.hpp: each call as the lists
// of fields that it consists of, in their order.  contract.cpp tells the names from the same lists.
//
// Addresses arrive as whole numbers, 0 for null.  One flat list of numbers costs a third of a
// microsecond, three lists one.
#pragma once

#include <nanobind/nanobind.h>

#include <iterator>
#include <type_traits>

#include "training.hpp"

namespace unrolled {

// Arguments, taken one after the other.
class Arguments {
 public:
  explicit Arguments(const nanobind::args& given) : given(given) {}

  template <class F> F take() {
    const nanobind::handle next = given[at++];
    if constexpr (std::is_pointer_v<F>)
      return reinterpret_cast<F>(nanobind::cast<std::uintptr_t>(next));
    else if constexpr (std::is_floating_point_v<F>)
      return nanobind::cast<F>(next);
    else if constexpr (std::is_same_v<F, bool>)
      return nanobind::cast<long>(next) != 0;
    else
      return static_cast<F>(nanobind::cast<long>(next));
  }

 private:
  const nanobind::args& given;
  std::size_t at = 0;
};

#define UNROLLED_NAME(type, name) #name,
#define UNROLLED_TAKE(type, name) to.name = given.template take<type>();

#define UNROLLED_PART(Part, LIST, left_out)                                                             \
  struct Part {                                                                                         \
    static constexpr const char* names[] = {LIST(UNROLLED_NAME)};                                       \
    static constexpr std::size_t size = std::size(names);                                               \
    static constexpr bool optional = left_out;                                                          \
    template <class T, class Into> static void take(Arguments& given, Into& to) { LIST(UNROLLED_TAKE) } \
  };

UNROLLED_PART(SizesPart, UNROLLED_SIZES, false)
UNROLLED_PART(CellPart, UNROLLED_CELL, false)
UNROLLED_PART(WeightsPart, UNROLLED_WEIGHTS, false)
UNROLLED_PART(MasksPart, UNROLLED_MASKS, true)
UNROLLED_PART(ExtentPart, UNROLLED_EXTENT, false)
UNROLLED_PART(ReadPart, UNROLLED_READ, false)
UNROLLED_PART(OutputsPart, UNROLLED_OUTPUTS, false)
UNROLLED_PART(GradientsPart, UNROLLED_GRADIENTS, false)
UNROLLED_PART(KindPart, UNROLLED_KIND, false)
UNROLLED_PART(StatePart, UNROLLED_STATE, false)
UNROLLED_PART(HeadPart, UNROLLED_HEAD, false)
UNROLLED_PART(LossPart, UNROLLED_LOSS, false)
UNROLLED_PART(RulePart, UNROLLED_RULE, false)
UNROLLED_PART(LearnedPart, UNROLLED_LEARNED, false)
UNROLLED_PART(RoomPart, UNROLLED_ROOM, false)
UNROLLED_PART(BlockPart, UNROLLED_BLOCK, false)
UNROLLED_PART(BatchPart, UNROLLED_BATCH, false)

// A call's arguments: the fields of its parts, one after the other.
template <class... Parts> struct Call {
  static constexpr std::size_t most = (Parts::size + ...);
  static constexpr std::size_t least = ((Parts::optional ? 0 : Parts::size) + ...);

  // Into: a struct with these fields.  T: the type of number that addresses lead to.
  template <class T, class Into> static Into read(const nanobind::args& given) {
    const bool whole = given.size() == most;
    if (!whole && given.size() != least)
      throw nanobind::value_error("the native engine was given another number of arguments");
    Into to{};
    Arguments arguments(given);
    ((whole || !Parts::optional ? Parts::template take<T>(arguments, to) : void()), ...);
    return to;
  }
};

// A layer comes first, so that whoever calls again can have it ready.
using ForwardCall = Call<SizesPart, CellPart, WeightsPart, MasksPart, ExtentPart, ReadPart, OutputsPart>;
using BackwardCall = Call<SizesPart, CellPart, WeightsPart, MasksPart, ExtentPart, ReadPart, OutputsPart, GradientsPart>;
using LstmCall = Call<SizesPart, CellPart, WeightsPart, StatePart>;
using ElmanCall = Call<SizesPart, KindPart, WeightsPart, StatePart>;
using HeadCall = Call<HeadPart>;
using LossCall = Call<LossPart>;
using RuleCall = Call<RulePart>;
using LearnedCall = Call<LearnedPart>;
using RoomCall = Call<RoomPart>;
using BlockCall = Call<BlockPart>;

// No two of these have a field of the same name.
template <class T> struct Pass : Shape, Inputs<T>, Outputs<T>, Gradients<T> {};

}  // namespace unrolled
