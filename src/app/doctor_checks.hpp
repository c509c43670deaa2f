#pragma once

#include "app/doctor.hpp"

namespace joulery::app {

/// Each adds to the report what `examine` asks of it: what runs rest on beside sensors and attribution.
void check_clock(Application& application, DoctorReport& report);
/// Does the same work again and again, and keeps how much that varies.
void check_noise(Application& application, DoctorReport& report);
/// Opens the store, which moves in what spools hold.
void check_store(Application& application, DoctorReport& report);
void check_spool(Application& application, DoctorReport& report);
/// Which files and variables have a say.
void check_settings(Application& application, DoctorReport& report);

}  // namespace joulery::app
