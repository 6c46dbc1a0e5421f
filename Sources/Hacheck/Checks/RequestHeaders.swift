internal import Reactor
internal import SmartStack

/// The headers of a question, from the wire or from a caller in this process.
@LoopActor enum RequestHeaders {
  case exchange(HTTPExchange)
  case list([HTTPHeader])

  /// The first value of a header, whatever the name's case.
  func first(_ name: String) -> String? {
    switch self {
    case .exchange(let exchange): exchange.header(name)
    case .list(let fields): fields.first { $0.name.equalsIgnoringASCIICase(name) }?.value
    }
  }

  /// All values of a header.
  func all(_ name: String) -> [String] {
    switch self {
    case .exchange(let exchange): exchange.headers(name)
    case .list(let fields): fields.filter { $0.name.equalsIgnoringASCIICase(name) }.map(\.value)
    }
  }
}
