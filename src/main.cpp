#include "cli/verb.hpp"

int main(int argc, char** argv, char** environment) {
  return joulery::cli::main(argc, argv, environment);
}
