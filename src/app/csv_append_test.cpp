#include "app/csv_append.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/csv.hpp"
#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::file_bytes;
using record::must;
using record::write_bytes;
using testing::HasSubstr;

class CsvAppend : public record::FolderTest {
 protected:
  SharedCsv csv(const std::string& name = "a.csv") const {
    return {.path = folder_ + "/" + name,
            .what = "--csv",
            .columns = {"id", "text"},
            .is_older = [](const auto& header) { return header.at(0) == "id"; }};
  }
  std::string append(const std::string& id, const std::string& text) {
    return must(append_csv_row(csv(), {id, text}));
  }
  std::string bytes(const std::string& name = "a.csv") const { return file_bytes(folder_ + "/" + name); }
};

TEST_F(CsvAppend, AHeaderOnceAndThenRows) {
  EXPECT_EQ(append("1", "a"), "");
  EXPECT_EQ(append("2", ""), "");
  EXPECT_EQ(bytes(), "id,text\n1,a\n2,\n");
}

TEST_F(CsvAppend, AnEmptyFileIsANewOne) {
  write_bytes(csv().path, "");
  append("1", "a");
  EXPECT_EQ(bytes(), "id,text\n1,a\n");
}

TEST_F(CsvAppend, HostileTextIsQuotedAndNeverAFormula) {
  const std::vector<std::string> texts = {"a,b", "say \"hi\"", "two\nlines\r\n", "plain", ";tab\t"};
  for (const std::string& text : texts) append("1", text);
  append("1", "=cmd|' /C calc'!A0");
  const std::string whole = bytes();
  CsvReader rows(whole);
  std::vector<std::string> fields;
  ASSERT_TRUE(rows.next(fields));
  for (const std::string& text : texts) {
    ASSERT_TRUE(rows.next(fields));
    EXPECT_EQ(fields.at(1), text);
  }
  ASSERT_TRUE(rows.next(fields));
  EXPECT_EQ(fields.at(1), "'=cmd|' /C calc'!A0");
}

TEST_F(CsvAppend, TheSameColumnsInAnotherOrderAreKept) {
  write_bytes(csv().path, "text,id\r\nx,0\r\n");
  EXPECT_EQ(append("1", "a"), "");
  EXPECT_EQ(bytes(), "text,id\r\nx,0\r\na,1\n");
}

TEST_F(CsvAppend, AnOlderFileIsMovedAsideAndNothingReplaced) {
  write_bytes(folder_ + "/a.csv.bak", "precious");
  write_bytes(csv().path, "id\n1\n");
  EXPECT_EQ(append("1", "a"), folder_ + "/a.csv_0.bak");
  write_bytes(csv().path, "id\n2\n");
  EXPECT_EQ(append("2", "b"), folder_ + "/a.csv_1.bak");
  EXPECT_EQ(bytes("a.csv.bak"), "precious");
  EXPECT_EQ(bytes("a.csv_0.bak"), "id\n1\n");
  EXPECT_EQ(bytes("a.csv_1.bak"), "id\n2\n");
  EXPECT_EQ(bytes(), "id,text\n2,b\n");
}

TEST_F(CsvAppend, BehindALinkTheFileIsMovedAndTheLinkStays) {
  write_bytes(folder_ + "/real.csv", "id\n1\n");
  ASSERT_EQ(::symlink((folder_ + "/real.csv").c_str(), csv().path.c_str()), 0);
  EXPECT_EQ(append("1", "a"), folder_ + "/real.csv.bak");
  EXPECT_EQ(bytes("real.csv"), "id,text\n1,a\n");
  struct stat info{};
  ASSERT_EQ(::lstat(csv().path.c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
}

TEST_F(CsvAppend, ALineThatWasCutOffIsEndedFirst) {
  write_bytes(csv().path, "id,text\n1,a\n2,b");
  append("3", "c");
  EXPECT_EQ(bytes(), "id,text\n1,a\n2,b\n3,c\n");
  write_bytes(csv().path, "id,text\n1,\"two\nli");
  append("3", "c");
  EXPECT_EQ(bytes(), "id,text\n1,\"two\nli\"\n3,c\n");
  // In the middle of the header.
  write_bytes(csv().path, "id,te");
  EXPECT_EQ(append("3", "c"), csv().path + ".bak");
}

TEST_F(CsvAppend, OtherFilesAreLeftAlone) {
  for (const char* text : {"#!/bin/sh\nexit\n",
                           "\x7f"
                           "ELF\n",
                           "a;b\n1;2\n"}) {
    write_bytes(csv().path, text);
    EXPECT_THAT(check_csv(csv()).error().message, HasSubstr("another kind of file"));
    EXPECT_FALSE(append_csv_row(csv(), {"1", "a"}));
    EXPECT_EQ(bytes(), text);
  }
}

TEST_F(CsvAppend, WhatCannotWorkIsToldBefore) {
  const auto refused = [&](const std::string& path) {
    SharedCsv one = csv();
    one.path = path;
    const Status status = check_csv(one);
    if (status) return std::string();
    EXPECT_EQ(status.error().kind, Error::Kind::user);
    return status.error().message;
  };
  EXPECT_THAT(refused("-"), HasSubstr("name of a file"));
  EXPECT_THAT(refused(""), HasSubstr("name of a file"));
  EXPECT_THAT(refused(folder_), HasSubstr("is a folder"));
  EXPECT_THAT(refused(folder_ + "/none/a.csv"), HasSubstr("can't write into"));
  EXPECT_THAT(refused(folder_ + "/none/"), HasSubstr("can't write into"));
  EXPECT_THAT(refused("/dev/full"), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(refused(folder_ + "/pipe"), HasSubstr("not a regular file"));
  EXPECT_EQ(refused(folder_ + "/new.csv"), "");
  EXPECT_EQ(::access((folder_ + "/new.csv").c_str(), F_OK), -1) << "a check makes nothing";
}

TEST_F(CsvAppend, ARowThatDoesNotFitLeavesNothing) {
  append("1", "a");
  const std::string before = bytes();
  const pid_t child = ::fork();
  if (child == 0) {
    // A limit cuts a write short as a full disk does.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{before.size() + 3, before.size() + 3};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(append_csv_row(csv(), {"2", "a long text"}) ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(bytes(), before);
}

/// Processes that all begin with an older file: one moves it, nobody loses a row, nobody writes a second
/// header.
TEST_F(CsvAppend, ManyProcessesAtOnce) {
  write_bytes(csv().path, "id\n0\n");
  constexpr int kProcesses = 6;
  constexpr int kRows = 50;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    for (int i = 0; i < kRows; ++i) {
      if (!append_csv_row(csv(), {fmt::format("{}-{}", process, i), std::string(300, 'x')})) ::_exit(1);
    }
    ::_exit(0);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto table = parse_csv_table(bytes(), "a.csv");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->rows.size(), std::size_t{kProcesses * kRows});
  EXPECT_EQ(bytes("a.csv.bak"), "id\n0\n");
  EXPECT_NE(::access((csv().path + "_0.bak").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace joulery::app
