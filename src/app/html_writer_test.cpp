#include "app/html_writer.hpp"

#include <gtest/gtest.h>

namespace joulery::app {
namespace {

TEST(EscapeHtml, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("<script>alert('1')</script> & \"x\""),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;");
  EXPECT_EQ(escape_html("Größe 5 µJ, 日本語"), "Größe 5 µJ, 日本語");
}

TEST(EscapeHtml, WhatIsNoTextIsReplaced) {
  EXPECT_EQ(escape_html("a\xFF\xC3(b"), "a\uFFFD\uFFFD(b");
  EXPECT_EQ(escape_html("\xE2\x82"), "\uFFFD\uFFFD");
  // Overlong, a surrogate, beyond Unicode: a lenient reader could see markup in them.
  for (const char* bad : {"\xC0\xBC", "\xE0\x80\xBC", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    const std::string escaped = escape_html(bad);
    EXPECT_EQ(escaped.find(bad), std::string::npos);
    EXPECT_TRUE(escaped.starts_with("\uFFFD"));
  }
  EXPECT_EQ(escape_html(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(escape_html("a\x1b[2Jb"), "a?[2Jb");
}

TEST(EscapeHtml, WhatReversesTheTextIsSpelledOut) {
  EXPECT_EQ(escape_html("x\u202Ey"), "x&lt;U+202E&gt;y");
}

TEST(HtmlWriter, NothingFromOutsideBecomesMarkup) {
  HtmlWriter page;
  page.open("p", {{"title", "\" onclick=\"x"}}).text("</p><img src=x>").close();
  EXPECT_EQ(page.finish(), "<p title=\"&quot; onclick=&quot;x\">&lt;/p&gt;&lt;img src=x&gt;</p>\n");
}

TEST(HtmlWriter, ClosesWhatIsOpen) {
  HtmlWriter page;
  page.open("div").open("p").element("b", "x").single("br");
  EXPECT_EQ(page.finish(), "<div><p><b>x</b><br></p>\n</div>\n");
  page.close();
  EXPECT_EQ(page.finish(), "");
}

}  // namespace
}  // namespace joulery::app
