#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/remote/oip.hpp"
#include "engine/remote/oip_values.hpp"
#include "engine/remote/openai.hpp"
#include "engine/remote/prompts.hpp"

namespace joulery::engine::remote {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// Feeds the text in pieces of so many bytes; piece i comes at second i.
Answer answer_of(const Protocol& protocol, std::string_view text, std::size_t piece, int status = 200,
                 http::Headers headers = {}) {
  const auto reader = protocol.reader();
  reader->head({.status = status, .headers = std::move(headers)});
  std::int64_t second = 0;
  for (std::size_t at = 0; at < text.size(); at += piece)
    reader->body(text.substr(at, piece), kSecond * second++);
  reader->end(nullptr);
  return reader->answer();
}

std::unique_ptr<Protocol> chat(const OpenAiOptions& options = {}) {
  return *openai_protocol(options, {{.text = "hello", .messages_json = {}, .max_tokens = {}}});
}

constexpr const char* kStream =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
    ": keep-alive\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"a b\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"c\"},\"finish_reason\":\"length\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n"
    "data: [DONE]\n\n";

TEST(OpenAi, AStreamHoldsTheSameHoweverItIsCut) {
  const auto protocol = chat();
  const std::string_view text = kStream;
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Answer answer = answer_of(*protocol, text, piece);
    ASSERT_TRUE(answer.ok()) << answer.error;
    ASSERT_EQ(answer.content_ns.size(), 3U) << "the empty first delta is no content";
    EXPECT_EQ(answer.prompt_tokens, 7U);
    EXPECT_EQ(answer.output_tokens, 5U);
    EXPECT_EQ(answer.first_output_ns, answer.content_ns[1]) << "reasoning is content, but no output";
    // Each event has the time of the piece that completed it.
    const std::size_t end_of_first = text.find("hm\"}}]}\n\n") + 9;
    EXPECT_EQ(answer.content_ns[0], kSecond * static_cast<std::int64_t>((end_of_first - 1) / piece));
  }
}

TEST(OpenAi, ErrorsOfAStreamAreTold) {
  const auto protocol = chat();
  const auto kind = [&](std::string_view text) { return answer_of(*protocol, text, 1000).error_kind; };
  EXPECT_EQ(kind("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), "stream_cut");
  EXPECT_EQ(kind("data: {\"error\":{\"message\":\"out of memory\"}}\n\n"), "stream_error");
  EXPECT_EQ(kind("event: error\ndata: out of memory\n\n"), "stream_error");
  EXPECT_EQ(kind("data: not json\n\ndata: [DONE]\n\n"), "bad_answer");
  EXPECT_EQ(kind("data: [DONE]\n\n"), "empty");
  const Answer answer = answer_of(*protocol, "data: {\"error\":{\"message\":\"out of memory\"}}\n\n", 1000);
  EXPECT_NE(answer.error.find("out of memory"), std::string::npos);
}

TEST(OpenAi, AWholeAnswerHasCountsAndNoPieces) {
  const auto protocol = chat({.model = "m", .stream = false});
  const Answer answer = answer_of(
      *protocol,
      R"({"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}})", 7);
  ASSERT_TRUE(answer.ok()) << answer.error;
  EXPECT_TRUE(answer.content_ns.empty());
  EXPECT_EQ(answer.output_tokens, 2U);
  EXPECT_EQ(answer_of(*protocol, "{}", 7).error_kind, "bad_answer");
  EXPECT_EQ(answer_of(*protocol, "<html>", 7).error_kind, "bad_answer");
}

TEST(OpenAi, AServerThatDoesNotStreamAlthoughAskedIsRead) {
  const Answer answer = answer_of(*chat(), R"({"choices":[{"message":{"content":"hi"}}]})", 5, 200,
                                  {{"Content-Type", "application/json"}});
  EXPECT_TRUE(answer.ok()) << answer.error;
  EXPECT_TRUE(answer.content_ns.empty());
}

TEST(OpenAi, AStatusIsAKindOfError) {
  const Answer answer = answer_of(*chat(), R"({"error":{"message":"busy"}})", 4, 503, {{"retry-after", "2"}});
  EXPECT_EQ(answer.error_kind, "http_503");
  EXPECT_EQ(answer.error, "status 503: busy");
  EXPECT_EQ(answer.retry_after_seconds, 2.0);
  EXPECT_FALSE(
      answer_of(*chat(), "", 1, 429, {{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"}}).retry_after_seconds);
}

TEST(OpenAi, RequestsAskForWhatIsWanted) {
  const auto prompts = parse_prompts(
      "{\"prompt\": \"one\"}\n\n{\"messages\": [{\"role\": \"user\", \"content\": \"two\"}], \"max_tokens\": "
      "9}\n",
      "p.jsonl");
  ASSERT_TRUE(prompts) << prompts.error().message;
  const auto protocol = openai_protocol({.model = "m", .max_tokens = 5, .headers = {{"A", "b"}}}, *prompts);
  ASSERT_TRUE(protocol);
  EXPECT_EQ((*protocol)->request(0).body,
            R"({"max_tokens":5,"messages":[{"content":"one","role":"user"}],"model":"m","stream":true,)"
            R"("stream_options":{"include_usage":true}})");
  EXPECT_NE(
      (*protocol)->request(1).body.find(R"("max_tokens":9,"messages":[{"content":"two","role":"user"}])"),
      std::string::npos);
  EXPECT_EQ((*protocol)->request(2).body, (*protocol)->request(0).body);
  EXPECT_EQ((*protocol)->request(0).headers.front().first, "A");
  const auto completions =
      openai_protocol({.endpoint = OpenAiOptions::Endpoint::completions, .model = "m"}, *prompts);
  ASSERT_FALSE(completions);
  EXPECT_NE(completions.error().hint.find("/v1/chat/completions"), std::string::npos);
}

TEST(Prompts, ABadLineIsNamed) {
  for (const char* line :
       {"{", "[]", "{}", R"({"prompt": ""})", R"({"prompt": 1})", R"({"messages": []})",
        R"({"messages": [1]})", R"({"prompt": "a", "messages": []})", R"({"prompt": "a", "max_tokens": 0})",
        R"({"prompt": "a", "max_tokens": -1})", "{\"prompt\": \"\xff\"}"}) {
    const auto prompts = parse_prompts(std::string("{\"prompt\": \"good\"}\n") + line, "p.jsonl");
    ASSERT_FALSE(prompts) << line;
    EXPECT_NE(prompts.error().message.find("p.jsonl, line 2"), std::string::npos) << prompts.error().message;
  }
  EXPECT_FALSE(parse_prompts("\n \n", "p.jsonl"));
  EXPECT_FALSE(parse_prompts("{\"prompt\":" + std::string(100'000, '['), "p.jsonl"));
}

TEST(Prompts, SyntheticOnesAreDifferentAndRepeatable) {
  const auto prompts = synthetic_prompts(50, 20, 7);
  EXPECT_EQ(synthetic_prompts(50, 20, 7)[49].text, prompts[49].text);
  EXPECT_NE(synthetic_prompts(50, 20, 8)[49].text, prompts[49].text);
  for (const Prompt& prompt : prompts) {
    EXPECT_EQ(std::count(prompt.text.begin(), prompt.text.end(), ' '), 19) << prompt.text;
    EXPECT_EQ(&prompt == &prompts[0], prompt.text.starts_with("1 "));
  }
}

TEST(Oip, MetadataIsRead) {
  const auto model = parse_oip_model(
      R"({"name":"m","versions":["1"],"platform":"onnx_onnxv1","inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],"outputs":[]})");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->inputs.at(0).shape, (std::vector<std::int64_t>{-1, 4}));
  for (const char* text :
       {"", "{}", "[]", R"({"error":"no such model"})", R"({"name":"m","inputs":[{"name":"x"}]})",
        R"({"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-2]}]})",
        R"({"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":["a"]}]})"}) {
    EXPECT_FALSE(parse_oip_model(text)) << text;
  }
}

TEST(Oip, OpenSizesMustBeChosen) {
  const OipModel model{.name = "m", .versions = {}, .platform = {}, .inputs = {{"x", "FP32", {-1, 4}}}};
  const auto open = complete_shapes(model, {});
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().hint.find("--shape x:"), std::string::npos);
  const auto chosen = complete_shapes(model, {*parse_oip_shape("x:2,4")});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->at(0).shape, (std::vector<std::int64_t>{2, 4}));
  EXPECT_FALSE(complete_shapes(model, {*parse_oip_shape("x=2,5")}));
  EXPECT_FALSE(complete_shapes(model, {*parse_oip_shape("x=2")}));
  EXPECT_FALSE(complete_shapes(model, {*parse_oip_shape("y=2,4")}));
  EXPECT_FALSE(complete_shapes(model, {*parse_oip_shape("x=1000000000,4")}));
  EXPECT_FALSE(complete_shapes({.name = "m", .versions = {}, .platform = {}, .inputs = {}}, {}));
  const auto named = complete_shapes({.name = "m", .versions = {}, .platform = {}, .inputs = {}},
                                     {*parse_oip_shape("input:0:INT64:2")});
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->at(0).name, "input:0");
  EXPECT_EQ(named->at(0).datatype, "INT64");
  for (const char* text : {"", "x", "x=", "=1", "x:", ":1", "x=0", "x=-1", "x=a", "x=1,,2"})
    EXPECT_FALSE(parse_oip_shape(text));
}

TEST(Oip, JsonAndBinaryHoldTheSameValues) {
  const std::vector<OipTensor> inputs{{"a", "FP32", {3}}, {"b", "INT64", {2}}, {"c", "BYTES", {1}}};
  const OipRequest json = make_oip_request(inputs, false, 5);
  const OipRequest binary = make_oip_request(inputs, true, 5);
  EXPECT_EQ(json.json_bytes, json.body.size());
  EXPECT_NE(binary.body.find(R"("binary_data_size":12)"), std::string::npos) << binary.body;
  float first = 0;
  std::memcpy(&first, binary.body.data() + binary.json_bytes, sizeof(first));
  EXPECT_NE(json.body.find(fmt::format("\"data\":[{},", first)), std::string::npos) << json.body << first;
  EXPECT_EQ(binary.body.size(),
            binary.json_bytes + 12 + 16 + 4 + binary.body.size() - binary.body.rfind("word"));
}

TEST(Oip, HalfPrecisionNeedsTheBinaryForm) {
  const std::vector<OipTensor> inputs{{"a", "FP16", {64}}};
  EXPECT_FALSE(oip_protocol({.model_path = "/v2/models/m", .model = "m"}, inputs));
  const auto binary = oip_protocol({.model_path = "/v2/models/m", .model = "m", .binary = true}, inputs);
  ASSERT_TRUE(binary);
  const http::Request request = (*binary)->request(0);
  EXPECT_EQ(request.target, "/v2/models/m/infer");
  const std::size_t json = std::stoul(request.headers.back().second);
  ASSERT_EQ(request.body.size(), json + 128);
  bool any_half = false;
  for (std::size_t i = json; i < request.body.size(); i += 2) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, request.body.data() + i, 2);
    // 0, 1/16 … 1 in half precision.
    EXPECT_TRUE(bits == 0 || (bits >= 0x2c00 && bits <= 0x3c00)) << bits;
    any_half = any_half || bits == 0x3800;  // 0.5
  }
  EXPECT_TRUE(any_half);
}

TEST(Oip, AnAnswerNeedsOutputs) {
  const auto protocol = oip_protocol({.model_path = "/v2/models/m", .model = "m"}, {{"a", "FP32", {1}}});
  ASSERT_TRUE(protocol);
  EXPECT_TRUE(answer_of(**protocol, R"({"model_name":"m","outputs":[]})", 3).ok());
  EXPECT_EQ(answer_of(**protocol, R"({"model_name":"m"})", 3).error_kind, "bad_answer");
  EXPECT_EQ(answer_of(**protocol, R"({"error":"bad shape"})", 3, 400).error, "status 400: bad shape");
}

}  // namespace
}  // namespace joulery::engine::remote
