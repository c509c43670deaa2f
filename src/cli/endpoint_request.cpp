#include "cli/endpoint_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/footprint.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/bench_endpoint.hpp"

namespace joulery::cli {
namespace {

namespace endpoint = evaluate::endpoint;
namespace remote = engine::remote;

constexpr double kDefaultSeconds = 30;
constexpr std::size_t kMostConcurrency = 10'000;
constexpr double kMostRate = 100'000;
constexpr std::size_t kLargestPrompts = 256 << 20;
constexpr std::size_t kLargestTrace = 64 << 20;
constexpr std::size_t kLargestKey = 64 << 10;
constexpr int kMostTokens = 10'000'000;
constexpr const char* kTrace = "trace:";

/// Closed loops, then open ones, in the order in which they are named.
Result<std::vector<app::EndpointLoad>> read_loads(const Arguments& arguments, endpoint::Arrivals& trace) {
  std::vector<app::EndpointLoad> loads;
  if (const auto list = arguments.value("concurrency")) {
    for (const std::string_view part : split(*list, ',')) {
      const auto count = parse_uint64(trim(part));
      if (!count || *count < 1 || *count > kMostConcurrency) {
        return user_error(fmt::format("--concurrency '{}': '{}' is no whole number from 1 to {}",
                                      printable(*list), printable(part), kMostConcurrency),
                          "write it like --concurrency 1,2,4");
      }
      loads.push_back({.concurrency = static_cast<std::size_t>(*count)});
    }
  }
  const std::string arrivals = arguments.value("arrivals").value_or("poisson");
  if (arrivals != "poisson" && arrivals != "constant" && !arrivals.starts_with(kTrace)) {
    return user_error(fmt::format("--arrivals can't be '{}'", printable(arrivals)),
                      "it is poisson, constant or trace:FILE");
  }
  const auto rates = arguments.value("rate");
  if (arrivals.starts_with(kTrace)) {
    if (rates)
      return user_error("--rate and a trace exclude each other", "the trace says when requests are sent");
    const std::string file = arrivals.substr(std::string_view(kTrace).size());
    JOULERY_ASSIGN(const std::string text, read_file(file, kLargestTrace));
    JOULERY_ASSIGN(trace, endpoint::parse_arrivals(text, file));
    loads.push_back({.concurrency = 0, .arrivals = "trace"});
  } else if (rates) {
    for (const std::string_view part : split(*rates, ',')) {
      const auto rate = parse_double(trim(part));
      if (!rate || !(*rate > 0 && *rate <= kMostRate)) {
        return user_error(fmt::format("--rate '{}': '{}' is no number of requests a second",
                                      printable(*rates), printable(part)),
                          "write it like --rate 0.5,1,2");
      }
      loads.push_back({.concurrency = 0, .rate_per_second = rate, .arrivals = arrivals});
    }
  } else if (arguments.has("arrivals")) {
    return user_error("--arrivals needs --rate", "for example --rate 2 --arrivals constant");
  }
  if (loads.empty()) loads.push_back({.concurrency = 1});
  return loads;
}

Result<endpoint::LoadLength> read_length(const Arguments& arguments) {
  endpoint::LoadLength length;
  JOULERY_ASSIGN(const int requests,
                 arguments.integer("requests", 0, 1, static_cast<int>(endpoint::kMostRequests)));
  length.requests = static_cast<std::size_t>(requests);
  if (const auto duration = arguments.value("duration")) {
    const auto seconds = endpoint::parse_seconds(*duration);
    if (!seconds) return user_error("--duration: " + seconds.error().message, seconds.error().hint);
    length.seconds = *seconds;
  }
  if (length.requests == 0 && length.seconds <= 0 &&
      !arguments.value("arrivals").value_or("").starts_with(kTrace)) {
    length.seconds = kDefaultSeconds;
  }
  return length;
}

bool is_token(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool is_value(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return c == '\t' || (c >= ' ' && c != 0x7f); });
}

/// Messages never repeat a value: it may be a secret.
Result<http::Headers> read_headers(const Arguments& arguments) {
  http::Headers headers;
  const auto given = arguments.flags.find("header");
  if (given != arguments.flags.end()) {
    for (const std::string& text : given->second) {
      const auto colon = text.find(':');
      const std::string name = text.substr(0, colon);
      const std::string_view value =
          colon == std::string::npos ? "" : trim(std::string_view(text).substr(colon + 1));
      if (colon == std::string::npos || !is_token(name) || !is_value(value)) {
        return user_error("--header is no name and value", "write it like --header 'X-Tenant: a'");
      }
      const std::string lower = to_lower(name);
      if (lower == "authorization") {
        return user_error("--header Authorization would show the key to every user of this machine",
                          "put the key into a file and name it with --api-key-file");
      }
      for (const char* own : {"host", "content-length", "transfer-encoding", "connection", "content-type",
                              "inference-header-content-length"}) {
        if (lower == own) return user_error(fmt::format("--header {} is set by joulery itself", name));
      }
      headers.emplace_back(name, value);
    }
  }
  if (const auto file = arguments.value("api-key-file")) {
    JOULERY_ASSIGN(const std::string text, read_file(*file, kLargestKey));
    const std::string_view key = trim(text);
    if (key.empty() || !is_value(key)) {
      return user_error(fmt::format("--api-key-file '{}' holds no key", printable(*file)),
                        "it must hold the key alone, on one line");
    }
    headers.emplace_back("Authorization", fmt::format("Bearer {}", key));
  }
  return headers;
}

Result<app::EndpointTarget> read_target(const Arguments& arguments) {
  app::EndpointTarget target;
  JOULERY_ASSIGN(target.url, http::parse_url(arguments.operands.front()));
  target.model = arguments.value("model").value_or("");
  JOULERY_ASSIGN(const int prompt_tokens, arguments.integer("prompt-tokens", 128, 1, 1'000'000));
  JOULERY_ASSIGN(const int max_tokens, arguments.integer("max-tokens", 128, 1, kMostTokens));
  JOULERY_ASSIGN(const int seed, arguments.integer("seed", 1, 0, 1'000'000'000));
  target.prompt_tokens = static_cast<std::size_t>(prompt_tokens);
  target.max_tokens = static_cast<std::uint64_t>(max_tokens);
  target.seed = static_cast<std::uint64_t>(seed);
  target.stream = !arguments.has("no-stream");
  target.ignore_eos = arguments.has("ignore-eos");
  target.binary = arguments.has("binary");
  if (const auto shapes = arguments.flags.find("shape"); shapes != arguments.flags.end()) {
    for (const std::string& text : shapes->second) {
      JOULERY_ASSIGN(remote::OipShape shape, remote::parse_oip_shape(text));
      target.shapes.push_back(std::move(shape));
    }
  }
  JOULERY_ASSIGN(target.headers, read_headers(arguments));
  if (const auto file = arguments.value("prompts")) {
    if (arguments.has("prompt-tokens")) {
      return user_error("--prompt-tokens and --prompts exclude each other",
                        "the file says how long prompts are");
    }
    JOULERY_ASSIGN(const std::string text, read_file(*file, kLargestPrompts));
    JOULERY_ASSIGN(target.prompts, remote::parse_prompts(text, *file));
  }
  return target;
}

Result<app::EndpointMeterRequest> read_meter(const Arguments& arguments) {
  app::EndpointMeterRequest request;
  request.none = arguments.has("no-energy");
  const int ways = int(arguments.has("pid")) + int(arguments.has("cgroup")) +
                   int(arguments.has("server-watts")) + int(request.none);
  if (ways > 1) return user_error("--pid, --cgroup, --server-watts and --no-energy exclude each other");
  if (arguments.has("pid")) {
    JOULERY_ASSIGN(const int pid, arguments.integer("pid", 0, 1, 1 << 22));
    request.followed = meter::Followed{.pid = pid, .cgroup = {}};
  }
  if (const auto cgroup = arguments.value("cgroup"))
    request.followed = meter::Followed{.pid = 0, .cgroup = *cgroup};
  if (const auto watts = arguments.value("server-watts")) {
    JOULERY_ASSIGN(request.assumed, endpoint::parse_assumed_power(*watts));
  }
  return request;
}

Status read_slo(const Arguments& arguments, bool stream, endpoint::Slo& slo) {
  const auto given = arguments.flags.find("slo");
  if (given == arguments.flags.end()) return {};
  for (const std::string& text : given->second) JOULERY_CHECK_OK(endpoint::parse_slo(text, slo));
  if (!stream && (slo.ttft_seconds || slo.tpot_seconds)) {
    return user_error("without streaming there is no time to first token and none per token",
                      "use --slo e2e:TIME, or leave --no-stream out");
  }
  return {};
}

}  // namespace

Result<app::EndpointRequest> read_endpoint_request(app::Application& application,
                                                   const Arguments& arguments) {
  app::EndpointRequest request;
  JOULERY_ASSIGN(request.target, read_target(arguments));
  JOULERY_ASSIGN(request.loads, read_loads(arguments, request.trace));
  JOULERY_ASSIGN(request.length, read_length(arguments));
  if (arguments.has("warmup")) {
    JOULERY_ASSIGN(const int warmup, arguments.integer("warmup", 0, 0, 100'000));
    request.warmup = static_cast<std::size_t>(warmup);
  }
  JOULERY_CHECK_OK(read_slo(arguments, request.target.stream, request.slo));
  if (const auto timeout = arguments.value("timeout")) {
    const auto seconds = endpoint::parse_seconds(*timeout);
    if (!seconds) return user_error("--timeout: " + seconds.error().message, seconds.error().hint);
    request.timeout_seconds = *seconds;
  }
  request.certificate_file = application.environment().get("SSL_CERT_FILE");
  JOULERY_ASSIGN(request.meter, read_meter(arguments));
  JOULERY_ASSIGN(request.meter.footprint, app::footprint_options(application, std::nullopt, {}));
  request.name = arguments.value("name").value_or("");
  const auto prompts = arguments.value("prompts");
  request.prompts_from = prompts ? printable(*prompts) : "made-up words or values";
  return request;
}

std::vector<Flag> endpoint_flags() {
  return {
      {.name = "model", .value = "NAME", .help = "which of the server's models (default: its first)"},
      {.name = "concurrency",
       .value = "LIST",
       .help = "requests at a time, such as 1,2,4: a load each (default: 1)"},
      {.name = "rate",
       .value = "LIST",
       .help = "requests a second whatever the server does, such as 0.5,1,2"},
      {.name = "arrivals", .value = "HOW", .help = "of --rate: poisson (default) or constant; or trace:FILE"},
      {.name = "requests", .value = "N", .help = "requests of each load"},
      {.name = "duration", .value = "TIME", .help = "length of each load, such as 2min (default: 30s)"},
      {.name = "warmup", .value = "N", .help = "requests before each load that don't count"},
      {.name = "prompts",
       .value = "FILE",
       .help = "JSONL with \"prompt\" or \"messages\" a line (default: made-up words)",
       .takes_file = true},
      {.name = "prompt-tokens", .value = "N", .help = "words of made-up prompts (default: 128)"},
      {.name = "max-tokens", .value = "N", .help = "most tokens of an answer (default: 128)"},
      {.name = "ignore-eos", .help = "ask the server to go on to --max-tokens (vLLM, llama.cpp)"},
      {.name = "no-stream", .help = "ask for answers in one piece"},
      {.name = "shape",
       .value = "NAME:SIZES",
       .help = "shape of an input with open sizes, such as x:1,3,224,224; may be repeated",
       .repeatable = true},
      {.name = "binary", .help = "send tensors as bytes (extension binary_tensor_data)"},
      {.name = "slo",
       .value = "LIMIT",
       .help = "what a good request keeps: ttft:200ms, tpot:50ms, e2e:2s; may be repeated",
       .repeatable = true},
      {.name = "timeout", .value = "TIME", .help = "longest time of one request (default: 10min)"},
      {.name = "header",
       .value = "'NAME: VALUE'",
       .help = "send this header too; may be repeated",
       .repeatable = true},
      {.name = "api-key-file", .value = "FILE", .help = "the key to send is in FILE", .takes_file = true},
      {.name = "pid", .value = "PID", .help = "the server's process (default: who listens on the port here)"},
      {.name = "cgroup", .value = "PATH", .help = "the server's cgroup", .takes_file = true},
      {.name = "server-watts", .value = "W", .help = "assume this power of the server, such as 250-350"},
      {.name = "no-energy", .help = "don't meter the server"},
      {.name = "seed", .value = "N", .help = "of made-up prompts, values and arrivals (default: 1)"},
  };
}

}  // namespace joulery::cli
