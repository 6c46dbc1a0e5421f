// The bare libevent HTTP server that scripts/bench holds hacheck's figures against: one thread, one C callback, a
// fixed answer. Also the task behind the health checks of the nerve measurement.
//
//   bench-evhttp <address> <port> [<count>]     serves on that many ports from <port> on, until it is killed

internal import CEvent
internal import Glibc

let body: StaticString = "OK"

func stop(_ sentence: String, status: Int32) -> Never {
  _ = "\(sentence)\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit(status)
}

func onRequest(_ request: OpaquePointer?, _ unused: UnsafeMutableRawPointer?) {
  guard let request else { return }
  evbuffer_add(evhttp_request_get_output_buffer(request), body.utf8Start, body.utf8CodeUnitCount)
  evhttp_send_reply(request, 200, "OK", nil)
}

let arguments = CommandLine.arguments.dropFirst()
guard (2...3).contains(arguments.count), let address = arguments.first, let port = UInt16(arguments[2]),
  let count = arguments.count == 3 ? UInt16(arguments[3]) : 1, count > 0
else {
  stop("usage: bench-evhttp <address> <port> [<count>]", status: 2)
}
signal(SIGPIPE, SIG_IGN)
let base = event_base_new()
let server = evhttp_new(base)
evhttp_set_gencb(server, onRequest, nil)
for port in port..<port + count where evhttp_bind_socket(server, address, port) != 0 {
  stop("bench-evhttp: cannot listen on \(address):\(port)", status: 1)
}
event_base_dispatch(base)
