// A release of ONNX Runtime from before everything that joulery uses.
extern "C" {

struct OldBase {
  const void* (*get_api)(unsigned version);
  const char* (*version)();
};

__attribute__((visibility("default"))) const OldBase* OrtGetApiBase() {
  static const OldBase kBase{[](unsigned) -> const void* { return nullptr; }, [] { return "1.8.2"; }};
  return &kBase;
}
}
