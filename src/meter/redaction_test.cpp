#include "meter/redaction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::meter {
namespace {

using testing::ElementsAre;

TEST(Redaction, HidesValuesOfFlagsThatNameASecret) {
  EXPECT_THAT(redact_arguments(
                  {"train", "--api-key", "abc", "--token=xyz", "-v", "HF_TOKEN=q", "--db-password", "p"}),
              ElementsAre("train", "--api-key", "[redacted]", "--token=[redacted]", "-v",
                          "HF_TOKEN=[redacted]", "--db-password", "[redacted]"));
}
TEST(Redaction, LeavesWordsThatOnlyContainOne) {
  EXPECT_THAT(redact_arguments({"--tokenizer", "bert", "--max-tokens=5", "--author", "x", "secretary.py"}),
              ElementsAre("--tokenizer", "bert", "--max-tokens=5", "--author", "x", "secretary.py"));
}
TEST(Redaction, AFlagAfterASecretFlagIsNoValue) {
  EXPECT_THAT(redact_arguments({"--token", "--verbose", "x"}), ElementsAre("--token", "--verbose", "x"));
}
TEST(Redaction, HidesKnownTokenShapesAnywhere) {
  EXPECT_THAT(redact_arguments({"ghp_0123456789abcdefghij", "AKIAIOSFODNN7EXAMPLE", "k=hf_abcdefghijklmnop",
                                "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"}),
              ElementsAre("[redacted]", "[redacted]", "k=[redacted]", "[redacted]"));
}
TEST(Redaction, HidesPasswordsInUrlsAndHeaders) {
  EXPECT_THAT(redact_arguments(
                  {"postgresql://me:pa:ss@host/db", "https://host/a@b:c", "-H", "Authorization: Bearer x"}),
              ElementsAre("postgresql://me:[redacted]@host/db", "https://host/a@b:c", "-H",
                          "Authorization: [redacted]"));
}
std::string redacted(const std::string& argument) {
  return redact_arguments({argument}).front();
}
/// The script of `sh -c`.
std::string redacted_script(const std::string& script) {
  return redact_arguments({"sh", "-c", script}).back();
}

TEST(Redaction, LooksIntoAScript) {
  EXPECT_EQ(redacted_script(
                R"(curl -H "Authorization: Bearer sk-proj-abcdefghijkl" https://api.host/v1 | tee out.txt)"),
            R"(curl -H "Authorization: [redacted]" https://api.host/v1 | tee out.txt)");
  EXPECT_EQ(redacted_script("cd /data;  export PGPASSWORD=s3;psql -h db&&run --pass x --lr 3"),
            "cd /data;  export PGPASSWORD=[redacted];psql -h db&&run --pass [redacted] --lr 3");
  EXPECT_EQ(redacted_script("PGPASSWORD='a b' psql -c \"select 1\""),
            "PGPASSWORD='[redacted]' psql -c \"select 1\"");
  EXPECT_EQ(redacted_script(R"(bash -c "TOKEN=\"a b\" run x; DB_PASS=c\ d go" && ls)"),
            R"(bash -c "TOKEN=\"[redacted]\" run x; DB_PASS=[redacted] go" && ls)");
  EXPECT_EQ(redacted_script("git clone https://me:pw@host/x; echo ghp_0123456789abcdefghij | cat"),
            "git clone https://me:[redacted]@host/x; echo [redacted] | cat");
}
TEST(Redaction, HidesAWordGluedFromStrings) {
  EXPECT_EQ(redacted_script(R"(A_TOKEN="ab"'cd ef'gh"i j" run 'x y')"), R"(A_TOKEN=[redacted] run 'x y')");
  EXPECT_EQ(redacted_script(R"(A_TOKEN='it'\''s so' run)"), "A_TOKEN=[redacted] run");
  EXPECT_EQ(redacted_script(R"(env "A_TOKEN=ab cd"ef run)"), "env \"A_TOKEN=[redacted] run");
  EXPECT_EQ(redacted_script("A_TOKEN=$(echo one two) run x"), "A_TOKEN=[redacted] run x");
}
TEST(Redaction, AnArgumentsValueIsAllOfItsRest) {
  EXPECT_EQ(redacted("PASSWORD=one two;three&four|five \"six"), "PASSWORD=[redacted]");
  EXPECT_EQ(redacted("--build-arg=PASSWORD=one two"), "--build-arg=PASSWORD=[redacted]");
  EXPECT_EQ(redacted("X-Api-Key: one two"), "X-Api-Key: [redacted]");
  EXPECT_THAT(redact_arguments({"--password", " ;one two", "x"}),
              ElementsAre("--password", "[redacted]", "x"));
}
TEST(Redaction, KnowsNamesOfPasswordsAndKeys) {
  for (const std::string name :
       {"--pass", "--pwd", "--db_pass", "--passcode", "PGPASSWORD", "GITHUBTOKEN", "MYSQL_PWD", "SSHPASS",
        "KEY", "OPENAI_KEY", "AWS_SECRET_ACCESS_KEY", "accessToken", "clientSecret", "PASSWORD2"}) {
    EXPECT_EQ(redacted(name + "=abc"), name + "=[redacted]");
    EXPECT_EQ(redacted_script("a=1 " + name + "=abc b=2"), "a=1 " + name + "=[redacted] b=2");
  }
  for (const std::string flag : {"--pass", "--pwd", "--db_pass", "--passcode"}) {
    EXPECT_THAT(redact_arguments({flag, "abc", "x"}), ElementsAre(flag, "[redacted]", "x"));
    EXPECT_EQ(redacted_script("run " + flag + " 'a b' x"), "run " + flag + " '[redacted]' x");
  }
}
TEST(Redaction, LeavesNamesThatAreNoSecrets) {
  const std::vector<std::string> plain = {"--tokenizer",
                                          "bert",
                                          "--max-tokens=5",
                                          "--author",
                                          "x",
                                          "secretary.py",
                                          "--key",
                                          "col1",
                                          "--key=col1",
                                          "key=col1",
                                          "--pass-through",
                                          "a",
                                          "-p",
                                          "8080",
                                          "-psecret",
                                          "--num-tokens",
                                          "5",
                                          "--token-classification",
                                          "ner.py",
                                          "BYPASS=1",
                                          "models/hf_llama_finetune.py",
                                          "app.auth:main",
                                          "tests/test_auth.py::test_it",
                                          "it's 5 o'clock; go",
                                          "print(\"token\")"};
  EXPECT_EQ(redact_arguments(plain), plain);
  std::string script;
  for (const std::string& word : plain) script += word + ' ';
  EXPECT_EQ(redacted_script(script), script);
  EXPECT_EQ(redact_arguments({"python", "-c", "print(\"token\")"}).back(), "print(\"token\")");
  EXPECT_EQ(redacted_script("python -c 'print(\"token\")'; ls"), "python -c 'print(\"token\")'; ls");
}
TEST(Redaction, HidesTheMysqlPasswordOnlyForMysql) {
  for (const std::string program : {"mysql", "/usr/bin/mysqldump", "mariadb", "mariadb-dump"}) {
    EXPECT_THAT(redact_arguments({"sudo", program, "-uroot", "-pse cret", "-P3306", "-p", "db"}),
                ElementsAre("sudo", program, "-uroot", "-p[redacted]", "-P3306", "-p", "db"));
    EXPECT_EQ(redacted_script(program + " -p's t' -h x db; ssh -p22 y"),
              program + " -p'[redacted]' -h x db; ssh -p22 y");
  }
  EXPECT_THAT(redact_arguments({"docker", "run", "--name", "mysql", "-p3306:3306"}),
              ElementsAre("docker", "run", "--name", "mysql", "-p3306:3306"));
  EXPECT_EQ(redacted_script("mysqladmin -pabc"), "mysqladmin -pabc");
}
TEST(Redaction, KeepsTheUserOfAUserAndPassword) {
  EXPECT_THAT(redact_arguments({"curl", "-u", "me:p w:x", "--user=me:pw", "--user", "me", "-sSume:pw", "-u",
                                "http://h:80/", "http://h"}),
              ElementsAre("curl", "-u", "me:[redacted]", "--user=me:[redacted]", "--user", "me",
                          "-sSume:[redacted]", "-u", "http://h:80/", "http://h"));
  EXPECT_EQ(redacted_script("curl -u me:pw x && curl -su \"me:p w\" y; curl --user=me:'p w' z"),
            "curl -u me:[redacted] x && curl -su \"me:[redacted]\" y; curl --user=me:'[redacted]' z");
  EXPECT_EQ(redacted_script("curl -u sk_live_0123456789abc: x"), "curl -u [redacted]: x");
  EXPECT_THAT(redact_arguments({"python", "-u", "train.py", "a:b"}),
              ElementsAre("python", "-u", "train.py", "a:b"));
}
TEST(Redaction, HidesTheWordAfterAScheme) {
  EXPECT_EQ(redacted("send Bearer abc to x"), "send Bearer [redacted] to x");
  EXPECT_EQ(redacted("a Basic YTpi= b Token c/d+e f"), "a Basic [redacted] b Token [redacted] f");
  EXPECT_EQ(redacted("the token is x"), "the token is x");
  EXPECT_THAT(redact_arguments({"http", "Authorization:", "Bearer", "abc", "x"}),
              ElementsAre("http", "Authorization:", "Bearer", "[redacted]", "x"));
  EXPECT_EQ(redacted("x Authorization: Basic abc y"), "x Authorization: [redacted] y");
}
TEST(Redaction, HidesInJson) {
  EXPECT_EQ(redacted(R"({"user":"me","password":"a \"b, c","n":1})"),
            R"({"user":"me","password":"[redacted]","n":1})");
  EXPECT_EQ(redacted(R"({"api_key" : "a b" , "pwd":1234,"auth":{"a":["x"]},"b":{"c":2}})"),
            R"({"api_key" : "[redacted]" , "pwd":[redacted],"auth":[redacted],"b":{"c":2}})");
  EXPECT_EQ(redacted_script(R"(curl -d "{\"token\":\"a b\",\"n\":1}" h; ls)"),
            R"(curl -d "{\"token\":\"[redacted]\",\"n\":1}" h; ls)");
  EXPECT_EQ(redacted_script(R"(curl -d '{"token": "it", "tokens": "x"}' h)"),
            R"(curl -d '{"token": "[redacted]", "tokens": "x"}' h)");
}
TEST(Redaction, HidesInLists) {
  EXPECT_EQ(redacted("host=x password=secret dbname=y"), "host=x password=[redacted] dbname=y");
  EXPECT_EQ(redacted("host=x password='a b' dbname=y"), "host=x password='[redacted]' dbname=y");
  EXPECT_EQ(redacted("Server=x;Pwd=a b&c;Uid=me"), "Server=x;Pwd=[redacted];Uid=me");
  EXPECT_EQ(redacted("user=me&password=a;b|c&n=1"), "user=me&password=[redacted]&n=1");
}
TEST(Redaction, HidesInCode) {
  EXPECT_EQ(
      redact_arguments({"python", "-c", "c(api_key=\"a b\", n=1); os.environ[\"X_KEY\"] = 'c d'"}).back(),
      "c(api_key=\"[redacted]\", n=1); os.environ[\"X_KEY\"] = '[redacted]'");
  EXPECT_EQ(redact_arguments({"python", "-c", "run(['--password', 'a b', '-v'])"}).back(),
            "run(['--password', '[redacted]', '-v'])");
}
TEST(Redaction, HidesAUrlsPasswordWithASlash) {
  EXPECT_EQ(redacted("postgresql://me:pa/ss@host/db"), "postgresql://me:[redacted]@host/db");
  EXPECT_EQ(redacted("http://host:80/a@b"), "http://host:80/a@b");
  EXPECT_EQ(redacted("https://hf_abcdefghijklmnop@host/x"), "https://[redacted]@host/x");
}
TEST(Redaction, NoPartOfASecretStaysHoweverItIsWritten) {
  const std::vector<std::string> quotes = {"", "'", "\"", "\\\""};
  const std::vector<std::string> befores = {"",     "x ",    "x; ", "{",           "f(",
                                            "a=1&", "it's ", "\"",  "say \"hi\" ", "$("};
  const std::vector<std::string> names = {
      "PASSWORD=", "--token=",    "--token ",   "\"secret\": ", "Authorization: Bearer ",
      "mysql -p",  "curl -u me:", "OPENAI_KEY="};
  for (const auto& quote : quotes) {
    for (const auto& before : befores) {
      for (const auto& name : names) {
        for (const std::string after : {"", " y", "; y", "\" y", "' y", ")", "}"}) {
          const std::string text = before + name + quote + "hunter" + quote + after;
          EXPECT_EQ(redacted(text).find("hunter"), std::string::npos) << text << " -> " << redacted(text);
          EXPECT_EQ(redacted_script(text).find("hunter"), std::string::npos)
              << text << " -> " << redacted_script(text);
        }
      }
    }
  }
}
/// A megabyte of each; where the work grew with the square, this would run for hours.
TEST(Redaction, HostileArgumentsTakeLinearTime) {
  for (const std::string piece : {"\"",
                                  "'",
                                  "\\",
                                  "\\\"'",
                                  "`\"'",
                                  "://",
                                  "a://b@",
                                  "x://a:b/",
                                  "{",
                                  "[",
                                  "(",
                                  "$(",
                                  "token=",
                                  "token=\"",
                                  "token= ",
                                  "\"token\":",
                                  "\"token\":{",
                                  "a-",
                                  "token",
                                  "Bearer ",
                                  "Bearer --",
                                  "-u(a",
                                  "curl -u(-ua(",
                                  "curl -ua[",
                                  "-u a\"",
                                  "mysql -p",
                                  ";",
                                  "password=(",
                                  "sh -c \"",
                                  "sh -c '\"",
                                  "\"token\",",
                                  "token:'",
                                  "=",
                                  "Pwd=;",
                                  ";Pwd=",
                                  "\\\\\\\"'",
                                  "--user=a",
                                  "\"--user=",
                                  "token \t"}) {
    std::string text;
    while (text.size() < (std::size_t{1} << 20U)) text += piece;
    redacted(text);
    redacted_script(text);
    redacted_script("curl " + text + " :");
    SUCCEED();
  }
}
TEST(CommandLine, QuotesForAShellWithoutControlCharacters) {
  EXPECT_EQ(command_line({"python3", "a b.py", "it's", "", "--x=1,2", "\x1b[31m\n'"}),
            "python3 'a b.py' 'it'\\''s' '' --x=1,2 $'\\x1b[31m\\n\\''");
}

}  // namespace
}  // namespace joulery::meter
