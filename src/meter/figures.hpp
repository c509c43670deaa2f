#pragma once

#include "base/quantity.hpp"
#include "meter/accounting.hpp"
#include "meter/session.hpp"
#include "power/sampler.hpp"

namespace joulery::meter {

/// Ids of the devices that add up to the machine without its GPUs, joined with commas: which sources its idle
/// power rests on. GPUs have idle powers of their own.
std::string root_device_ids(const power::Sampler& sampler);
/// Turns totals of devices and the split into quantities that know how they are known.
void fill_figures(const power::Sampler& sampler, MeteredRun& result);
/// Things the reader should know: mirrors, gaps, steal, a run too short for its counters …
void add_warnings(const power::Sampler& sampler, MeteredRun& result);
/// Metrics and params of the run record. What is not known gets no metric, and the tag of the energy's
/// provenance says so.
void fill_record(MeteredRun& result);

}  // namespace joulery::meter
