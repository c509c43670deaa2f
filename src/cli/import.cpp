#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <variant>

#include "app/bench_import.hpp"
#include "app/codecarbon_import.hpp"
#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 30;
constexpr std::size_t kMostProblemsShown = 10;

/// The file had rows, and every one was refused.
bool took_none(const app::CodeCarbonImport& report) {
  return !report.problems.empty() && report.added + report.updated + report.unchanged == 0;
}

std::string report_text(const std::string& file, const app::CodeCarbonImport& report) {
  std::string text =
      fmt::format("{}: {}, {} with later figures, {} there already\n", printable(file),
                  format_count(double(report.added), "new runs"), report.updated, report.unchanged);
  if (report.superseded > 0)
    text += report.superseded == 1
                ? std::string("  1 row is an earlier state of one of these runs\n")
                : fmt::format("  {} rows are earlier states of these runs\n", report.superseded);
  if (report.realigned > 0) {
    text += fmt::format("  {} lacked fields and {} realigned by the types of the values\n",
                        report.realigned == 1 ? "1 row" : fmt::format("{} rows", report.realigned),
                        report.realigned == 1 ? "was" : "were");
  }
  for (std::size_t i = 0; i < std::min(report.problems.size(), kMostProblemsShown); ++i) {
    text += fmt::format("  row {} is left out: {}\n", report.problems[i].row, report.problems[i].reason);
  }
  if (report.problems.size() > kMostProblemsShown) {
    text += fmt::format("  and {} more\n", report.problems.size() - kMostProblemsShown);
  }
  if (report.problems.empty() && report.added + report.updated + report.unchanged + report.superseded == 0)
    text += "  it has a heading and no rows\n";
  if (took_none(report)) text += "  none of its rows could be taken\n";
  return text;
}

nlohmann::ordered_json report_json(const std::string& file, const app::CodeCarbonImport& report) {
  nlohmann::ordered_json json = {{"file", file},
                                 {"added", report.added},
                                 {"updated", report.updated},
                                 {"unchanged", report.unchanged},
                                 {"superseded", report.superseded},
                                 {"realigned", report.realigned},
                                 {"problems", nlohmann::ordered_json::array()},
                                 {"run_ids", report.run_ids}};
  for (const auto& problem : report.problems) {
    json["problems"].push_back({{"row", problem.row}, {"reason", problem.reason}});
  }
  return json;
}

/// gzip, zstd, xz, bzip2 and zip by their first bytes: such a file is no text of any kind.
Status check_not_compressed(const std::string& path, std::string_view content) {
  struct Packing {
    std::string_view magic, name, tool;
  };
  using std::string_view_literals::operator""sv;
  static constexpr std::array kPackings = {
      Packing{"\x1f\x8b"sv, "gzip", "gunzip"}, Packing{"\x28\xb5\x2f\xfd"sv, "zstd", "unzstd"},
      Packing{"\xfd"
              "7zXZ"sv,
              "xz", "unxz"},
      Packing{"BZh"sv, "bzip2", "bunzip2"}, Packing{"PK\x03\x04"sv, "zip", "unzip"}};
  for (const Packing& packing : kPackings) {
    if (!content.starts_with(packing.magic)) continue;
    return user_error(fmt::format("{} is compressed ({})", printable(path), packing.name),
                      fmt::format("unpack it first: {} '{}'", packing.tool, printable(path)));
  }
  return {};
}

/// A report of another benchmark, whose bytes make its run's id.
struct BenchFile {
  std::string text;
  app::BenchReport report;
  std::int64_t written_utc_ns = 0;
};
using ImportedFile = std::variant<app::CodeCarbonFile, BenchFile>;

std::int64_t time_written(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return 0;
  return facts.st_mtim.tv_sec * kNanosecondsPerSecond + facts.st_mtim.tv_nsec;
}

/// JSON begins with a brace, which no heading of a CSV does.
bool looks_like_json(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  text = trim(text);
  return text.starts_with('{') || text.starts_with('[');
}

Result<ImportedFile> read_import(const std::string& path) {
  JOULERY_ASSIGN(std::string text, read_file(path, kLargestFile));
  JOULERY_CHECK_OK(check_not_compressed(path, text));
  const auto named = [&](const Error& error) {
    return user_error(fmt::format("{}: {}", printable(path), error.message), error.hint);
  };
  if (looks_like_json(text)) {
    auto report = app::parse_bench_report(text);
    if (!report) return named(report.error());
    return BenchFile{
        .text = std::move(text), .report = std::move(*report), .written_utc_ns = time_written(path)};
  }
  auto file = app::parse_codecarbon_csv(text);
  if (!file) return named(file.error());
  return std::move(*file);
}

/// Such files are often called alike, in a folder of a telling name.
std::string name_by_place(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path whole = std::filesystem::absolute(path, failed);
  const std::string folder = whole.parent_path().filename().string();
  return failed || folder.empty() ? std::filesystem::path(path).stem().string() : folder;
}

std::string bench_text(const std::string& file, const BenchFile& bench, const app::BenchImport& done) {
  std::string text = fmt::format("{}: {} of {}, {}\n", printable(file),
                                 format_count(double(bench.report.figures.size()), "figures"),
                                 bench.report.source, done.added ? "a new run" : "there already");
  for (const std::string& remark : bench.report.remarks) text += fmt::format("  {}\n", remark);
  if (done.added && bench.report.has_energy)
    text += "  how it knew energy is not in the file: it counts as assumed, without a range\n";
  return text;
}

nlohmann::ordered_json bench_json(const std::string& file, const BenchFile& bench,
                                  const app::BenchImport& done) {
  nlohmann::ordered_json json = {{"file", file},
                                 {"added", done.added ? 1 : 0},
                                 {"updated", 0},
                                 {"unchanged", done.added ? 0 : 1},
                                 {"superseded", 0},
                                 {"realigned", 0},
                                 {"problems", nlohmann::ordered_json::array()},
                                 {"run_ids", nlohmann::ordered_json::array()}};
  if (done.added) json["run_ids"].push_back(done.run_id);
  for (const std::string& remark : bench.report.remarks)
    json["problems"].push_back({{"row", 0}, {"reason", remark}});
  return json;
}

}  // namespace

VerbResult import_verb(app::Application& application, const Arguments& arguments) {
  const auto experiment = arguments.value("experiment");
  // All are read before the first is stored, so that a wrong name changes nothing.
  std::vector<ImportedFile> files;
  for (const std::string& path : arguments.operands) {
    JOULERY_ASSIGN(ImportedFile file, read_import(path));
    files.push_back(std::move(file));
  }
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_write));
  nlohmann::ordered_json document = {{"schema_version", 1}, {"files", nlohmann::ordered_json::array()}};
  std::string text;
  int code = kExitOk;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& path = arguments.operands[i];
    if (const auto* bench = std::get_if<BenchFile>(&files[i])) {
      JOULERY_ASSIGN(
          const app::BenchImport done,
          app::import_bench_report(*store, bench->text, bench->report, name_by_place(path),
                                   experiment.value_or(bench->report.source), bench->written_utc_ns));
      text += bench_text(path, *bench, done);
      document["files"].push_back(bench_json(path, *bench, done));
      continue;
    }
    JOULERY_ASSIGN(const app::CodeCarbonImport report,
                   app::import_codecarbon(*store, std::get<app::CodeCarbonFile>(files[i]),
                                          experiment.value_or("CodeCarbon")));
    text += report_text(path, report);
    if (took_none(report)) code = kExitNegative;
    document["files"].push_back(report_json(path, report));
  }
  if (arguments.has("json")) {
    constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
    JOULERY_CHECK_OK(print(Stream::out, document.dump(2, ' ', false, kReplace) + "\n"));
  } else {
    JOULERY_CHECK_OK(print(Stream::err, text));
  }
  return code;
}

}  // namespace joulery::cli
