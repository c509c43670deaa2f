#include "meter/redaction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "meter/command_line.hpp"

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
                                  "token \t",
                                  "\"PWD=/x\" ",
                                  "\"PWD=/x ",
                                  "$PWD:/",
                                  "-u 1:1 ",
                                  "--pass 2 ",
                                  "token=no,",
                                  "--token 'no' ",
                                  "a:",
                                  "a:@",
                                  "-b a=(",
                                  "curl -b\"",
                                  "tokens=[1,",
                                  "cookie: ",
                                  "//a:",
                                  "sshpass -p'"}) {
    std::string text;
    while (text.size() < (std::size_t{1} << 20U)) text += piece;
    redacted(text);
    redacted_script(text);
    redacted_script("curl " + text + " :");
    SUCCEED();
  }
}
/// Kept as arguments and in a script.
void expect_kept(const std::vector<std::string>& arguments) {
  EXPECT_EQ(redact_arguments(arguments), arguments);
  std::string script;
  for (const std::string& word : arguments) script += word + ' ';
  EXPECT_EQ(redacted_script(script), script);
}
TEST(Redaction, AUserAndGroupOfNumbersIsNoPassword) {
  expect_kept({"docker", "run", "-u", "1000:1000", "--rm", "python:3.12", "true"});
  expect_kept({"docker", "run", "--user", "0:", "--user=1000:1000", "-u", "1000", "python:3.12"});
  expect_kept({"sudo", "-u", "postgres", "psql", "-d", "a:b"});
  for (const std::string script : {"docker run -u $(id -u):$(id -g) -v \"$PWD\":/app python:3.12 x:y",
                                   "docker run -u \"$(id -u):$(id -g)\" img:1",
                                   "docker run --user=\"1000:1000\" img:1", "docker run -u $(id -u) img:1",
                                   "docker run -u $UID:$GID img:1", "docker run -u `id -u`:`id -g` img:1"}) {
    EXPECT_EQ(redacted_script(script), script);
  }
  EXPECT_THAT(redact_arguments({"curl", "-u", "1000:1234", "h"}),
              ElementsAre("curl", "-u", "1000:[redacted]", "h"));
  EXPECT_EQ(redacted_script("curl -u 1000:1234 h"), "curl -u 1000:[redacted] h");
  EXPECT_EQ(redacted_script("docker run -u 1000:1000 curl -u 7:8 h"),
            "docker run -u 1000:1000 curl -u 7:[redacted] h");
  EXPECT_THAT(redact_arguments({"docker", "run", "-u", "1000:pw", "-u", "me:1000"}),
              ElementsAre("docker", "run", "-u", "1000:[redacted]", "-u", "me:[redacted]"));
  EXPECT_EQ(redacted_script("http -u $(id -u):hunter h"), "http -u $(id -u):[redacted] h");
}
TEST(Redaction, TheWorkingFolderIsNoPassword) {
  expect_kept({"env", "PWD=/some/path", "OLDPWD=/other", "OLDPWD=", "PWD=", "PWD=.", "PWD=~/x", "make"});
  expect_kept({"singularity", "exec", "--pwd", "/work", "image.sif", "true"});
  EXPECT_EQ(redacted_script("cd /a; PWD=/b make && PWD=\"$HOME/x\" ls"),
            "cd /a; PWD=/b make && PWD=\"$HOME/x\" ls");
  EXPECT_EQ(redacted_script("docker run -v \"$PWD\":/app -v $PWD:/b i"),
            "docker run -v \"$PWD\":/app -v $PWD:/b i");
  for (const std::string name : {"DB_PWD", "MYSQL_PWD", "pwd", "Pwd", "--pwd", "OLD_PWD"}) {
    EXPECT_EQ(redacted(name + "=/hunter"), name + "=[redacted]");
  }
  EXPECT_EQ(redacted("PWD=hunter"), "PWD=[redacted]");
  EXPECT_EQ(redacted("Server=x;UID=me;PWD=/hunter;Y=1"), "Server=x;UID=me;PWD=[redacted];Y=1");
  EXPECT_EQ(redacted("PWD=/hunter;UID=me"), "PWD=[redacted]");
  EXPECT_EQ(redacted_script("PWD=$(cat x) a; $PWD=\"hunter\"; PWD=$(pwd) b"),
            "PWD=[redacted] a; $PWD=\"[redacted]\"; PWD=$(pwd) b");
  EXPECT_EQ(redacted("UID=me PWD=/hunter"), "UID=me PWD=[redacted]");
  EXPECT_EQ(redacted_script("isql \"Driver=x;PWD=/hunter\""), "isql \"Driver=x;PWD=[redacted]\"");
}
TEST(Redaction, LeavesTheTokensOfModels) {
  expect_kept({"--token-count", "5", "--max-tokens", "100", "--tokenizer", "x", "--key-bits", "2048"});
  expect_kept({"--pad-token", "<pad>", "--eos-token=</s>", "model.bos_token=x", "pad_token_id=0",
               "--max-token", "5", "--cost-per-token", "0.1", "--stop-token", "x", "--num-token=7",
               "--token-weight", "2"});
  expect_kept({"pass=2", "--pass", "2", "-pass", "1", "--n-pass=12", "LOWPASS=300", "use_auth_token=True",
               "--token=none", "--auth", "false", "--password-stdin", "registry.io", "n_passes=3"});
  EXPECT_EQ(redacted(R"({"eos_token": "</s>", "token": null, "pass": 2, "use_auth_token": false})"),
            R"({"eos_token": "</s>", "token": null, "pass": 2, "use_auth_token": false})");
  EXPECT_EQ(redacted_script("f(token=None, use_auth_token=True); export TOKEN=; x"),
            "f(token=None, use_auth_token=True); export TOKEN=; x");
  for (const std::string secret :
       {"--pass=hunter", "pass=123", "--token=5", "--token=nonesuch", "--password=truelove", "--auth=12",
        "--hub-token=true1", "--pass=2 hunter", "--api-token=7", "--user-token=x", "password=no way"}) {
    EXPECT_EQ(redacted(secret), secret.substr(0, secret.find('=') + 1) + "[redacted]");
  }
  EXPECT_THAT(redact_arguments({"--token", "no", "hunter", "--pass", "222", "--password", "true", "x"}),
              ElementsAre("--token", "no", "hunter", "--pass", "[redacted]", "--password", "true", "x"));
  EXPECT_EQ(redacted_script("run --pass 2'hunter' --token none\"hunter\" x"),
            "run --pass [redacted] --token [redacted] x");
}
TEST(Redaction, LeavesIdsFilesAndDigests) {
  expect_kept({"--commit", "1f0d9fa34edc58eea1f0e79f2a2b1c3d4e5f6a7b", "--id",
               "123e4567-e89b-12d3-a456-426614174000",
               "python@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
               "ghcr.io/team/auth@sha256:9f86d081884c7d65", "team/token-server:1.2"});
  expect_kept({"--token-file", "/run/secrets/token", "--password-file=pw.txt", "AWS_TOKEN_PATH=/x",
               "--private-key-path", "id.pem", "--secret-name", "db", "PUBLIC_KEY=abc", "SORT_KEY=date"});
  expect_kept({"hf_llama_finetune.py", "hf_hub_download.sh", "sk-learn-regression-1", "/a/sk-learn-bench.py",
               "sk_image_pipeline.py", "/models/auth/weights.bin", "./secrets/x.yaml"});
  for (const std::string token : {"sk-proj-abcdefghijkl", "hf_abcdefghijklmnop", "sk_live_0123456789ab",
                                  "sk-ab-cd-ef-gh-ij-kl-mn-op-qr-st-uv-wx-yz-01-23", "github_pat_11_ab_cd_ef",
                                  "glpat-ab-cd-ef-gh-ij"}) {
    EXPECT_EQ(redacted(token), "[redacted]") << token;
    EXPECT_EQ(redacted_script("x " + token + " y"), "x [redacted] y");
  }
  EXPECT_THAT(redact_arguments({"--token", "1f0d9fa34edc58eea1f0", "--token-id", "ak-1"}),
              ElementsAre("--token", "[redacted]", "--token-id", "[redacted]"));
}
TEST(Redaction, HidesHeadersWithoutABlank) {
  EXPECT_THAT(redact_arguments({"curl", "-H", "X-API-Key:s3cret", "-H", "api-key:s3 cret", "h"}),
              ElementsAre("curl", "-H", "X-API-Key:[redacted]", "-H", "api-key:[redacted]", "h"));
  EXPECT_EQ(redacted_script("curl -H X-API-Key:s3cret -H 'api-key:s3 cret' h"),
            "curl -H X-API-Key:[redacted] -H 'api-key:[redacted]' h");
}
TEST(Redaction, KnowsKeysThatSignOrEncrypt) {
  for (const std::string name : {"--encryption-key", "--hmac-key", "--signing-key", "--session-key",
                                 "--license-key", "--secrets", "--passwords", "--tokens"}) {
    EXPECT_THAT(redact_arguments({name, "hunter", "x"}), ElementsAre(name, "[redacted]", "x"));
    EXPECT_EQ(redacted(name + "=hunter"), name + "=[redacted]");
    EXPECT_EQ(redacted_script("run " + name + " 'hun ter' x"), "run " + name + " '[redacted]' x");
  }
  EXPECT_EQ(redacted("AccountName=x;AccountKey=ab/c+d==;EndpointSuffix=y"),
            "AccountName=x;AccountKey=[redacted];EndpointSuffix=y");
  EXPECT_EQ(redacted(R"({"secrets":{"a":"b"},"tokens":["x1","y2"],"n":1})"),
            R"({"secrets":[redacted],"tokens":[redacted],"n":1})");
  expect_kept({"--tokens", "100", "--tokens=1.5e9", "tokens=300B", "max_new_tokens=5", "--special-tokens",
               "<a>", "--prompt-tokens", "mean:550", "--encryption-key-size", "256", "--secrets-file",
               "x.yaml"});
  EXPECT_EQ(redacted(R"({"tokens":[1,2,3],"max_tokens":5})"), R"({"tokens":[1,2,3],"max_tokens":5})");
}
TEST(Redaction, HidesCookiesButNotTheirFiles) {
  EXPECT_THAT(redact_arguments({"curl", "-H", "Cookie: a=hunter; b=c", "--cookie", "a=hunter", "-b",
                                "a=hunter; b=c", "-sba=hunter", "--cookie", "hunter", "h"}),
              ElementsAre("curl", "-H", "Cookie: [redacted]", "--cookie", "[redacted]", "-b", "[redacted]",
                          "-sb[redacted]", "--cookie", "[redacted]", "h"));
  EXPECT_EQ(redacted_script("curl -b 'a=hunter; b=c' -b a=hunter -H \"Cookie: a=hunter\" h; ls -b a=b"),
            "curl -b '[redacted]' -b [redacted] -H \"Cookie: [redacted]\" h; ls -b a=b");
  expect_kept({"curl", "-b", "cookies.txt", "-b", "/tmp/jar", "--cookie", "cookies.txt", "--cookie-jar",
               "jar", "-c", "jar", "h"});
}
TEST(Redaction, ACookieWithADotIsNoFile) {
  EXPECT_EQ(redacted("Cookie: hunter.txt"), "Cookie: [redacted]");
  EXPECT_THAT(redact_arguments({"curl", "--cookie", "abc.def123"}),
              ElementsAre("curl", "--cookie", "[redacted]"));
}
TEST(Redaction, KnowsMoreTokenShapes) {
  const std::string letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  for (const std::string& token :
       {"npm_" + letters, "pypi-AgEIcHlwaS5vcmc" + letters, "nvapi-" + letters, "gsk_" + letters,
        "r8_" + letters, "ghr_" + letters, "xapp-1-" + letters, "rk_live_" + letters,
        "SG." + letters.substr(0, 22) + "." + letters, "dop_v1_" + letters}) {
    EXPECT_EQ(redacted(token), "[redacted]") << token;
    EXPECT_EQ(redacted_script("x " + token + " y"), "x [redacted] y");
  }
  expect_kept({"npm_config_registry_of_the_whole_company_x", "pypi-mirror-of-the-team-and-more-than-that",
               "r8_resnet", "gsk_small", "SG.txt", "xapp-server", "nvapi-tools"});
}
TEST(Redaction, KnowsProgramsThatTakeASecretAsAWord) {
  const std::string key = "1f0d9fa34edc58eea1f0e79f2a2b1c3d4e5f6a7b";
  EXPECT_THAT(redact_arguments({"wandb", "login", "--relogin", key}),
              ElementsAre("wandb", "login", "--relogin", "[redacted]"));
  EXPECT_EQ(redacted_script("wandb login " + key + "; git checkout " + key),
            "wandb login [redacted]; git checkout " + key);
  EXPECT_THAT(redact_arguments({"sshpass", "-p", "hunter", "ssh", "-p", "22", "h"}),
              ElementsAre("sshpass", "-p", "[redacted]", "ssh", "-p", "22", "h"));
  EXPECT_EQ(redacted_script("sshpass -p'hun ter' ssh -p 22 h; sshpass -phunter scp x y"),
            "sshpass -p'[redacted]' ssh -p 22 h; sshpass -p[redacted] scp x y");
  EXPECT_THAT(redact_arguments({"docker", "login", "-u", "me", "-p", "hunter", "reg.io"}),
              ElementsAre("docker", "login", "-u", "me", "-p", "[redacted]", "reg.io"));
  EXPECT_EQ(redacted_script("docker login -p hunter r && docker run -p 80:80 i"),
            "docker login -p [redacted] r && docker run -p 80:80 i");
  EXPECT_THAT(redact_arguments({"redis-cli", "-h", "h", "-a", "hunter", "ping"}),
              ElementsAre("redis-cli", "-h", "h", "-a", "[redacted]", "ping"));
  expect_kept({"docker", "run", "-p", "8080:80", "-a", "stdout", "img:1.2"});
}
TEST(Redaction, HidesSecretsOfAddressesWithoutAScheme) {
  const std::string key = "1f0d9fa34edc58eea1f0e79f2a2b1c3d4e5f6a7b";
  EXPECT_EQ(redacted("https://" + key + "@github.com/a/b"), "https://[redacted]@github.com/a/b");
  EXPECT_EQ(redacted("//user:pw@h"), "//user:[redacted]@h");
  EXPECT_EQ(redacted("user:pw@host:3306/db"), "user:[redacted]@host:3306/db");
  EXPECT_EQ(redacted("--dsn=user:pw@tcp(db:3306)/x"), "--dsn=user:[redacted]@tcp(db:3306)/x");
  EXPECT_EQ(redacted_script("run user:p;w; go user:pw@host:3306/db x"),
            "run user:p;w; go user:[redacted]@host:3306/db x");
  EXPECT_EQ(redacted("https://user:12/34@h"), "https://user:[redacted]@h");
  EXPECT_EQ(redacted("https://h/c?sv=1&sig=ab%2Bc&se=2"), "https://h/c?sv=1&sig=[redacted]&se=2");
  EXPECT_EQ(redacted("https://h/o?X-Amz-Signature=abc&X-Amz-Date=1"),
            "https://h/o?X-Amz-Signature=[redacted]&X-Amz-Date=1");
  expect_kept({"http://host:80/a@b", "http://registry:4873/lodash@4.17.21", "git@github.com:a/b",
               "reg.io/team/img:1.2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
               "img:1.2@sha256:9f86d081", "npm:lodash@4.17.21", "git+https://github.com/a/b@" + key,
               "me@host:dir/file", "--signature=serve", "a:b@c", "mailto:me@example.com"});
}
TEST(CommandLine, QuotesForAShellWithoutControlCharacters) {
  EXPECT_EQ(command_line({"python3", "a b.py", "it's", "", "--x=1,2", "\x1b[31m\n'"}),
            "python3 'a b.py' 'it'\\''s' '' --x=1,2 $'\\x1b[31m\\n\\''");
}

}  // namespace
}  // namespace joulery::meter
