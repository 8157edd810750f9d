// Constants that passes derive from others: their numbers are made when a backend asks.
#pragma once

#include <functional>
#include <string>

#include "engine/graph.hpp"

namespace fathom {

using Numbers = std::shared_ptr<const Constant>;

inline Numbers lazily(const Desc& desc, std::function<void(float*)> fill) {
  return std::make_shared<Constant>(Constant{desc, [=] {
                                               std::shared_ptr<float[]> values(
                                                   new float[static_cast<std::size_t>(desc.elements())]);
                                               fill(values.get());
                                               return std::shared_ptr<const float[]>(values);
                                             }});
}

// The value of a constant of that name, added where there is none yet: names say all that the numbers are made of.
inline Value add_once(Graph& graph, const std::string& name, const Numbers& numbers) {
  for (std::size_t k = 0; k < graph.values.size(); ++k)
    if (graph.values[k].constant && graph.values[k].name == name) return {static_cast<int>(k)};
  return graph.add_constant(name, numbers);
}

}  // namespace fathom
