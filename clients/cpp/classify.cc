// Classifies one image file through a Conveyor server: classify ADDRESS MODEL IMAGE [TOP]
//
// Calls have a deadline, and are tried again with back-off while the server is unreachable, stopping or full.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "conveyor/v1/classifier.grpc.pb.h"

namespace v1 = conveyor::v1;

namespace {

constexpr char kServiceConfig[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "conveyor.v1.ClassifierService"}],
    "timeout": "30s",
    "retryPolicy": {
      "maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 3,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
})";

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetUserAgentPrefix("conveyor-cpp/0.1.0");
  // With TLS: grpc::SslCredentials(grpc::SslCredentialsOptions()).
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

int Fail(const std::string& message) {
  std::cerr << "error: " << message << "\n";
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) return Fail("usage: classify ADDRESS MODEL IMAGE [TOP]");
  const std::string address = argv[1], path = argv[3];

  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail("cannot read " + path);
  v1::ClassifyRequest request;
  request.set_model_name(argv[2]);
  request.set_top_k(argc == 5 ? static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10)) : 1);
  request.add_images()->set_encoded(std::string(std::istreambuf_iterator<char>(file), {}));

  const auto stub = v1::ClassifierService::NewStub(Connect(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::ClassifyResponse response;
  const grpc::Status status = stub->Classify(&context, request, &response);
  if (!status.ok()) return Fail(address + ": " + status.error_message());
  if (response.results_size() != 1) return Fail(address + ": one image was sent, but not one answer came back");

  const v1::Answer& answer = response.results(0).answer();
  for (const v1::Prediction& each : answer.predictions()) std::cout << each.label() << " " << each.probability() << "\n";
  for (const float value : answer.values()) std::cout << value << "\n";
  return EXIT_SUCCESS;
}
