#pragma once

namespace joulery::app {

/// Style sheet of the report's page: light and dark, telephone to desk, print.
const char* report_style();

}  // namespace joulery::app
