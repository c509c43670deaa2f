#include "evaluate/endpoint/listener.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "power/fake_tree.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr const char* kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 777 1 0\n"
    "   1: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 778 1 0\n"
    "   2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 779 1 0\n";

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() { tree_.write("/proc/net/tcp", kTable); }
  void process(int pid, int parent, const std::string& socket) {
    const std::string base = "/proc/" + std::to_string(pid);
    tree_.write(base + "/stat", std::to_string(pid) + " (a) b) S " + std::to_string(parent) + " 1 1");
    tree_.write(base + "/comm", "server\n");
    std::filesystem::create_directories(tree_.path() + base + "/fd");
    std::filesystem::create_symlink(socket, tree_.path() + base + "/fd/3");
  }
  Listener find(std::uint16_t port) const { return find_listener(tree_.root(), port); }

  /// One of its own: tests run side by side.
  power::FakeTree tree_;
};

TEST_F(ListenerTest, SocketsThatListenOnThePort) {
  EXPECT_EQ(listening_sockets(kTable, 8000), std::vector<std::uint64_t>{777});
  EXPECT_TRUE(listening_sockets(kTable, 40000).empty());
  EXPECT_TRUE(listening_sockets("", 8000).empty());
  EXPECT_TRUE(listening_sockets("0: zz 0 0A 0 0 0 0 0 1\n0: 1:FFFFFFFFFF 0 0A 0 0 0 0 0 1", 8000).empty());
}

TEST_F(ListenerTest, TheProcessThatStartedTheWorkersIsTheServer) {
  process(10, 1, "socket:[777]");
  process(11, 10, "socket:[777]");
  process(12, 11, "socket:[777]");
  process(13, 1, "socket:[779]");
  const Listener listener = find(8000);
  EXPECT_TRUE(listener.listening);
  EXPECT_EQ(listener.pid, 10);
  EXPECT_EQ(listener.command, "server");
}

TEST_F(ListenerTest, NobodyAndSomebodyUnseenAreTold) {
  EXPECT_FALSE(find(9000).listening);
  const Listener unseen = find(8000);
  EXPECT_TRUE(unseen.listening);
  EXPECT_EQ(unseen.pid, 0);
  EXPECT_FALSE(unseen.several);
}

TEST_F(ListenerTest, TwoThatShareAPortAreNotGuessedBetween) {
  process(10, 1, "socket:[777]");
  process(11, 1, "socket:[777]");
  const Listener listener = find(8000);
  EXPECT_EQ(listener.pid, 0);
  EXPECT_TRUE(listener.several);
}

TEST(Loopback, ItsNames) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) EXPECT_TRUE(is_loopback(host));
  for (const char* host : {"host", "10.0.0.1", "::2"}) EXPECT_FALSE(is_loopback(host));
}

}  // namespace
}  // namespace joulery::evaluate::endpoint
