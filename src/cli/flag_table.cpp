#include "cli/flag_table.hpp"

#include <algorithm>

#include "cli/bench_endpoint.hpp"
#include "cli/bench_model.hpp"

namespace joulery::cli {
namespace {

Flag json_flag() {
  return {.name = "json", .help = "write JSON to stdout"};
}

std::vector<std::string> sort_choices() {
  std::vector<std::string> choices;
  for (const char* sign : {"", "-"}) {
    for (const auto& [key, column] : sort_keys()) choices.push_back(sign + key);
  }
  return choices;
}

/// Where the electricity comes from: of every verb that computes a footprint.
std::vector<Flag> site_flags() {
  return {
      {.name = "zone",
       .value = "ZONE",
       .help = "where electricity comes from: FR, US-CA, CA-QC, aws:eu-west-3 (default: the world's average)",
       .setting = "zone"},
      {.name = "pue",
       .value = "X",
       .help = "power usage effectiveness of the data centre (default: the cloud's, else 1)",
       .setting = "pue"},
      {.name = "price",
       .value = "PRICE",
       .help = "of a kWh with its currency, such as \"0.25 EUR\" (default: a table for the US)",
       .setting = "price"},
      {.name = "intensity",
       .value = "KIND",
       .help = "grid intensity: lifecycle (default) or direct",
       .setting = "intensity",
       .choices = {"lifecycle", "direct"}},
      {.name = "data",
       .value = "DIR",
       .help = "tables that replace the built-in ones",
       .setting = "data",
       .takes_file = true}};
}

Verb run_verb() {
  Verb verb;
  verb.name = "run";
  verb.summary = "meter a command and keep what it cost";
  verb.usage = "run [FLAGS] -- COMMAND [ARGUMENTS]";
  verb.examples = {
      {"joulery run -- python3 train.py", "meter a training; the summary comes after it, on stderr"},
      {"joulery run --repeat 5 --warmup 1 -- ./infer", "means with confidence intervals over five runs"},
      {"joulery run --per \"1000 images\" -- ./infer", "also the cost of one image"},
      {"joulery run --zone US-CA --price \"0.22 USD\" -- make", "carbon, water and money of a place"},
      {"joulery run --json --output cost.json -- make", "the figures as JSON, in a file"},
      {"joulery run --versus 'python3 a.py' 'python3 b.py' --repeat 10", "which of two costs less"},
  };
  verb.flags = {
      {.name = "name",
       .value = "NAME",
       .help = "name of the run (default: the command's)",
       .short_name = 'n'},
      {.name = "experiment",
       .value = "NAME",
       .help = "experiment it belongs to (default: Default)",
       .short_name = 'e',
       .setting = "run.experiment",
       .candidates = "experiments"},
      {.name = "tag",
       .value = "KEY=VALUE",
       .help = "tag to search for later; may be repeated",
       .short_name = 't',
       .repeatable = true},
      {.name = "repeat",
       .value = "N",
       .help = "run the command N times; each is a run of its own",
       .short_name = 'r'},
      {.name = "warmup", .value = "K", .help = "run it K times before, unrecorded", .short_name = 'w'},
      {.name = "versus",
       .value = "'A' 'B'",
       .help = "run two command lines in turn (5 times each, or --repeat) and compare them",
       .value_count = 2},
      {.name = "seed", .value = "N", .help = "order of the runs of --versus (default: by chance)"},
      {.name = "margin",
       .value = "PERCENT",
       .help = "with --versus: test that they differ by less than this"},
      {.name = "hz", .value = "F", .help = "power samples per second (default: 10)", .setting = "run.hz"},
      {.name = "idle",
       .value = "POLICY",
       .help = "who bears idle power: proportional (default), none, all",
       .setting = "run.idle",
       .choices = {"proportional", "none", "all"}},
      {.name = "wait",
       .value = "MODE",
       .help = "end with the command (child) or with all it started (tree, default)",
       .setting = "run.wait",
       .choices = {"child", "tree"}},
      {.name = "per",
       .value = "UNIT",
       .help = "what the run did, such as \"1000 images\": adds the cost of one"},
      {.name = "attribution",
       .value = "TIER",
       .help = "how to tell the workload apart: auto (default), cgroup, systemd, perf, tree",
       .setting = "run.attribution",
       .choices = {"auto", "cgroup", "systemd", "perf", "tree"}},
      {.name = "live", .help = "a line that shows power while it runs"},
      {.name = "json", .help = "JSON instead of the summary: to stderr after the command, or to --output"},
      {.name = "output",
       .value = "FILE",
       .help = "write the summary or the JSON to FILE",
       .short_name = 'o',
       .takes_file = true},
      {.name = "codecarbon-csv",
       .value = "FILE",
       .help = "append a row of the run to FILE, in the columns of CodeCarbon's emissions.csv",
       .takes_file = true},
      {.name = "quiet", .help = "no summary on stderr; --output's file still gets it", .short_name = 'q'},
      {.name = "reserved",
       .help = "the whole machine is there for this run: SCI and embodied share count all of it"},
      {.name = "sci-ai",
       .value = "WHO",
       .help = "also the score of SCI for AI: consumer (use) or provider (making the model); needs --per",
       .choices = {"consumer", "provider"}},
      {.name = "sci-ai-note",
       .value = "TEXT",
       .help = "why this unit, gross or effective values: a provider's score must say it"},
  };
  for (Flag& flag : site_flags()) verb.flags.push_back(std::move(flag));
  verb.details =
      std::string("The command keeps its terminal, standard streams, signals and exit code.\n") +
      kRunExitCodes +
      "--versus takes each command as one word and splits it at blanks; quotes and backslashes keep "
      "blanks as in a shell, but no shell is run: for pipes and variables write \"sh -c '...'\".\n";
  verb.takes_command = true;
  return verb;
}

Verb compare_verb() {
  return {
      .name = "compare",
      .summary = "what B costs against A, and how sure that is",
      .usage = "compare [A B] [FLAGS]",
      .examples = {{"joulery compare old new", "two runs or series, by name or id"},
                   {"joulery compare", "the two sides of the last `run --versus`"},
                   {"joulery compare --by framework --where \"tags.task = 'digits'\"",
                    "groups of runs by the value of a tag"},
                   {"joulery compare old new --margin 3", "is the difference below 3 %?"}},
      .flags = {{.name = "by", .value = "TAG", .help = "compare runs by the value of this tag"},
                {.name = "where", .value = "FILTER", .help = "with --by: only runs that match"},
                {.name = "baseline",
                 .value = "VALUE",
                 .help = "with --by: the value to compare with (default: the first)"},
                {.name = "margin",
                 .value = "PERCENT",
                 .help = "test whether they differ by less than this: only then \"no difference\""},
                {.name = "single", .help = "only the runs named, not the series they belong to"},
                json_flag()},
      .details =
          "A and B are names (all runs of that name), ids of series, or runs as `show` takes them (with the "
          "series "
          "they belong to). Alone, a run of `run --versus` stands for both sides of its session. Exit code 0 "
          "whatever "
          "the verdict: `compare` informs.\n",
      .most_operands = 2,
      .operands_are_runs = true};
}

Verb report_verb() {
  return {.name = "report",
          .summary = "one page that says what runs cost, how sure that is, and what would help",
          .usage = "report [RUN...] --html FILE",
          .examples = {{"joulery report --html report.html", "the last run, as a page for any browser"},
                       {"joulery report old new --html both.html", "two runs side by side"},
                       {"joulery report --json", "the same as data"}},
          .flags = {{.name = "html",
                     .value = "FILE",
                     .help = "write the page to FILE; - is stdout",
                     .takes_file = true},
                    json_flag()},
          .details =
              "RUN is what `show` takes (default: the last run); the id of a series, or of a `run --versus`, "
              "stands "
              "for its runs. The page needs no network and no script. Runs that failed or were cut off have "
              "one too: "
              "it says what is missing.\n",
          .most_operands = 1000,
          .operands_are_runs = true};
}

Verb data_verb() {
  return {
      .name = "data",
      .summary = "the tables that carbon, water and money rest on",
      .usage = "data list | data import FILE --licence TEXT --source TEXT [FLAGS]",
      .examples = {{"joulery data list", "every table, its file, who published it and under which licence"},
                   {"joulery data import ~/Downloads/SE-SE3_2025_yearly.csv --licence ODbL --source "
                    "\"Electricity Maps\"",
                    "a table that we may not ship"}},
      .flags = {{.name = "licence", .value = "TEXT", .help = "licence that the file came under"},
                {.name = "source", .value = "TEXT", .help = "who published it"},
                {.name = "year", .value = "YEAR", .help = "year of its values, if the file doesn't say"},
                {.name = "table", .value = "NAME", .help = "which table it is (default: by its heading)"},
                {.name = "data",
                 .value = "DIR",
                 .help = "tables that replace the built-in ones",
                 .setting = "data",
                 .takes_file = true},
                json_flag()},
      .details =
          "An imported table is checked and copied to joulery's data folder; it stands before the built-in "
          "one of its "
          "name. Delete the file to go back.\n",
      .fewest_operands = 1,
      .most_operands = 2};
}

Verb engines_verb() {
  return {
      .name = "engines",
      .summary = "inference engines that can run models here",
      .usage = "engines [FLAGS]",
      .examples = {{"joulery engines", "each with its version, devices, precisions and what is missing"},
                   {"joulery engines --engine-path /opt/onnxruntime/lib", "also those of a folder"}},
      .flags = {{.name = "engine-path",
                 .value = "DIR",
                 .help = "look in DIR first: absolute, yours or root's, no folder that everybody may write",
                 .takes_file = true},
                json_flag()},
      .details =
          "Looked for in the active Python environment, in .deps of the source tree, among the user's "
          "and the system's Python packages, and where the system keeps libraries. Each library is "
          "opened in a process of its own. Exit code 3 if none can be used.\n"};
}

Verb bench_verb() {
  Verb verb{
      .name = "bench",
      .summary = "what a model, or a server, costs here: energy, CPU time, latency, quality",
      .usage = "bench MODEL|BUNDLE|URL [FLAGS]",
      .examples = {{"joulery bench model.onnx", "energy, CPU time, latency and memory of an inference"},
                   {"joulery bench model.onnx --data test.npz --task classify",
                    "also how good its answers are"},
                   {"joulery bench a.onnx --versus b.onnx", "two models in turn, and their ratio"},
                   {"joulery bench m.onnx --versus-engine openvino --task agree", "one model in two engines"},
                   {"joulery bench http://localhost:8000/v1/chat/completions --concurrency 1,2,4",
                    "a language model's server, by how many ask at a time"},
                   {"joulery bench http://localhost:8000/v1 --rate 0.5,1,2 --slo ttft:200ms --slo tpot:50ms",
                    "requests that come whatever the server does, and how many of them go well"},
                   {"joulery bench http://localhost:8080/v2/models/resnet --shape x:1,3,224,224",
                    "a model of an Open Inference Protocol server"}},
      .flags = model_flags(),
      .details =
          "A model is checked, then run by an engine in a process of its own until CPU-seconds per inference "
          "are "
          "known to the target; docs/guide/bench.md says how. A server's energy is metered if it is on this "
          "machine; docs/guide/endpoints.md says what each figure means. Exit code 2 for a model or data "
          "that "
          "can't be used, 3 without an engine or if no request went through, 130 if Ctrl-C ended it: what "
          "there "
          "is by then is shown.\n",
      .fewest_operands = 1,
      .most_operands = 1};
  for (Flag& flag : endpoint_flags()) {
    const bool shared =
        std::ranges::any_of(verb.flags, [&](const Flag& other) { return other.name == flag.name; });
    if (!shared) verb.flags.push_back(std::move(flag));
  }
  verb.flags.push_back({.name = "name",
                        .value = "NAME",
                        .help = "name of the runs (default: the model's)",
                        .short_name = 'n'});
  verb.flags.push_back({.name = "experiment",
                        .value = "NAME",
                        .help = "experiment they belong to (default: Default)",
                        .short_name = 'e',
                        .setting = "run.experiment",
                        .candidates = "experiments"});
  verb.flags.push_back(
      {.name = "format",
       .value = "FORMAT",
       .help = "table (default), json or markdown; of a model also html, optimum, aienergyscore",
       .short_name = 'f',
       .choices = {"table", "json", "markdown", "html", "optimum", "aienergyscore"}});
  verb.flags.push_back(json_flag());
  verb.flags.push_back(
      {.name = "output", .value = "FILE", .help = "write to FILE", .short_name = 'o', .takes_file = true});
  for (Flag& flag : site_flags()) {
    // Of a bench, --data are samples.
    if (flag.name != "data") verb.flags.push_back(std::move(flag));
  }
  return verb;
}

/// How this program starts itself to run an engine apart. Not for people.
Verb engine_worker_verb() {
  return {.name = "engine-worker",
          .summary = "an engine in a process of its own",
          .usage = "engine-worker",
          .examples = {},
          .flags = {},
          .internal = true};
}

std::vector<Verb> make_verbs() {
  std::vector<Verb> all;
  all.push_back(run_verb());
  all.push_back({.name = "doctor",
                 .summary = "what this machine can measure, how well, and how to make it better",
                 .usage = "doctor [FLAGS]",
                 .examples = {{"joulery doctor", "every source, with the command that enables it"},
                              {"joulery doctor --report > report.md",
                               "a text to paste into a bug report, without secrets"}},
                 .flags = {json_flag(), {.name = "report", .help = "Markdown for a bug report"}},
                 .details = "Exit code 3 if nothing can be metered or kept here.\n"});
  all.push_back(
      {.name = "runs",
       .summary = "list recorded runs",
       .usage = "runs [FILTER] [FLAGS]",
       .examples = {{"joulery runs", "the latest twenty"},
                    {"joulery runs \"metrics.energy_joules > 100 and tags.team = 'vision'\"",
                     "those that match"},
                    {"joulery runs --sort energy --limit 5 --experiment Default", "the five cheapest"}},
       .flags = {{.name = "experiment",
                  .value = "NAME",
                  .help = "only this experiment; may be repeated",
                  .short_name = 'e',
                  .repeatable = true,
                  .candidates = "experiments"},
                 {.name = "sort",
                  .value = "KEY",
                  .help = "energy, cpu, wall, carbon, start, name, or metrics.KEY; \"-KEY\" for descending",
                  .short_name = 's',
                  .choices = sort_choices()},
                 {.name = "limit", .value = "N", .help = "at most N runs (default: 20)", .short_name = 'l'},
                 {.name = "deleted", .help = "deleted runs instead"},
                 json_flag()},
       .details = "FILTER is MLflow's: metrics.KEY, params.KEY, tags.KEY and attributes such as status, "
                  "run_name and "
                  "start_time, compared and joined with \"and\". energy_joules, cpu_seconds and the like "
                  "need no prefix "
                  "\"joulery/\".\n",
       .most_operands = 1});
  all.push_back(
      {.name = "show",
       .summary = "show one run again",
       .usage = "show [RUN] [FIGURE] [FLAGS]",
       .examples = {{"joulery show", "the last run"},
                    {"joulery show 01a1fd51ec12 --json", "by the start of its id"},
                    {"joulery show --why last carbon", "how the figure came about, step by step"}},
       .flags = {json_flag(),
                 {.name = "power", .help = "with the power series (JSON only)"},
                 {.name = "why",
                  .help = "how figures came about: every factor, its range and who published it"}},
       .details =
           "RUN is an id, the start of one, the name of a run, or \"last\". With --why a FIGURE may follow: "
           "energy, carbon, water, embodied, cost or sci.\n",
       .most_operands = 2,
       .operands_are_runs = true});
  all.push_back(bench_verb());
  all.push_back(compare_verb());
  all.push_back(report_verb());
  all.push_back(
      {.name = "export",
       .summary = "write runs or power series as CSV or JSON",
       .usage = "export [RUN...] [FLAGS]",
       .examples = {{"joulery export > runs.csv", "one line per run"},
                    {"joulery export last --what power > power.csv", "every power sample of a run"}},
       .flags = {{.name = "format",
                  .value = "FORMAT",
                  .help = "csv (default) or json",
                  .short_name = 'f',
                  .choices = {"csv", "json"}},
                 {.name = "what",
                  .value = "WHAT",
                  .help = "runs (default) or power",
                  .choices = {"runs", "power"}},
                 {.name = "filter", .value = "FILTER", .help = "runs that match, instead of naming them"},
                 {.name = "output",
                  .value = "FILE",
                  .help = "write to FILE",
                  .short_name = 'o',
                  .takes_file = true},
                 {.name = "json", .help = "the same as --format json"}},
       .most_operands = 1000,
       .operands_are_runs = true});
  all.push_back(
      {.name = "import",
       .summary = "take over runs from CodeCarbon, optimum-benchmark and AI Energy Score",
       .usage = "import FILE... [FLAGS]",
       .examples = {{"joulery import emissions.csv", "each run once, however often it is imported"},
                    {"joulery import benchmark_report.json GPU_ENERGY_SUMMARY.json", "other benchmarks"}},
       .flags = {{.name = "experiment",
                  .value = "NAME",
                  .help = "experiment they belong to (default: the tool's name)",
                  .short_name = 'e'},
                 json_flag()},
       .details = "Also reads rows that a version of CodeCarbon wrote too short, and semicolons with "
                  "decimal commas.\n",
       .fewest_operands = 1,
       .most_operands = 1000});
  all.push_back({.name = "rm",
                 .summary = "delete runs; they can be restored until gc",
                 .usage = "rm RUN... [FLAGS]",
                 .examples = {{"joulery rm 01a1fd51ec12", "delete a run"},
                              {"joulery rm --restore 01a1fd51ec12", "bring it back"}},
                 .flags = {{.name = "restore", .help = "bring back instead"}, json_flag()},
                 .fewest_operands = 1,
                 .most_operands = 1000,
                 .operands_are_runs = true});
  all.push_back(
      {.name = "gc",
       .summary = "remove deleted runs for good and give back their space",
       .usage = "gc [FLAGS]",
       .examples = {{"joulery gc --older-than 30", "those deleted more than 30 days ago"}},
       .flags = {{.name = "older-than", .value = "DAYS", .help = "deleted at least DAYS ago (default: 0)"},
                 json_flag()}});
  all.push_back(
      {.name = "config",
       .summary = "what is set, and where",
       .usage = "config show [FLAGS]",
       .examples = {{"joulery config show --origin", "every setting with the place it comes from"}},
       .flags = {{.name = "origin", .help = "with the file and line, variable or flag"}, json_flag()},
       .most_operands = 1,
       .operand_choices = {"show"}});
  all.push_back(data_verb());
  all.push_back(engines_verb());
  all.push_back({.name = "completions",
                 .summary = "completions for a shell",
                 .usage = "completions SHELL",
                 .examples = {{"source <(joulery completions bash)", "for this shell; the same with zsh"},
                              {"joulery completions fish | source", "for this fish"}},
                 .flags = {},
                 .details = "`cmake --install` puts them where the shells find them by themselves.\n",
                 .fewest_operands = 1,
                 .most_operands = 1,
                 .operand_choices = {"bash", "zsh", "fish"}});
  all.push_back({.name = "man",
                 .summary = "the manual page",
                 .usage = "man",
                 .examples = {{"joulery man", "read it"}, {"joulery man > joulery.1", "its source, for man"}},
                 .flags = {}});
  all.push_back({.name = "complete",
                 .summary = "what a word can be completed to",
                 .usage = "complete KIND [START]",
                 .examples = {},
                 .flags = {},
                 .fewest_operands = 1,
                 .most_operands = 2,
                 .internal = true});
  all.push_back(engine_worker_verb());
  return all;
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> kVerbs = make_verbs();
  return kVerbs;
}

const std::vector<std::pair<std::string, std::string>>& sort_keys() {
  static const std::vector<std::pair<std::string, std::string>> kKeys = {
      {"energy", "metrics.energy_joules"},  {"cpu", "metrics.cpu_seconds"},
      {"wall", "metrics.duration_seconds"}, {"carbon", "metrics.carbon_gco2e"},
      {"start", "attributes.start_time"},   {"name", "attributes.run_name"}};
  return kKeys;
}

std::vector<const Flag*> flags_of(const Verb* verb) {
  std::vector<const Flag*> flags;
  if (verb != nullptr) {
    for (const Flag& flag : verb->flags) flags.push_back(&flag);
  }
  for (const Flag& flag : global_flags()) flags.push_back(&flag);
  return flags;
}

const Verb* find_verb(const std::string& name) {
  for (const Verb& verb : verbs()) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

const std::vector<Flag>& global_flags() {
  static const std::vector<Flag> kFlags = {
      {.name = "store",
       .value = "FILE",
       .help = "file that runs are kept in",
       .setting = "store",
       .takes_file = true},
      {.name = "color",
       .value = "WHEN",
       .help = "auto (default), always or never",
       .setting = "color",
       .choices = {"auto", "always", "never"}},
      {.name = "help", .help = "this text", .short_name = 'h'},
      {.name = "version", .help = "the version", .short_name = 'V'},
  };
  return kFlags;
}

}  // namespace joulery::cli
