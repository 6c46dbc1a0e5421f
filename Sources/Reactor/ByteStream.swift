/// skeleton
@LoopActor public final class ByteStream {
  init() {}
  public static func connect(to endpoint: Endpoint, tls: TLSOptions? = nil, deadline: Duration) async throws -> ByteStream {
    throw StreamError.closed(endpoint)
  }
  public func setDeadline(after limit: Duration?) {}
  public func write(_ bytes: [UInt8]) throws {}
  public func write(_ text: String) throws {}
  public func flush() async throws {}
  public func read(upTo maximum: Int) async throws -> [UInt8] { [] }
  public func readLine(limit: Int) async throws -> String { "" }
  public func read(exactly count: Int) async throws -> [UInt8] { [] }
  public func readToEnd(limit: Int) async throws -> [UInt8] { [] }
  public func close() {}
}
