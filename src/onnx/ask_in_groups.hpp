#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace joulery::onnx {

/// Calls `ask(names)`, which gives a Status, for all values in groups of at most `at_a_time`. A group that
/// fails is asked for in halves, so that a value that can't be had spoils no other; those that fail alone,
/// and all that are left after `most_questions`, go to `refused`. The last error if there was no answer at
/// all.
template <class Ask>
Status ask_in_groups(const std::vector<std::string>& values, std::size_t at_a_time,
                     std::size_t most_questions, std::vector<std::string>& refused, Ask&& ask) {
  using Names = std::vector<std::string>;
  std::deque<Names> groups;
  const std::size_t most = std::max<std::size_t>(at_a_time, 1);
  for (std::size_t i = 0; i < values.size(); i += most) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(i);
    groups.emplace_back(first, first + static_cast<std::ptrdiff_t>(std::min(most, values.size() - i)));
  }
  bool has_answer = values.empty();
  Status last;
  for (std::size_t asked = 0; !groups.empty(); ++asked) {
    const Names group = std::move(groups.front());
    groups.pop_front();
    if (asked >= most_questions) {
      refused.insert(refused.end(), group.begin(), group.end());
      continue;
    }
    Status status = ask(group);
    if (status) {
      has_answer = true;
      continue;
    }
    last = std::move(status);
    if (group.size() == 1) {
      refused.push_back(group[0]);
      continue;
    }
    const auto middle = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
    groups.emplace_back(group.begin(), middle);
    groups.emplace_back(middle, group.end());
  }
  return has_answer ? Status() : last;
}

}  // namespace joulery::onnx
