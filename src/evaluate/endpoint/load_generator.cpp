#include "evaluate/endpoint/load_generator.hpp"

#include <algorithm>
#include <functional>
#include <memory>

namespace joulery::evaluate::endpoint {
namespace {

constexpr std::int64_t kLookAroundNs = 100'000'000;
constexpr std::int64_t kPauseAfterFailureNs = 50'000'000;
constexpr double kLongestPauseSeconds = 10;
constexpr std::size_t kWarmupConcurrency = 8;

/// Writes what becomes of one request into a record of its own.
class RecordingExchange final : public http::Exchange {
 public:
  using Done = std::function<void(RequestRecord)>;
  RecordingExchange(std::unique_ptr<engine::remote::AnswerReader> reader, std::int64_t intended_ns, Done done)
      : reader_(std::move(reader)), done_(std::move(done)) {
    record_.intended_ns = intended_ns;
  }
  void on_connected(std::int64_t begin_ns, std::int64_t now_ns) override {
    record_.connect_ns = now_ns - begin_ns;
  }
  void on_send(std::int64_t now_ns) override {
    if (record_.sent_ns == 0) record_.sent_ns = now_ns;
  }
  void on_head(const http::ResponseHead& head, std::int64_t /*now_ns*/) override { reader_->head(head); }
  void on_body(std::string_view bytes, std::int64_t now_ns) override { reader_->body(bytes, now_ns); }
  void on_end(const http::Failure* failure, std::int64_t now_ns) override {
    reader_->end(failure);
    record_.end_ns = now_ns;
    record_.cancelled = failure != nullptr && failure->kind == http::Failure::Kind::cancelled;
    record_.answer = reader_->answer();
    done_(std::move(record_));
  }

 private:
  std::unique_ptr<engine::remote::AnswerReader> reader_;
  Done done_;
  RequestRecord record_;
};

/// One phase of a load. Timers and requests hold it until they are done.
class Phase : public std::enable_shared_from_this<Phase> {
 public:
  Phase(http::EventLoop& loop, http::Client& client, const engine::remote::Protocol& protocol, LoadPlan plan,
        LoadObserver& observer, bool warming_up)
      : loop_(loop),
        client_(client),
        protocol_(protocol),
        plan_(std::move(plan)),
        observer_(observer),
        warming_up_(warming_up) {}

  LoadResult run() {
    result_.start_ns = now();
    if (plan_.concurrency > 0) {
      for (std::size_t i = 0; i < plan_.concurrency && more(); ++i) send_next();
    } else {
      send_due();
    }
    look_around();
    if (!over()) loop_.run();
    finished_ = true;
    result_.end_ns = std::max(last_end_ns_, result_.start_ns + 1);
    std::ranges::sort(result_.records, [](const RequestRecord& a, const RequestRecord& b) {
      return a.intended_ns != b.intended_ns ? a.intended_ns < b.intended_ns : a.end_ns < b.end_ns;
    });
    return std::move(result_);
  }

 private:
  std::int64_t now() const { return loop_.clock().monotonic_ns(); }

  bool more() const {
    if (result_.interrupted) return false;
    if (plan_.concurrency == 0) return sent_ < plan_.arrivals.size();
    if (plan_.length.requests > 0 && sent_ >= plan_.length.requests) return false;
    if (sent_ >= kMostRequests) return false;
    return plan_.length.seconds <= 0 ||
           static_cast<double>(now() - result_.start_ns) / 1e9 < plan_.length.seconds;
  }
  bool over() const { return ended_ == sent_ && held_ == 0 && !more(); }

  void send(std::int64_t intended_ns) {
    const std::uint64_t index = plan_.first_request + sent_++;
    client_.send(protocol_.request(index),
                 std::make_shared<RecordingExchange>(protocol_.reader(), intended_ns,
                                                     [self = shared_from_this()](RequestRecord record) {
                                                       self->on_done(std::move(record));
                                                     }));
  }

  void send_next() { send(now()); }

  /// All requests of an open loop whose time has come, and a timer for the next.
  void send_due() {
    while (more() && result_.start_ns + plan_.arrivals[sent_] <= now()) {
      send(result_.start_ns + plan_.arrivals[sent_]);
    }
    if (more()) {
      loop_.at(result_.start_ns + plan_.arrivals[sent_], [self = shared_from_this()] {
        if (!self->finished_) self->send_due();
      });
    }
  }

  void on_done(RequestRecord record) {
    ++ended_;
    last_end_ns_ = std::max(last_end_ns_, record.end_ns);
    const bool failed = !record.ok();
    failed_ += failed && !record.cancelled ? 1 : 0;
    const auto pause = record.answer.retry_after_seconds;
    result_.records.push_back(std::move(record));
    if (plan_.concurrency > 0 && more()) {
      if (failed) {
        hold_back(pause);
      } else {
        send_next();
      }
    }
    if (over()) loop_.stop();
  }

  void hold_back(std::optional<double> seconds) {
    ++held_;
    ++result_.held_back;
    const std::int64_t pause = seconds
                                   ? static_cast<std::int64_t>(std::min(*seconds, kLongestPauseSeconds) * 1e9)
                                   : kPauseAfterFailureNs;
    loop_.at(now() + pause, [self = shared_from_this()] {
      if (self->finished_ || self->result_.interrupted) return;
      --self->held_;
      if (self->more()) self->send_next();
      if (self->over()) self->loop_.stop();
    });
  }

  void look_around() {
    if (finished_) return;
    observer_.on_progress({.elapsed_seconds = static_cast<double>(now() - result_.start_ns) / 1e9,
                           .sent = sent_,
                           .ended = ended_,
                           .failed = failed_,
                           .warming_up = warming_up_});
    if (!result_.interrupted && observer_.interrupted()) {
      result_.interrupted = true;
      last_end_ns_ = now();
      held_ = 0;
      client_.cancel_all();
    }
    // With a length in seconds alone, a closed loop may end between two requests.
    if (over()) {
      loop_.stop();
      return;
    }
    loop_.at(now() + kLookAroundNs, [self = shared_from_this()] { self->look_around(); });
  }

  http::EventLoop& loop_;
  http::Client& client_;
  const engine::remote::Protocol& protocol_;
  LoadPlan plan_;
  LoadObserver& observer_;
  bool warming_up_;
  bool finished_ = false;
  std::size_t sent_ = 0;
  std::size_t ended_ = 0;
  std::size_t failed_ = 0;
  /// Workers of a closed loop that wait after a failure.
  std::size_t held_ = 0;
  std::int64_t last_end_ns_ = 0;
  LoadResult result_;
};

}  // namespace

LoadResult run_load(http::EventLoop& loop, http::Client& client, const engine::remote::Protocol& protocol,
                    const LoadPlan& plan, LoadObserver& observer) {
  if (plan.warmup > 0) {
    const LoadPlan warmup{.concurrency = plan.concurrency > 0 ? plan.concurrency : kWarmupConcurrency,
                          .length = {.requests = plan.warmup},
                          .first_request = plan.first_request};
    LoadResult warm = std::make_shared<Phase>(loop, client, protocol, warmup, observer, true)->run();
    if (warm.interrupted) {
      warm.records.clear();
      return warm;
    }
  }
  LoadPlan counted = plan;
  counted.first_request += plan.warmup;
  const auto phase = std::make_shared<Phase>(loop, client, protocol, std::move(counted), observer, false);
  observer.on_begin();
  const std::int64_t cpu = loop.clock().thread_cpu_ns();
  LoadResult result = phase->run();
  result.client_cpu_seconds = static_cast<double>(loop.clock().thread_cpu_ns() - cpu) / 1e9;
  observer.on_end();
  return result;
}

}  // namespace joulery::evaluate::endpoint
