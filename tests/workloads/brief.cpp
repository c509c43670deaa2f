// brief TRUTH: burns a tenth of a millisecond. Static, so that a start costs little.
#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  workloads::burn(1e-4);
  workloads::tell_and_exit(arguments[1]);
}
