#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace joulery::power {

/// A machine of tests/machines: its /proc, /sys and /dev/cpu in a folder, and the course of its counters. For
/// tests; throws on what it does not understand. The formats are in tests/machines/README.md.
class MachineFixture {
 public:
  /// A graphics card that no file shows.
  struct Card {
    std::string id;
    std::string name;
    double watts = 0;
  };
  /// A device as it should be found.
  struct Expected {
    std::string parent;
    std::string id;
    std::string via;
    std::string scope;
    std::string provenance;
    std::string role;
    /// Negative: any above zero.
    double watts = 0;
  };

  /// `folder` is tests/machines/<name>; its files are made under `root`, which exists.
  MachineFixture(const std::string& folder, std::string root) : root_(std::move(root)) {
    for (const Line& line : read(folder + "/tree.txt")) add_to_tree(line);
    for (const Line& line : read(folder + "/course.txt")) add_to_course(line);
    for (const Line& line : read(folder + "/expected.txt")) add_expected(line);
    for (const Counter& counter : counters_) {
      if (counter.is_register && counter.watts == 0) write_register(counter, 0);
    }
    advance_to(0);
  }

  /// Writes every counter as it stands `seconds` after the start. Registers that do not count stay as they
  /// are: they lie so near to others that writing them again would overwrite those for a moment.
  void advance_to(double seconds) {
    for (const Counter& counter : counters_) {
      if (counter.is_register && counter.watts == 0) continue;
      if (counter.is_register) {
        write_register(counter, seconds);
      } else {
        write_counter(counter, seconds);
      }
    }
  }

  const std::vector<Card>& cards() const { return cards_; }
  const std::vector<Expected>& expected() const { return expected_; }

 private:
  struct Line {
    std::string verb;
    std::string subject;
    std::string rest;
    std::map<std::string, std::string> values;
  };
  struct Counter {
    std::string path;
    bool is_register = false;
    bool is_power = false;
    std::uint64_t address = 0;
    double unit = 1;
    double watts = 0;
    double start = 0;
    /// In the counter's steps; 0 if it does not wrap.
    double wrap = 0;
    /// It stands still from here on; negative if it never does.
    double stops_after = -1;
  };

  static std::vector<Line> read(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("no " + path);
    std::vector<Line> lines;
    std::string text;
    while (std::getline(file, text)) {
      std::istringstream words(text);
      Line line;
      words >> line.verb;
      if (line.verb.empty() || line.verb[0] == '#') continue;
      words >> line.subject >> std::ws;
      std::getline(words, line.rest);
      std::istringstream pairs(line.rest);
      std::string pair;
      while (pairs >> pair) {
        const auto equals = pair.find('=');
        if (equals != std::string::npos) line.values[pair.substr(0, equals)] = pair.substr(equals + 1);
      }
      lines.push_back(line);
    }
    return lines;
  }

  static double number(const Line& line, const std::string& key, double otherwise) {
    const auto found = line.values.find(key);
    return found == line.values.end() ? otherwise : std::stod(found->second);
  }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text << '\n';
  }

  void add_to_tree(const Line& line) {
    if (line.verb == "file") {
      write(line.subject, line.rest);
    } else if (line.verb == "link") {
      const std::filesystem::path file = root_ + line.subject;
      std::filesystem::create_directories(file.parent_path());
      std::filesystem::create_directories((file.parent_path() / line.rest).lexically_normal());
      std::filesystem::create_symlink(line.rest, file);
    } else if (line.verb == "zone") {
      const std::string folder = "/sys/class/powercap/" + line.subject + "/";
      write(folder + "name", line.values.at("name"));
      write(folder + "energy_uj", line.values.at("energy_uj"));
      write(folder + "max_energy_range_uj", line.values.at("range_uj"));
      write(folder + "enabled", "1");
    } else if (line.verb == "cpus") {
      add_cpus(line);
    } else {
      throw std::runtime_error("tree.txt: " + line.verb);
    }
  }

  /// cpus PACKAGES x CORES x THREADS, numbered as Linux does: first threads of all cores, then second ones.
  void add_cpus(const Line& line) {
    const int packages = std::stoi(line.subject);
    const int cores = static_cast<int>(number(line, "cores", 1));
    const int threads = static_cast<int>(number(line, "threads", 1));
    const int dies = static_cast<int>(number(line, "dies", 1));
    const std::string name = line.rest.substr(line.rest.find("name=") + 5);
    const int count = packages * cores * threads;
    std::ostringstream info;
    std::ostringstream stat;
    stat << "cpu  " << 100 * count << " 0 " << 20 * count << " " << 90000 * count << " 0 0 0 0 0 0\n";
    for (int cpu = 0; cpu < count; ++cpu) {
      const int core = cpu % (packages * cores);
      const int package = core / cores;
      const int die = core % cores * dies / cores;
      info << "processor\t: " << cpu << "\nvendor_id\t: " << line.values.at("vendor")
           << "\ncpu family\t: " << line.values.at("family") << "\nmodel\t\t: " << line.values.at("model")
           << "\nmodel name\t: " << name << "\nstepping\t: 1\nphysical id\t: " << package
           << "\ncpu cores\t: " << cores << "\nflags\t\t: fpu vme de"
           << (line.values.contains("virtual") ? " hypervisor" : "") << "\n\n";
      stat << "cpu" << cpu << " 100 0 20 90000 0 0 0 0 0 0\n";
      const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
      write(folder + "physical_package_id", std::to_string(package));
      write(folder + "die_id", std::to_string(die));
    }
    write("/proc/cpuinfo", info.str());
    write("/proc/stat", stat.str());
    write("/sys/devices/system/cpu/online", count == 1 ? "0" : "0-" + std::to_string(count - 1));
  }

  void add_to_course(const Line& line) {
    if (line.verb == "card") {
      cards_.push_back(
          {line.subject, line.rest.substr(line.rest.find("name=") + 5), number(line, "watts", 0)});
      return;
    }
    if (line.verb == "mirror") {
      // One counter under two names. Written one after the other, the two would differ for as long as the
      // writer is kept from its CPU in between.
      std::filesystem::remove(root_ + line.subject);
      std::filesystem::create_symlink(std::filesystem::absolute(root_ + line.values.at("of")),
                                      root_ + line.subject);
      return;
    }
    Counter counter;
    counter.path = line.subject;
    counter.unit = number(line, "unit", 1e-6);
    counter.watts = number(line, "watts", 0);
    counter.wrap = number(line, "wrap", 0);
    counter.stops_after = number(line, "stops_after", -1);
    if (line.verb == "power") {
      counter.is_power = true;
    } else if (line.verb == "register") {
      counter.is_register = true;
      counter.address = std::stoull(line.values.at("address"), nullptr, 0);
      counter.start = number(line, "start", 0);
    } else if (line.verb == "energy") {
      std::ifstream file(root_ + counter.path);
      if (!(file >> counter.start)) throw std::runtime_error("tree.txt has no " + counter.path);
    } else {
      throw std::runtime_error("course.txt: " + line.verb);
    }
    counters_.push_back(counter);
  }

  void add_expected(const Line& line) {
    std::istringstream words(line.rest);
    Expected device;
    std::string watts;
    device.parent = line.verb == "-" ? "" : line.verb;
    device.id = line.subject;
    if (!(words >> device.via >> device.scope >> device.provenance >> device.role >> watts))
      throw std::runtime_error("expected.txt: " + line.subject);
    device.watts = watts == "any" ? -1 : std::stod(watts);
    expected_.push_back(device);
  }

  static std::uint64_t value_at(const Counter& counter, double seconds) {
    if (counter.is_power) return static_cast<std::uint64_t>(std::llround(counter.watts / counter.unit));
    const double moved = counter.stops_after >= 0 ? std::min(seconds, counter.stops_after) : seconds;
    double value = counter.start + std::floor(counter.watts * moved / counter.unit);
    if (counter.wrap > 0) value = std::fmod(value, counter.wrap);
    return static_cast<std::uint64_t>(value);
  }

  /// In place and in one write, as the reader holds the file open and may read at any time.
  void write_counter(const Counter& counter, double seconds) const {
    // Padded, so that a shorter number leaves nothing of a longer one.
    std::string text = std::to_string(value_at(counter, seconds)) + "\n";
    text.insert(0, text.size() < 24 ? 24 - text.size() : 0, ' ');
    const std::string path = root_ + counter.path;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_at(path, text.data(), text.size(), 0);
  }

  void write_register(const Counter& counter, double seconds) const {
    const std::uint64_t value = value_at(counter, seconds);
    const std::string path = root_ + "/dev/cpu/" + counter.path + "/msr";
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_at(path, &value, sizeof value, static_cast<off_t>(counter.address));
  }

  static void write_at(const std::string& path, const void* data, std::size_t size, off_t offset) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool written = file >= 0 && ::pwrite(file, data, size, offset) == static_cast<ssize_t>(size);
    if (file >= 0) ::close(file);
    if (!written) throw std::runtime_error("can't write " + path);
  }

  std::string root_;
  std::vector<Counter> counters_;
  std::vector<Card> cards_;
  std::vector<Expected> expected_;
};

}  // namespace joulery::power
