#include "engine/worker.hpp"

int main() {
  return joulery::engine::serve_engine();
}
